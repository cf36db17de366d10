"""Where two settings differ, task by task: by what name, and the values of both."""

from collections.abc import Mapping, Sequence
from typing import Any

from design_space.errors import InputError
from finetune.outcomes.repeats import SettingOutcome

Differing = dict[str, dict[str, dict[str, Any]]]
"""By name, then by task: the value of A under "a" and that of B under "b"; a side that lacks the name is not there."""

_NUM_ROWS = "num_validation_rows"


def require_same_rows(a: SettingOutcome, b: SettingOutcome) -> None:
    """Refuse outcomes of a task that were scored on different numbers of rows, where both say how many.

    Raises:
        InputError: With both numbers.
    """
    num_a, num_b = (side.setting.get(_NUM_ROWS) for side in (a, b))
    if num_a is not None and num_b is not None and num_a != num_b:
        raise InputError(
            f"compare: A and B must be scored on the same rows of {a.task}, got {num_a} and {num_b}. "
            "Run both with the same --max_eval_samples, or both without it."
        )


def differing(pairs: Sequence[tuple[SettingOutcome, SettingOutcome]]) -> Differing | None:
    """What differs between the settings of A and B.

    Args:
        pairs: Outcomes of A and of B, one pair a task.

    Returns:
        Empty where all is the same; None where the setting of an outcome is not known.
    """
    if not all(a.setting and b.setting for a, b in pairs):
        return None
    found: Differing = {}
    for a, b in pairs:
        for name in {**a.setting, **b.setting}:
            values = {key: side.setting[name] for key, side in (("a", a), ("b", b)) if name in side.setting}
            if len(values) == 1 or values["a"] != values["b"]:
                found.setdefault(name, {})[a.task] = values
    return found


def lines_of(found: Differing | None, tasks: Sequence[str]) -> list[str]:
    """A line a name, such as "learning_rate: A 0.0001, B 0.0003"; tasks stand there where not all agree.

    Args:
        found: What differs.
        tasks: All that were looked at.
    """
    if found is None:
        return []
    if not found:
        return ["The settings are the same."]
    return [f"{name}: {_values(by_task, tasks)}" for name, by_task in found.items()]


def _values(by_task: Mapping[str, Mapping[str, Any]], tasks: Sequence[str]) -> str:
    """Both values, for each group of tasks that have the same."""
    groups: dict[str, list[str]] = {}
    for task, values in by_task.items():
        groups.setdefault(f"A {values.get('a', '-')}, B {values.get('b', '-')}", []).append(task)
    if list(groups.values()) == [list(tasks)]:
        return next(iter(groups))
    return "; ".join(f"{both} ({', '.join(among)})" for both, among in groups.items())
