"""`python -m finetune`, in this process: its table, its files, and every refusal at the door."""

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from transformers import AutoConfig
from transformers.utils import logging as transformers_logging

from design_space.command_line import exit_code
from design_space.errors import InputError
from finetune import __main__ as command
from finetune.__main__ import main, table
from finetune.data import TaskData
from finetune.glue import GlueResult
from finetune.train import TaskResult


@pytest.fixture
def flags(checkpoint: str) -> Callable[..., list[str]]:
    """A small run's flags, further ones appended."""
    base = {
        "--model_name_or_path": checkpoint,
        "--task_name": "sst2",
        "--max_seq_length": "32",
        "--max_train_samples": "32",
        "--max_eval_samples": "16",
        "--max_steps": "2",
        "--use_cpu": "true",
    }

    def make(*further: str, without: tuple[str, ...] = ()) -> list[str]:
        return [word for flag, value in base.items() if flag not in without for word in (flag, value)] + list(further)

    return make


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a run that must be refused begins."""
    monkeypatch.setattr(command, "finetune_tasks", lambda *_, **__: pytest.fail("began to train"))


@pytest.fixture
def logging_level() -> Iterator[None]:
    before = transformers_logging.get_verbosity()
    yield
    transformers_logging.set_verbosity(before)


def outcome(**scores: float) -> GlueResult:
    tasks = [
        TaskResult(task=name, score=score, metrics={"accuracy": score / 100}, loss=0.5, num_steps=2, seconds=1.0)
        for name, score in scores.items()
    ]
    others = [score for name, score in scores.items() if name != "wnli"]
    without = sum(others) / len(others) if others else None
    return GlueResult(score=sum(scores.values()) / len(scores), score_without_wnli=without, tasks=tasks)


def test_a_run_prints_the_table_and_keeps_nothing(
    flags: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert exit_code(lambda: main(flags())) == 0
    header, row, score = capsys.readouterr().out.splitlines()[-3:]
    assert header.split() == ["task", "score", "metrics"]
    assert row.split()[0] == "sst2"
    assert float(row.split()[1]) == pytest.approx(100 * float(row.split()[3]), abs=0.01)
    assert score == f"demo GLUE score (synthetic data) {row.split()[1]} over 1 task"
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_keeps_models_and_the_result(
    flags: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    main(flags("--output_dir", str(tmp_path / "out"), "--json", "--task_name", "mnli,wnli"))
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert [task["task"] for task in result["tasks"]] == ["mnli", "wnli"]
    assert [task["num_steps"] for task in result["tasks"]] == [2, 2]
    assert result["score"] == pytest.approx(sum(task["score"] for task in result["tasks"]) / 2)
    assert result["score_without_wnli"] == result["tasks"][0]["score"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mnli", "result.json", "wnli"]
    assert AutoConfig.from_pretrained(tmp_path / "out" / "mnli").num_labels == 3


@pytest.mark.parametrize("tqdm", ["true", "false"])
def test_json_prints_nothing_else_on_stdout(
    flags: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], tqdm: str
):
    main(flags("--json", "--disable_tqdm", tqdm))
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_all_means_the_tasks_of_the_folder(
    flags: Callable[..., list[str]],
    write_task: Callable[..., str],
    separable: TaskData,
    capsys: pytest.CaptureFixture[str],
):
    folder = write_task("sst2", separable.train, separable.validation)
    write_task("cola", separable.train, separable.validation)
    main(flags("--data", folder, "--task_name", "all"))
    lines = capsys.readouterr().out.splitlines()[-4:]
    assert [line.split()[0] for line in lines[:3]] == ["task", "cola", "sst2"]
    assert lines[3].startswith("GLUE score ")
    assert lines[3].endswith(" over 2 tasks")


def test_the_same_flags_give_the_same_outcome(flags: Callable[..., list[str]], tmp_path: Path):
    results = []
    for name in ("one", "two"):
        main(flags("--output_dir", str(tmp_path / name)))
        results.append(json.loads((tmp_path / name / "result.json").read_text())["tasks"][0])
    assert (results[0]["score"], results[0]["loss"]) == (results[1]["score"], results[1]["loss"])


def test_a_folder_with_a_result_is_not_written_over(flags: Callable[..., list[str]], tmp_path: Path, no_training: None):
    (tmp_path / "result.json").write_text("precious")
    with pytest.raises(InputError, match="^--output_dir: .* holds a result already. Give another folder"):
        main(flags("--output_dir", str(tmp_path)))
    assert (tmp_path / "result.json").read_text() == "precious"


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--model_name_or_path", "^--model_name_or_path: must name a checkpoint. Give a folder or a hub name"),
        ("--task_name", "^--task_name: must name a task. Give one of GLUE, or 'all'"),
    ],
)
def test_a_missing_flag_is_refused(flags: Callable[..., list[str]], flag: str, message: str, no_training: None):
    with pytest.raises(InputError, match=message):
        main(flags(without=(flag,)))


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (["--task_name", "sst"], r"got 'sst'\. Did you mean 'sst2'\?"),
        (["--task_name", ","], "must name at least one task"),
        (["--data", "absent"], "^--data: must be 'demo', 'glue' or a folder, got 'absent', which does not exist"),
        (["--max_train_samples", "0"], r"^--max_train_samples: must be at least 1, got 0\."),
        (["--max_eval_samples", "-1"], r"^--max_eval_samples: must be at least 1, got -1\."),
        (["--max_seq_length", "0"], r"^--max_seq_length: must be at least 1, got 0\."),
        (["--max_seq_len", "8"], r"unknown flag '--max_seq_len'\. Did you mean --max_seq_length\?"),
        (["--task_nmae", "cola"], r"unknown flag '--task_nmae'\. Did you mean --task_name\?"),
        (["--learning_rate", "fast"], "argument --learning_rate.*invalid float value: 'fast'"),
    ],
)
def test_wrong_input_is_told_in_one_line_with_code_2(
    flags: Callable[..., list[str]],
    further: list[str],
    message: str,
    no_training: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        main(flags(*further))
    assert exit_code(lambda: main(flags(*further))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_a_task_that_the_folder_does_not_have_is_refused_with_those_it_has(
    flags: Callable[..., list[str]], write_task: Callable[..., str], separable: TaskData, no_training: None
):
    folder = write_task("sst2", separable.train, separable.validation)
    with pytest.raises(InputError, match=r"^--task_name: .*data does not have 'rte'; it has sst2\."):
        main(flags("--data", folder, "--task_name", "sst2,rte"))


def test_a_checkpoint_that_is_absent_is_refused(flags: Callable[..., list[str]], tmp_path: Path):
    with pytest.raises(InputError, match="^model: '.*absent' cannot be loaded"):
        main(flags("--model_name_or_path", str(tmp_path / "absent")))


def test_one_row_of_a_regression_is_scored_or_refused(flags: Callable[..., list[str]]):
    assert exit_code(lambda: main(flags("--task_name", "stsb", "--max_eval_samples", "1"))) in (0, 2)


@pytest.mark.parametrize(
    "scores", [{"sst2": 81.25}, {"sst2": 80.0, "wnli": 50.0}, {"wnli": 50.0}, {"cola": -3.0, "rte": 60.0}]
)
def test_a_demo_score_is_never_printed_without_the_word_demo(scores: dict[str, float]):
    lines = table(outcome(**scores), "demo").splitlines()
    totals = [line for line in lines if "GLUE" in line]
    assert len(totals) == (2 if {"sst2", "wnli"} <= set(scores) else 1)
    assert all(line.startswith("demo GLUE score (synthetic data)") for line in totals)


@pytest.mark.parametrize("data", ["glue", "/data/glue"])
def test_a_score_on_real_data_is_not_named_demo(data: str):
    text = table(outcome(sst2=80.0, wnli=50.0), data)
    assert "demo" not in text
    assert "synthetic" not in text
    assert text == (
        "task       score  metrics\n"
        "sst2       80.00  accuracy 0.8000\n"
        "wnli       50.00  accuracy 0.5000\n"
        "GLUE score 65.00 over 2 tasks\n"
        "GLUE score without WNLI 80.00\n"
    )


def test_the_module_ends_with_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logging_level: None
):
    monkeypatch.setattr("sys.argv", ["finetune", "--task_name", "cola"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(command.__file__, run_name="__main__")
    assert caught.value.code == 2
    expected = "--model_name_or_path: must name a checkpoint. Give a folder or a hub name.\n"
    assert capsys.readouterr().err == expected


def test_help_ends_with_code_0_and_shows_the_example(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "python -m finetune --model_name_or_path runs/x/best" in " ".join(capsys.readouterr().out.split())
