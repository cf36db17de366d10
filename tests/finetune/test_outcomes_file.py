"""The file of repeated runs: what it holds, that it comes back equal, and what is not such a file."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from design_space.errors import InputError
from finetune.outcomes.file import SCHEMA, json_ready, read_outcomes, to_json, write_outcomes
from finetune.outcomes.repeats import RunOutcome, SettingOutcome


def outcome(task: str, *scores: float, model: str = "mini") -> SettingOutcome:
    runs = (
        RunOutcome(
            task=task,
            seed=seed,
            score=score,
            metrics={"accuracy": score / 100},
            loss=0.5,
            num_steps=3,
            seconds=2.0,
            intervals={"accuracy": (score / 100 - 0.1, score / 100 + 0.1)} if seed == 1 else {},
        )
        for seed, score in enumerate(scores, start=1)
    )
    return SettingOutcome(model=model, data="glue", task=task, runs=tuple(runs))


OUTCOMES = [outcome("rte", 60.0, 64.0), outcome("wnli", 50.0, 56.0)]


def test_outcomes_come_back_equal(tmp_path: Path):
    write_outcomes(tmp_path / "runs.json", OUTCOMES)
    assert read_outcomes(tmp_path / "runs.json") == OUTCOMES
    assert [path.name for path in tmp_path.iterdir()] == ["runs.json"]


def test_the_setting_and_the_metrics_on_test_rows_come_back(tmp_path: Path):
    given = replace(OUTCOMES[0], setting={"learning_rate": 1e-4, "optim_args": None}, test={"accuracy": 0.5})
    write_outcomes(tmp_path / "runs.json", [given, OUTCOMES[1]])
    rte, wnli = json.loads((tmp_path / "runs.json").read_text())["tasks"]
    assert (rte["setting"], rte["test"]) == ({"learning_rate": 1e-4, "optim_args": None}, {"accuracy": 0.5})
    assert (wnli["setting"], wnli["test"]) == ({}, None)
    assert read_outcomes(tmp_path / "runs.json") == [given, OUTCOMES[1]]


def test_a_setting_that_json_does_not_know_is_written(tmp_path: Path):
    given = replace(OUTCOMES[0], setting={"folder": tmp_path, "max_grad_norm": math.inf, "betas": (0.9, 0.99)})
    write_outcomes(tmp_path / "runs.json", [given])
    (read,) = read_outcomes(tmp_path / "runs.json")
    assert read.setting == {"folder": str(tmp_path), "max_grad_norm": "Infinity", "betas": [0.9, 0.99]}
    assert json_ready(read.setting) == read.setting


def test_the_layout():
    content = to_json(OUTCOMES)
    assert content["schema"] == SCHEMA == 1
    assert (content["model"], content["data"]) == ("mini", "glue")
    assert content["score"] == {"mean": 57.5, "std": pytest.approx(5 / 2**0.5)}
    assert content["score_without_wnli"] == {"mean": 62.0, "std": pytest.approx(4 / 2**0.5)}
    rte, wnli = content["tasks"]
    assert (rte["task"], wnli["task"]) == ("rte", "wnli")
    assert rte["mean"] == {"score": 62.0, "accuracy": pytest.approx(0.62)}
    assert rte["std"] == {"score": pytest.approx(8**0.5), "accuracy": pytest.approx(8**0.5 / 100)}
    assert rte["best_seed"] == 2
    assert json.loads(json.dumps(rte["runs"][0])) == {
        "task": "rte",
        "seed": 1,
        "score": 60.0,
        "metrics": {"accuracy": 0.6},
        "loss": 0.5,
        "num_steps": 3,
        "seconds": 2.0,
        "intervals": {"accuracy": [0.5, 0.7]},
        "details": {},
        "num_parameters": None,
        "num_trained": None,
        "peak_memory_bytes": None,
    }


def test_one_run_of_wnli_has_neither_deviation_nor_a_score_without_it():
    content = to_json([outcome("wnli", 50.0)])
    assert content["score"] == {"mean": 50.0, "std": None}
    assert content["score_without_wnli"] is None
    assert content["tasks"][0]["std"] is None


def test_what_follows_from_the_runs_and_what_has_a_default_may_be_absent(tmp_path: Path):
    content = json.loads(json.dumps(to_json(OUTCOMES)))
    del content["score"], content["score_without_wnli"]
    for task in content["tasks"]:
        del task["mean"], task["std"], task["best_seed"], task["runs"][1]["intervals"], task["setting"], task["test"]
    (tmp_path / "runs.json").write_text(json.dumps(content))
    assert read_outcomes(tmp_path / "runs.json") == OUTCOMES


def test_outcomes_of_two_settings_are_not_written(tmp_path: Path):
    with pytest.raises(InputError, match="must be of one model and data"):
        write_outcomes(tmp_path / "runs.json", [*OUTCOMES, outcome("cola", 1.0, model="base")])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="runs.json: cannot be written: No such file or directory. Give another file"):
        write_outcomes(tmp_path / "absent" / "runs.json", OUTCOMES)


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema=2), "schema: Input should be 1"),
        (lambda c: c.pop("schema"), "schema: Field required"),
        (lambda c: c.pop("data"), "data: Field required"),
        (lambda c: c.update(extra=1), "extra: Unexpected keyword argument"),
        (lambda c: c["tasks"][0].pop("runs"), "tasks.0.runs: Field required"),
        (lambda c: c["tasks"][0].update(extra=1), "tasks.0.extra: Unexpected keyword"),
        (lambda c: c["tasks"][1]["runs"][0].update(seed="1"), "tasks.1.runs.0.seed: Input should be a valid integer"),
        (lambda c: c["tasks"][1]["runs"][0].update(score=None), "tasks.1.runs.0.score: Input should be a valid number"),
        (lambda c: c["tasks"][1]["runs"][0].update(extra=1), "tasks.1.runs.0.extra: Unexpected keyword"),
        (lambda c: c["tasks"][0]["runs"][0].update(metrics={"f1": 61.0}), r"f1 must be in \[-1, 1\], got 61.0"),
        (lambda c: c["tasks"][0].update(test={"f1": 61.0}), r"rte, test rows: f1 must be in \[-1, 1\], got 61.0"),
        (lambda c: c["tasks"][0].update(setting=[]), "tasks.0.setting: Input should be an object"),
        (lambda c: c["tasks"][0]["runs"][1].update(seed=1), "rte: seeds must differ, got 1 2 times"),
        (lambda c: c["tasks"][0].update(runs=[]), "rte: runs must be at least one"),
        (lambda c: c.update(tasks=[]), "must be of at least one task, got none"),
        (lambda c: c["tasks"].append(c["tasks"][0]), "each task must have one outcome, got 'rte' 2 times"),
    ],
)
def test_a_changed_file_is_refused_in_one_line_that_names_it(tmp_path: Path, change: Change, message: str):
    content = json.loads(json.dumps(to_json(OUTCOMES)))
    change(content)
    path = tmp_path / "runs.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"^{path}: .*{message}") as refusal:
        read_outcomes(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 1', b"\xff\xfe", b"null"])
def test_another_file_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "runs.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: must be a file of repeated runs, is not: "):
        read_outcomes(path)


def test_an_absent_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="absent.json: cannot be read: No such file or directory"):
        read_outcomes(tmp_path / "absent.json")
