"""What the parameters of a run's trials may be, and how the database keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Value = str | int | float


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers between two bounds, both of them among it.

    Attributes:
        low: Least.
        high: Greatest, >= low.
        is_whole: Whole numbers alone.
    """

    low: float
    high: float
    is_whole: bool

    def __contains__(self, value: object) -> bool:
        is_number = isinstance(value, int if self.is_whole else (int, float)) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high  # type: ignore[operator]


Choices = Mapping[str, Sequence[str | int] | Range]
"""By the parameter's name, the values that it may take."""


def distribution(values: Sequence[str | int] | Range) -> BaseDistribution:
    """The same as Optuna's."""
    if not isinstance(values, Range):
        return CategoricalDistribution(values)
    if values.is_whole:
        return IntDistribution(int(values.low), int(values.high))
    return FloatDistribution(values.low, values.high)


def to_json(choices: Choices) -> dict[str, Any]:
    """A list of a parameter's values, or the bounds of its range as an object."""
    return {
        name: {"low": values.low, "high": values.high, "whole": values.is_whole}
        if isinstance(values, Range)
        else list(values)
        for name, values in choices.items()
    }


def from_json(kept: Mapping[str, Any]) -> dict[str, Sequence[str | int] | Range]:
    """The inverse of `to_json`.

    Raises:
        KeyError: If a bound is not there.
    """
    return {
        name: Range(low=values["low"], high=values["high"], is_whole=values["whole"])
        if isinstance(values, dict)
        else values
        for name, values in kept.items()
    }
