"""`python -m finetune`, in this process: what each of its commands prints, keeps and refuses."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoConfig

from design_space.command_line import exit_code
from design_space.errors import InputError
from finetune import __main__ as command
from finetune import runs
from finetune.__main__ import main
from finetune.data import TaskData

Flags = Callable[..., list[str]]
WriteTask = Callable[..., str]


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a run that must be refused begins."""
    monkeypatch.setattr(runs, "finetune", lambda *_, **__: pytest.fail("began to train"))


@pytest.fixture
def two_tasks(write_task: WriteTask, separable: TaskData) -> str:
    """A folder with cola and sst2."""
    write_task("sst2", separable.train, separable.validation)
    return write_task("cola", separable.train, separable.validation)


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    """A hundred rows whose label is in their text, as CSV."""
    file = tmp_path / "own.csv"
    lines = [f"the {word} dog ran {number} ,{word}" for number in range(50) for word in ("happy", "sad")]
    file.write_text("\n".join(["text,mood", *lines]) + "\n")
    return file


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def rows_of(table: str) -> list[list[str]]:
    """The cells of a Markdown table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


# One task


def test_a_run_prints_its_table_and_keeps_nothing(
    flags: Flags, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(lambda: main(flags())) == 0
    captured = capsys.readouterr()
    head, _, score, accuracy = rows_of(captured.out)
    assert head[1:] == ["mean", "seed 42", "95 % interval"]
    assert score[0] == "score"
    assert score[1:] == accuracy[1:]  # sst2 has one metric
    assert f"sst2, seed 42: {score[1]} (accuracy {accuracy[1]}) in " in captured.err
    assert list(tmp_path.iterdir()) == []


def test_runs_are_kept_each_with_its_file_and_the_best_model(
    flags: Flags, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(flags("--task_name", "mnli", "--output_dir", str(out), "--num_runs", "2", "--seed", "3", "--json"))
    result = json.loads((out / "result.json").read_text())
    assert json.loads(capsys.readouterr().out) == result
    (task,) = result["tasks"]
    assert task["task"] == "mnli"
    assert [run["seed"] for run in task["runs"]] == [3, 4]
    assert task["mean"]["score"] == pytest.approx(sum(run["score"] for run in task["runs"]) / 2)
    assert all(set(run["intervals"]) == {"score", "accuracy"} for run in task["runs"])
    assert names_in(out) == [
        "model",
        "result.json",
        "result.md",
        "run-3.json",
        "run-4.json",
        "setting.json",
    ]
    assert AutoConfig.from_pretrained(out / "model").num_labels == 3


def test_the_kept_model_is_scored_as_it_was(flags: Flags, tmp_path: Path) -> None:
    main(flags("--output_dir", str(tmp_path / "trained"), "--max_steps", "20", "--learning_rate", "1e-2"))
    model = str(tmp_path / "trained" / "model")
    main(flags("--model_name_or_path", model, "--do_eval", "--output_dir", str(tmp_path / "scored")))
    trained, scored = (
        json.loads((tmp_path / name / "result.json").read_text())["tasks"][0]["runs"][0]
        for name in ("trained", "scored")
    )
    assert scored["metrics"] == trained["metrics"]
    assert (scored["num_steps"], scored["loss"]) == (0, None)


def test_runs_that_are_done_are_taken_where_asked(
    flags: Flags, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    main(flags("--output_dir", out, "--seeds", "1", "2"))
    before = (tmp_path / "out" / "run-1.json").read_bytes()
    (tmp_path / "out" / "run-2.json").unlink()
    main(flags("--output_dir", out, "--seeds", "1", "2", "--resume"))
    assert (tmp_path / "out" / "run-1.json").read_bytes() == before
    first, again = (text for text in capsys.readouterr().out.split("| score")[1:])
    assert first.splitlines()[0] == again.splitlines()[0]


def test_runs_of_another_setting_are_not_taken(flags: Flags, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    main(flags("--output_dir", out))
    told = r"^--resume: .*out holds runs with learning_rate 0\.0001, got 0\.0002\. Give the same, or another"
    with pytest.raises(InputError, match=told):
        main(flags("--output_dir", out, "--resume", "--learning_rate", "2e-4"))
    with pytest.raises(InputError, match="holds runs with num_train_rows 32, got 31"):
        main(flags("--output_dir", out, "--resume", "--max_train_samples", "31"))


def test_json_prints_nothing_else_on_stdout(flags: Flags, capsys: pytest.CaptureFixture[str]) -> None:
    main(flags("--json", "--disable_tqdm", "false"))
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_the_same_flags_give_the_same_outcome(flags: Flags, tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        main(flags("--output_dir", str(tmp_path / name)))
        results.append(json.loads((tmp_path / name / "result.json").read_text())["tasks"][0]["runs"][0])
    assert (results[0]["score"], results[0]["loss"]) == (results[1]["score"], results[1]["loss"])


def test_flags_of_old_versions_are_translated_and_told(flags: Flags, capsys: pytest.CaptureFixture[str]) -> None:
    old = "--no_cuda --overwrite_output_dir --evaluation_strategy no --warmup_ratio 0.1 --group_by_length"
    main(flags(*old.split(), without=("--use_cpu",)))
    told = capsys.readouterr().err
    for flag in ("--no_cuda", "--overwrite_output_dir", "--evaluation_strategy", "--warmup_ratio", "--group_by_length"):
        assert f"{flag}: " in told


def test_parts_are_drawn_by_their_own_seed(flags: Flags, own_file: Path, tmp_path: Path) -> None:
    rows = []
    for name, seeds in (("a", ["--seed", "1"]), ("b", ["--seed", "2"]), ("c", ["--split_seed", "1"])):
        words = ("--train_file", str(own_file), "--label_column", "mood", "--do_train", "--do_predict", *seeds)
        main(flags(*words, "--output_dir", str(tmp_path / name), without=("--task_name", "--data")))
        lines = (tmp_path / name / "predictions.tsv").read_text().splitlines()
        rows.append([line.split("\t")[3] for line in lines])
    assert rows[0] == rows[1] != rows[2]


def test_rows_of_ones_own_are_learned(flags: Flags, own_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = flags(
        *("--train_file", str(own_file), "--text_columns", "text", "--label_column", "mood"),
        *("--max_steps", "80", "--learning_rate", "1e-2", "--max_train_samples", "80"),
        without=("--task_name", "--data"),
    )
    main(words)
    scores = {row[0]: row[1] for row in rows_of(capsys.readouterr().out)}
    assert set(scores) >= {"score", "accuracy", "macro_f1"}
    assert float(scores["accuracy"]) > 90


def test_the_best_model_predicts_test_rows_where_asked(
    flags: Flags, own_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = tmp_path / "test.csv"
    test.write_text("text\nthe happy cat ran\nthe sad bird sang\n")
    out = tmp_path / "out"
    files = ("--train_file", str(own_file), "--label_column", "mood", "--test_file", str(test))
    words = (*files, "--do_train", "--do_predict")
    learning = ("--max_steps", "80", "--learning_rate", "1e-2", "--max_train_samples", "80")
    main(flags(*words, *learning, "--output_dir", str(out), without=("--task_name", "--data")))
    lines = (out / "predictions.tsv").read_text().splitlines()
    assert lines == ["index\tprediction\ttext", "0\thappy\tthe happy cat ran", "1\tsad\tthe sad bird sang"]
    assert f"2 test rows: {out}/predictions.tsv\n" in capsys.readouterr().err


def test_labelled_test_rows_are_scored_too(
    flags: Flags, separable: TaskData, write_task: WriteTask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_task("sst2", separable.train, separable.validation)
    (Path(data) / "sst2" / "test.jsonl").write_text((Path(data) / "sst2" / "validation.jsonl").read_text())
    main(
        flags(
            "--data",
            data,
            "--do_train",
            "--do_predict",
            "--output_dir",
            str(tmp_path / "out"),
            "--max_eval_samples",
            "24",
        )
    )
    captured = capsys.readouterr()
    accuracy = rows_of(captured.out)[-1][1]
    assert f"predictions.tsv (accuracy {accuracy})" in captured.err
    (task,) = json.loads((tmp_path / "out" / "result.json").read_text())["tasks"]
    assert task["test"] == task["runs"][0]["metrics"]
    lines = [line.split("\t") for line in (tmp_path / "out" / "predictions.tsv").read_text().splitlines()]
    assert lines[0] == ["index", "prediction", "label", "sentence"]
    assert sum(line[1] == line[2] for line in lines[1:]) / 24 == task["test"]["accuracy"]


def test_a_kept_model_predicts_without_training(flags: Flags, own_file: Path, tmp_path: Path) -> None:
    words = ("--train_file", str(own_file), "--label_column", "mood", "--do_predict")
    learning = (
        "--seed",
        "7",
        "--max_steps",
        "80",
        "--learning_rate",
        "1e-2",
        "--max_train_samples",
        "80",
        "--do_train",
    )
    trained, again = tmp_path / "trained", tmp_path / "again"
    main(flags(*words, *learning, "--do_train", "--output_dir", str(trained), without=("--task_name", "--data")))
    model = ("--model_name_or_path", str(trained / "model"))
    main(flags(*words, *model, "--output_dir", str(again), without=("--task_name", "--data")))
    assert (again / "predictions.tsv").read_bytes() == (trained / "predictions.tsv").read_bytes()
    # Parts are drawn by --split_seed, so that a kept model meets no row that it was trained on.
    assert names_in(again) == ["predictions.tsv", "result.json", "result.md", "run-42.json", "setting.json"]


def test_a_kept_model_predicts_and_scores_other_rows_alone(
    flags: Flags, own_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> None:
        main(flags(*words, "--use_cpu", without=("--task_name", "--data", "--max_eval_samples", "--use_cpu")))

    learning = ("--max_steps", "80", "--learning_rate", "1e-2", "--output_dir", str(tmp_path / "out"))
    run("--train_file", str(own_file), "--label_column", "mood", *learning)
    new = tmp_path / "new.csv"
    new.write_text("text,mood\nthe happy dog ran 7 ,happy\nthe sad dog ran 8 ,sad\nthe sad dog ran 9 ,happy\n")
    model = ("--model_name_or_path", str(tmp_path / "out" / "model"), "--label_column", "mood")
    capsys.readouterr()
    run(*model, "--test_file", str(new), "--do_predict", "--output_dir", str(tmp_path / "predicted"))
    assert names_in(tmp_path / "predicted") == ["predictions.tsv"]
    lines = [line.split("\t") for line in (tmp_path / "predicted" / "predictions.tsv").read_text().splitlines()]
    assert [line[1] for line in lines] == ["prediction", "happy", "sad", "sad"]
    assert "3 test rows: " in capsys.readouterr().err
    run(*model, "--validation_file", str(new), "--do_eval", "--json")
    result = json.loads(capsys.readouterr().out)
    assert result["tasks"][0]["mean"]["accuracy"] == pytest.approx(2 / 3)
    for words, message in (
        (("--validation_file", str(new)), "^--train_file: must name rows to train on"),
        (("--test_file", str(new), "--do_eval"), "^--validation_file: must name rows to score"),
    ):
        with pytest.raises(InputError, match=message):
            run(*model, *words)


def test_adapters_are_trained_kept_and_used_for_predictions(
    flags: Flags, own_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    own = ("--train_file", str(own_file), "--label_column", "mood", "--test_file", str(own_file), "--do_train")
    main(
        flags("--tuning", "adapter", "--output_dir", str(out), "--do_predict", *own, without=("--task_name", "--data"))
    )
    assert (out / "model" / "delta.safetensors").is_file()
    predicted = (out / "predictions.tsv").read_text()
    told = capsys.readouterr().err
    main(
        flags(
            *("--model_name_or_path", str(out / "model"), "--output_dir", str(tmp_path / "again"), "--do_predict"),
            *("--test_file", str(own_file), "--label_column", "mood", "--text_columns", "text"),
            without=("--task_name", "--data"),
        )
    )
    assert (tmp_path / "again" / "predictions.tsv").read_text() == predicted
    assert "cannot" not in told


def test_runs_of_another_tuning_are_not_gone_on_with(flags: Flags, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    main(flags("--output_dir", out, "--tuning", "bitfit"))
    with pytest.raises(InputError, match=r"^--resume: .* holds runs with (learning_rate|tuning) "):
        main(flags("--output_dir", out, "--resume", "--tuning", "head"))


def test_learning_rate_and_batch_are_tuned_and_the_study_is_kept(
    flags: Flags, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(flags("--output_dir", str(tmp_path / "out"), "--autotune", "2", "--autotune_batch_sizes", "8", "16"))
    assert "autotune: learning rate " in capsys.readouterr().err
    assert (tmp_path / "out" / "autotune.db").exists()
    assert names_in(tmp_path / "out") == [
        "autotune.db",
        "model",
        "result.json",
        "result.md",
        "run-42.json",
        "setting.json",
    ]


# Whole benchmarks


def test_a_benchmark_scores_the_tasks_that_there_are(
    flags: Flags, two_tasks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(flags("--data", two_tasks, "--output_dir", str(tmp_path / "out"), command="glue"))
    captured = capsys.readouterr()
    table = rows_of(captured.out)
    assert [row[0] for row in table[2:]] == ["cola", "sst2", "GLUE score over 2 tasks"]
    absent = "mrpc, stsb, qqp, mnli, qnli, rte, wnli"
    assert f"--data: {two_tasks} does not have {absent}: left out of the score." in captured.err
    assert names_in(tmp_path / "out") == ["cola", "result.json", "result.md", "sst2"]


def test_the_score_of_a_benchmark_is_its_mean_with_and_without_wnli(
    flags: Flags, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(flags("--tasks", "mnli,wnli", "--json", command="glue"))
    result = json.loads(capsys.readouterr().out)
    mnli, wnli = (task["mean"]["score"] for task in result["tasks"])
    assert result["score"]["mean"] == pytest.approx((mnli + wnli) / 2)
    assert result["score_without_wnli"]["mean"] == mnli


def test_tasks_at_a_time_have_the_scores_of_tasks_one_by_one(
    flags: Flags, two_tasks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = []
    for num_parallel in ("1", "2"):
        main(flags("--data", two_tasks, "--parallel", num_parallel, "--json", command="glue"))
        result = json.loads(capsys.readouterr().out)
        scores.append([(task["task"], task["runs"][0]["score"], task["runs"][0]["loss"]) for task in result["tasks"]])
    assert scores[0] == scores[1]


# Two settings


def test_two_results_are_compared(flags: Flags, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rate in (("a", "1e-3"), ("b", "1e-2")):
        main(flags("--num_runs", "3", "--learning_rate", rate, "--output_dir", str(tmp_path / name)))
    capsys.readouterr()
    main(["compare", str(tmp_path / "a" / "result.json"), str(tmp_path / "b"), "--json"])
    found = json.loads(capsys.readouterr().out)
    (difference,) = found["differences"]
    assert (difference["task"], difference["metric"]) == ("sst2", "accuracy")
    assert found["settings_differ"] == {"learning_rate": {"sst2": {"a": 1e-3, "b": 1e-2}}}
    assert (found["file_a"], found["file_b"]) == (str(tmp_path / "a" / "result.json"), str(tmp_path / "b"))


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent.json"):
        main(["compare", str(tmp_path / "absent.json"), str(tmp_path / "absent.json")])
    with pytest.raises(InputError, match="the following arguments are required: B.json. See --help"):
        main(["compare", "a.json"])


# Refusals


def test_a_folder_with_a_result_is_not_written_over(flags: Flags, tmp_path: Path, no_training: None) -> None:
    (tmp_path / "result.json").write_text("precious")
    for benchmark in (None, "glue"):
        with pytest.raises(InputError, match=r"^--output_dir: .* holds a result already. Give another folder"):
            main(flags("--output_dir", str(tmp_path), command=benchmark))
    assert (tmp_path / "result.json").read_text() == "precious"


@pytest.mark.parametrize(("benchmark", "place"), [(None, "run-42.json"), ("glue", "cola/run-42.json")])
def test_runs_of_an_interrupted_series_are_not_written_over(
    flags: Flags, tmp_path: Path, no_training: None, benchmark: str | None, place: str
) -> None:
    (tmp_path / "cola").mkdir()
    (tmp_path / place).write_text("precious")
    with pytest.raises(InputError, match=r"^--output_dir: .* holds runs already. Give another folder, or --resume"):
        main(flags("--output_dir", str(tmp_path), command=benchmark))
    assert (tmp_path / place).read_text() == "precious"


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--model_name_or_path", "^--model_name_or_path: must name a checkpoint. Give a folder or a hub name"),
        ("--task_name", "^--task_name: must name a task; or give --dataset_name, or --train_file"),
    ],
)
def test_a_missing_flag_is_refused(flags: Flags, flag: str, message: str, no_training: None) -> None:
    with pytest.raises(InputError, match=message):
        main(flags(without=(flag,)))


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (["--task_name", "sst"], r"got 'sst'\. Did you mean 'sst2'\?"),
        (["--data", "dmeo"], r"^--data: must be .*, got 'dmeo', which does not exist\. Did you mean 'demo'\?"),
        (["--max_train_samples", "0"], r"^--max_train_samples: must be at least 1, got 0\."),
        (["--max_eval_samples", "-1"], r"^--max_eval_samples: must be at least 1, got -1\."),
        (["--max_seq_length", "7"], r"^--max_seq_length: must be at least 8, got 7\."),
        (["--max_seq_len", "8"], r"unknown flag '--max_seq_len'\. Did you mean --max_seq_length\?"),
        (["--task_nmae", "cola"], r"unknown flag '--task_nmae'\. Did you mean --task_name\?"),
        (["--tuning", "adaptor"], "argument --tuning: invalid choice: 'adaptor'"),
        (["--lora_rank", "4", "--tuning", "adapter"], "^--lora_rank: is for --tuning lora, got --tuning adapter"),
        (["--num_virtual_tokens", "4"], "^--num_virtual_tokens: is for --tuning prompt and prefix, got --tuning full"),
        (["--tuning", "lora", "--lora_rank", "0"], "^--lora_rank: must be at least 1, got 0"),
        (["--learning_rate", "fast"], "argument --learning_rate.*invalid float value: 'fast'"),
        (["--num_runs", "0"], r"^--num_runs: must be at least 1, got 0\."),
        (["--seeds", "1", "1"], r"^--seeds: must differ, got 1, 1\."),
        (["--seeds", "1", "--num_runs", "2"], r"^--seeds: must not be given with --num_runs"),
        (["--resume"], r"^--resume: needs the folder of the runs. Give --output_dir"),
        (["--autotune", "2"], r"^--autotune: keeps its study in a folder. Give --output_dir"),
        (["--layerwise_lr_decay", "0"], r"^--layerwise_lr_decay: must be in \(0, 1\], got 0"),
        (["--dataset_name", "owner/name"], "^--dataset_name: must not be given with --task_name"),
        (["--train_file", "a.csv"], "^--train_file: is for rows of your own, not for sst2"),
        (["--class_weights", "balanced", "--task_name", "stsb"], "^--class_weights balanced: is for tasks with labels"),
        (["--label_smoothing_factor", "0.1", "--task_name", "stsb"], "^--label_smoothing_factor: is for tasks"),
        (["--task_name", "squad"], "the demo has the tasks of GLUE alone"),
        (["--learning_rate", "-1"], r"^--learning_rate: must be above 0 and finite, got -1\.0"),
        (["--head_learning_rate", "0"], "^--head_learning_rate: must be above 0 and finite"),
        (["--num_train_epochs", "nan"], "^--num_train_epochs: must be above 0 and finite, got nan"),
        (["--per_device_train_batch_size", "0"], "^--per_device_train_batch_size: must be at least 1, got 0"),
        (["--early_stopping_patience", "0"], "^--early_stopping_patience: must be at least 1, got 0"),
        (["--doc_stride", "-1"], "^--doc_stride: must be at least 0, got -1"),
        (["--do_predict"], "^--do_predict: the best model writes its predictions into a folder. Give --output_dir"),
        (
            ["--do_predict", "--output_dir", "out"],
            "^--do_predict: demo must have test rows of sst2, has none. Add them",
        ),
        (
            ["--resume_from_checkpoint", "x"],
            "^--resume_from_checkpoint: is not done here. Runs leave nothing to go on from",
        ),
        (
            ["--do_eval", "--autotune", "2", "--output_dir", "out"],
            "^--autotune: must train, which --do_eval",
        ),
        (["--prediction_loss_only"], "^--prediction_loss_only: is not done here. Scores need predictions"),
        (["--push_to_hub"], "^--push_to_hub: is not done here. Upload"),
        (["--report_to", "nowhere"], "^--report_to: nowhere is not supported"),
        (["--report_to", "flyte"], r"^--report_to flyte: needs the package flytekit\."),
        (["--weight_decay", "nan"], "^--weight_decay: must be a finite number, got nan"),
        (["--seed", "-1"], r"^--seed: must be from 0 to 2\^32 - 1, got -1\."),
        (["--seeds", "1", "4294967296"], "^--seeds: must be from 0 to .* got 4294967296"),
        (["--output_dir", "/proc/x"], "^--output_dir: /proc/x must be a folder to write to"),
    ],
)
def test_wrong_input_is_told_in_one_line_with_code_2(
    flags: Flags,
    further: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        main(flags(*further))
    assert exit_code(lambda: main(flags(*further))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_the_folder_does_not_have_is_refused_with_those_it_has(
    flags: Flags, two_tasks: str, no_training: None
) -> None:
    with pytest.raises(InputError, match=r"^--tasks: .*data does not have 'rte'; it has cola, sst2\."):
        main(flags("--data", two_tasks, "--tasks", "sst2,rte", command="glue"))


@pytest.mark.parametrize(
    ("tasks", "message"),
    [(",", "must name at least one task"), ("sst2,boolq", "'boolq'"), ("sts2", "Did you mean")],
)
def test_wrong_tasks_of_a_benchmark_are_refused(flags: Flags, tasks: str, message: str, no_training: None) -> None:
    with pytest.raises(InputError, match=message):
        main(flags("--tasks", tasks, command="glue"))


def test_a_command_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"got 'superglu'\. Did you mean 'superglue'\? See --help\."):
        main(["superglu", "--data", "demo"])


def test_a_benchmark_that_the_demo_does_not_have_is_refused(flags: Flags, no_training: None) -> None:
    with pytest.raises(InputError, match="^--data: must have tasks of the benchmark, but the demo has GLUE's alone"):
        main(flags(command="superglue"))


def test_a_checkpoint_that_is_absent_is_refused(flags: Flags, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="^model: '.*absent' does not exist"):
        main(flags("--model_name_or_path", str(tmp_path / "absent")))


def test_a_run_that_diverges_is_told_in_one_line(flags: Flags) -> None:
    with pytest.raises(InputError, match=r"^sst2, seed 42: .*\. Give a lower --learning_rate\.$"):
        main(flags("--learning_rate", "1e30", "--max_steps", "6", "--logging_steps", "1"))


def test_one_row_of_a_regression_is_scored_or_refused(flags: Flags) -> None:
    assert exit_code(lambda: main(flags("--task_name", "stsb", "--max_eval_samples", "1"))) in (0, 2)


def test_the_module_ends_with_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["finetune", "--task_name", "cola"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(command.__file__, run_name="__main__")
    assert caught.value.code == 2
    expected = "--model_name_or_path: must name a checkpoint. Give a folder or a hub name.\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("words", [["--help"], ["glue", "--help"], ["superglue", "-h"], []])
def test_help_does_not_wait_for_torch(words: list[str]) -> None:
    code = (
        "import sys\nfrom finetune.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code\n"
        "else: raise AssertionError\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True)
    assert "--learning_rate" in done.stdout
    assert "--help_all" in done.stdout


def test_an_optimizer_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"^--optim: must be one of adamw, .* got 'mfca'\. Did you mean 'mfac'\?$"):
        main(["--model_name_or_path", "x", "--task_name", "mrpc", "--optim", "mfca"])


@pytest.mark.parametrize(
    ("words", "example"),
    [
        (["--help"], "python -m finetune --model_name_or_path tiny --task_name mrpc"),
        (["glue", "--help"], "python -m finetune glue --model_name_or_path tiny"),
        (["superglue", "--help"], "python -m finetune superglue --model_name_or_path tiny"),
        (["compare", "--help"], "python -m finetune compare adam/result.json mfac/result.json"),
    ],
)
def test_help_ends_with_code_0_and_shows_the_example(
    capsys: pytest.CaptureFixture[str], words: list[str], example: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    assert example in " ".join(capsys.readouterr().out.split())


def test_bfloat16_needs_a_gpu(flags: Flags, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrain.arguments.is_torch_bf16_gpu_available", lambda: False)
    with pytest.raises(InputError, match=r"^--bf16: needs a GPU .*there is none\. Leave it out, or --use_cpu true"):
        main(flags("--bf16", "true", "--use_cpu", "false"))
