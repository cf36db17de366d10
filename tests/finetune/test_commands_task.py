"""`python -m finetune --task_type`: texts for texts, from the flags to the files that are kept."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationMixin

from design_space.errors import InputError
from finetune import runs
from finetune.__main__ import main

Flags = Callable[..., list[str]]


@pytest.fixture
def flags(t5: str, colours_file: str) -> Flags:
    """A small run's flags, further ones appended."""
    base = {
        "--model_name_or_path": t5,
        "--task_type": "closed_book_qa",
        "--train_file": colours_file,
        "--validation_file": colours_file,
        "--max_target_length": "5",
        "--max_steps": "40",
        "--learning_rate": "1e-2",
        "--use_cpu": "true",
        "--disable_tqdm": "true",
    }

    def make(*further: str, without: tuple[str, ...] = ()) -> list[str]:
        left_out = {*without, *(word for word in further if word in base)}
        return [*(word for pair in base.items() if pair[0] not in left_out for word in pair), *further]

    return make


def rows_of(table: str) -> dict[str, list[str]]:
    """The cells of a Markdown table by their first."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {name: cells for name, *cells in lines}


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_t5_learns_keeps_and_predicts(
    flags: Flags, colours_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in Path(colours_file).read_text().splitlines()]
    rows = [row | {"subset": kind} for row, kind in zip(rows, ["factual", "odd"] * 4, strict=True)]
    marked, out = write(tmp_path / "marked.jsonl", rows), str(tmp_path / "out")
    bare = write(tmp_path / "bare.jsonl", [{"question": row["question"]} for row in reversed(rows)])
    words = flags("--validation_file", marked, "--test_file", bare, "--do_train", "--do_predict", "--output_dir", out)
    main([*words, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "out" / "result.json").read_text())
    (task,) = result["tasks"]
    (run,) = task["runs"]
    assert (task["task"], task["test"], run["score"]) == ("closed_book_qa", None, 100)
    assert run["metrics"] == {"exact_match": 1.0, "token_f1": 1.0}
    assert set(run["intervals"]) == {"score", "exact_match", "token_f1"}
    assert run["details"]["odd exact_match"] == run["details"]["factual token_f1"] == 1.0
    assert run["details"]["near_misses"] == 0.0
    assert (task["setting"]["num_beams"], task["setting"]["max_target_length"]) == (1, 5)
    table = rows_of((tmp_path / "out" / "result.md").read_text())
    assert table["exact_match"][0] == table["odd exact_match"][0] == table["odd exact_match"][1] == "100.00"
    assert table["words_too_many"][0] == "0.00"
    assert len({len(cells) for cells in table.values()}) == 1
    with (tmp_path / "out" / "predictions.tsv").open(newline="") as file:
        predicted = list(csv.DictReader(file, delimiter="\t"))
    assert [row["prediction"] for row in predicted] == [row["answer"] for row in reversed(rows)]
    assert set(predicted[0]) == {"index", "prediction", "question"}
    # Further runs go on where these ended, with the same setting alone.
    main([*words, "--resume", "--num_runs", "2", "--json"])
    both = json.loads(capsys.readouterr().out)["tasks"][0]["runs"]
    assert both[0] == run
    assert len(both) == 2
    with pytest.raises(InputError, match="holds runs with num_beams 1, got 2"):
        main([*words, "--resume", "--num_beams", "2"])


def test_a_kept_model_is_scored_and_asked_with_beams(
    by_heart: str,
    colours_file: str,
    flags: Flags,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beams = []
    search = GenerationMixin._beam_search

    def watched(self: Any, *args: Any, generation_config: Any, **kwargs: Any) -> Any:
        beams.append(generation_config.num_beams)
        return search(self, *args, generation_config=generation_config, **kwargs)

    monkeypatch.setattr(GenerationMixin, "_beam_search", watched)
    words = flags("--model_name_or_path", by_heart, "--do_eval", without=("--train_file",))
    main([*words, "--json"])
    greedy = json.loads(capsys.readouterr().out)["tasks"][0]["runs"][0]
    assert (greedy["score"], greedy["num_steps"], beams) == (100, 0, [])
    words += ["--do_predict", "--test_file", colours_file, "--output_dir", str(tmp_path / "out")]
    main([*words, "--num_beams", "3", "--json"])
    (task,) = json.loads(capsys.readouterr().out)["tasks"]
    assert task["runs"][0]["metrics"] == task["test"] == greedy["metrics"]
    assert beams == [3, 3]  # the scored rows, and the predicted ones


def test_a_prefix_is_put_before_each_input(by_heart: str, flags: Flags, capsys: pytest.CaptureFixture[str]) -> None:
    words = flags("--model_name_or_path", by_heart, "--do_eval", "--json", without=("--train_file",))
    main([*words, "--source_prefix", "snow plum "])
    assert json.loads(capsys.readouterr().out)["tasks"][0]["runs"][0]["score"] < 100


def test_sources_and_targets_are_learnt_from_columns_of_any_name(
    flags: Flags, colours_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in Path(colours_file).read_text().splitlines()]
    file = write(tmp_path / "pairs.jsonl", [{"from": row["question"], "to": row["answer"]} for row in rows])
    words = flags("--task_type", "seq2seq", "--train_file", file, "--validation_file", file, "--json")
    main([*words, "--text_columns", "from", "--label_column", "to"])
    assert json.loads(capsys.readouterr().out)["score"]["mean"] == 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task_name", "sst2"], "--task_name: must not be given with --task_type. Leave one of them out."),
        (["--problem", "regression"], "--problem: must not be given with --task_type"),
        (["--version_2_with_negative"], "--version_2_with_negative: must not be given with --task_type"),
        (["--task_type", "translation"], "argument --task_type/--task-type: invalid choice: 'translation'"),
        (["--num_beams", "0"], "--num_beams: must be at least 1, got 0."),
        (["--max_target_length", "0"], "--max_target_length: must be at least 2, got 0."),
        (["--subset_column", "kind"], "colours.jsonl: must have the column 'kind', has 'question', 'answer'"),
        (["--text_columns", "a", "b"], "--text_columns: must name one column"),
    ],
)
def test_what_does_not_go_with_texts_is_refused(
    flags: Flags, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.setattr(runs, "finetune", lambda *_, **__: pytest.fail("began to train"))
    with pytest.raises(InputError, match=message.replace(".", r"\.")) as caught:
        main(flags(*words))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("flag", ["--num_beams", "--max_target_length", "--source_prefix", "--subset_column"])
def test_flags_of_texts_are_refused_without_their_task(flags: Flags, flag: str) -> None:
    words = flags("--task_name", "sst2", "--data", "demo", without=("--task_type", "--train_file", "--validation_file"))
    with pytest.raises(InputError, match=f"^{flag}: is for --task_type. Give that too, or leave {flag} out."):
        main([*(word for word in words if word not in ("--max_target_length", "5")), flag, "7"])
