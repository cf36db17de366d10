"""Several tasks from one checkpoint: their mean, with and without WNLI, and how many rows are used."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from finetune import glue
from finetune.data import TaskData
from finetune.glue import finetune_tasks
from finetune.tasks import GLUE, Task
from finetune.train import TaskResult

SCORES = {"cola": 80.0, "sst2": 35.0, "wnli": 50.0}
PAIRS = [
    {"sentence1": "the dog ran .", "sentence2": f"the cat {v} .", "label": n % 2} for n, v in enumerate("abcdefgh")
]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stand-in for the training: notes what it was asked and returns the scores above."""
    seen: list[dict[str, Any]] = []

    def finetune(
        checkpoint: str, task: Task, data: TaskData, arguments: Any, max_seq_length: int, save_to: Any, report: Any
    ) -> TaskResult:
        seen.append({"checkpoint": checkpoint, "task": task.name, "data": data, "save_to": save_to})
        seen[-1] |= {"arguments": arguments, "max_seq_length": max_seq_length, "report": report}
        if report:
            report(1, 7)
        score = SCORES[task.name]
        return TaskResult(task=task.name, score=score, metrics={"accuracy": score}, loss=1.0, num_steps=7, seconds=0.1)

    monkeypatch.setattr(glue, "finetune", finetune)
    return seen


def run(names: list[str], arguments: Any, **kwargs: Any) -> Any:
    return finetune_tasks("somewhere", [GLUE[name] for name in names], "demo", arguments, **kwargs)


@pytest.mark.parametrize(
    ("names", "score", "without"),
    [
        (["cola", "sst2", "wnli"], 55.0, 57.5),
        (["cola", "sst2"], 57.5, 57.5),
        (["wnli"], 50.0, None),
        (["wnli", "cola"], 65.0, 80.0),
    ],
)
def test_score_is_the_mean_with_and_without_wnli(
    calls: list[dict[str, Any]], arguments: Callable[..., Any], names: list[str], score: float, without: float | None
):
    result = run(names, arguments(), max_train_samples=1, max_eval_samples=1)
    assert result.score == pytest.approx(score)
    assert result.score_without_wnli == (None if without is None else pytest.approx(without))
    assert [task.task for task in result.tasks] == names
    assert [task.score for task in result.tasks] == [SCORES[name] for name in names]


def test_every_task_starts_from_the_same_checkpoint_with_the_same_arguments(
    calls: list[dict[str, Any]], arguments: Callable[..., Any]
):
    settings = arguments()
    run(["cola", "sst2"], settings, max_seq_length=33)
    assert [(call["checkpoint"], call["task"]) for call in calls] == [("somewhere", "cola"), ("somewhere", "sst2")]
    assert all(call["arguments"] is settings and call["max_seq_length"] == 33 for call in calls)
    assert [call["save_to"] for call in calls] == [None, None]


def test_the_first_rows_are_used_or_all(calls: list[dict[str, Any]], arguments: Callable[..., Any]):
    run(["cola"], arguments())
    run(["cola"], arguments(), max_train_samples=17, max_eval_samples=5)
    run(["cola"], arguments(), max_train_samples=10**9)
    whole, cut, more = (call["data"] for call in calls)
    assert (len(whole.train), len(whole.validation)) == (2_000, 400)
    assert cut.train == whole.train[:17]
    assert cut.validation == whole.validation[:5]
    assert more == whole


def test_a_report_names_its_task(calls: list[dict[str, Any]], arguments: Callable[..., Any]):
    told: list[tuple[str, int, int]] = []
    run(["cola", "wnli"], arguments(), report=lambda *step: told.append(step))
    assert told == [("cola", 1, 7), ("wnli", 1, 7)]
    run(["cola"], arguments())
    assert calls[-1]["report"] is None


def test_two_tasks_really_run_and_each_keeps_its_model(
    checkpoint: str,
    separable: TaskData,
    arguments: Callable[..., Any],
    write_task: Callable[..., str],
    tmp_path: Path,
):
    folder = write_task("wnli", PAIRS, PAIRS)
    write_task("sst2", separable.train, separable.validation)
    told = []
    result = finetune_tasks(
        checkpoint,
        [GLUE["sst2"], GLUE["wnli"]],
        folder,
        arguments(max_steps=2),
        keep_models=True,
        report=lambda *step: told.append(step),
    )
    sst2, wnli = result.tasks
    assert result.score == pytest.approx((sst2.score + wnli.score) / 2)
    assert result.score_without_wnli == sst2.score
    assert told == [(name, step, 2) for name in ("sst2", "wnli") for step in (1, 2)]
    for name in ("sst2", "wnli"):
        assert tuple(AutoConfig.from_pretrained(tmp_path / "out" / name).id2label.values()) == GLUE[name].labels
