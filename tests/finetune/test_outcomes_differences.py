"""What differs between two settings, and the lines that say so."""

from typing import Any

import pytest

from design_space.errors import InputError
from finetune.outcomes.differences import differing, lines_of, require_same_rows
from finetune.outcomes.repeats import RunOutcome, SettingOutcome


def outcome(task: str, **setting: Any) -> SettingOutcome:
    run = RunOutcome(task=task, seed=1, score=50.0, metrics={"accuracy": 0.5}, loss=0.5, num_steps=3, seconds=2.0)
    return SettingOutcome(model="mini", data="glue", task=task, runs=(run,), setting=setting)


def lines(*pairs: tuple[SettingOutcome, SettingOutcome]) -> list[str]:
    return lines_of(differing(pairs), [a.task for a, _ in pairs])


def test_a_name_that_differs_has_a_line():
    pair = outcome("rte", rate=1e-4, decay=0.1, optim="sgd"), outcome("rte", rate=3e-4, decay=0.1, optim="adamw")
    assert differing([pair]) == {"rate": {"rte": {"a": 1e-4, "b": 3e-4}}, "optim": {"rte": {"a": "sgd", "b": "adamw"}}}
    assert lines(pair) == ["rate: A 0.0001, B 0.0003", "optim: A sgd, B adamw"]


def test_tasks_are_named_where_not_all_agree():
    names = ("cola", "mrpc", "rte")
    pairs = [
        (outcome(name, rate=1, rows=rows, size=8), outcome(name, rate=2, rows=100, size=size))
        for name, rows, size in zip(names, (300, 300, 200), (8, 8, 9), strict=True)
    ]
    assert lines(*pairs) == [
        "rate: A 1, B 2",
        "rows: A 300, B 100 (cola, mrpc); A 200, B 100 (rte)",
        "size: A 8, B 9 (rte)",
    ]


def test_a_name_of_one_side_alone_differs_from_one_that_is_none():
    pair = outcome("rte", rate=1, old=None), outcome("rte", rate=1, new=2)
    assert differing([pair]) == {"old": {"rte": {"a": None}}, "new": {"rte": {"b": 2}}}
    assert lines(pair) == ["old: A None, B -", "new: A -, B 2"]


def test_equal_settings_are_said_to_be_the_same():
    pair = outcome("rte", rate=1), outcome("rte", rate=1)
    assert differing([pair]) == {}
    assert lines(pair) == ["The settings are the same."]


def test_nothing_is_said_where_a_setting_is_not_known():
    known, unknown = (outcome("rte", rate=1), outcome("rte", rate=2)), (outcome("cola", rate=1), outcome("cola"))
    assert differing([known, unknown]) is None
    assert lines(known, unknown) == []


def test_other_numbers_of_scored_rows_are_refused_where_both_are_known():
    a, b = outcome("rte", num_validation_rows=408), outcome("rte", num_validation_rows=100)
    with pytest.raises(
        InputError, match=r"^compare: A and B must be scored on the same rows of rte, got 408 and 100\. "
    ):
        require_same_rows(a, b)
    require_same_rows(a, a)
    require_same_rows(a, outcome("rte", num_train_rows=9))
