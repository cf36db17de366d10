"""How long each evaluation of a simulated campaign takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

from boshnas.errors import InputError, did_you_mean
from boshnas.table import Table

MEDIAN_MINUTES = 30.0
KINDS = ("lognormal", "constant", "column")
_STREAM = 1


@dataclass(frozen=True, kw_only=True)
class Durations:
    """Where durations come from.

    Attributes:
        median_s: Of the drawn ones, seconds; 0 for those of a column.
        sigma: Standard deviation of their logarithm; 0: all are the median.
        column: The table's column that holds them, in seconds; empty: its costs.
    """

    median_s: float = 0.0
    sigma: float = 0.0
    column: str | None = None

    @classmethod
    def parse(cls, text: str, median_minutes: float | None) -> "Durations":
        """Read `lognormal:SIGMA`, `constant`, `column:NAME` or `column`.

        Args:
            text: As typed.
            median_minutes: Of the drawn ones; None: 30.

        Raises:
            InputError: If the kind is unknown, or a number is not above 0 or not asked for.
        """
        kind, has_value, value = text.partition(":")
        if kind not in KINDS:
            hint = did_you_mean(kind, KINDS, "Choose one of these.")
            rule = "must be lognormal:SIGMA, constant or column:NAME"
            raise InputError(f"--durations: {rule}, got {text!r}. {hint}")
        if kind == "column":
            if median_minutes is not None:
                raise InputError("--median-minutes: must not be given with the durations of a column. Leave it out.")
            return cls(column=value)
        if kind == "constant" and has_value:
            raise InputError(f"--durations: constant must stand alone, got {text!r}. Give --median-minutes instead.")
        median = MEDIAN_MINUTES if median_minutes is None else median_minutes
        if not 0 < median < inf:
            raise InputError(f"--median-minutes: must be above 0, got {median:g}. Change it.")
        return cls(median_s=60 * median, sigma=0.0 if kind == "constant" else _sigma(value, text))

    def seconds(self, table: Table, seed: int) -> Mapping[str, float]:
        """Seconds by id; drawn ones depend on the seed and the place in the table alone.

        Raises:
            InputError: If the column is absent, or has a cell that is empty, not a number, or not above 0.
        """
        if self.column is None:
            normal = np.random.default_rng([seed, _STREAM]).standard_normal(len(table.candidates))
            drawn = self.median_s * np.exp(self.sigma * normal)
            return dict(zip(table.candidates, drawn.tolist(), strict=True))
        if self.column:
            return _column(table, self.column)
        if table.costs is None:
            raise InputError("--durations: column must name one, column:NAME, or go with --cost NAME. Add a name.")
        return table.costs


def _sigma(value: str, text: str) -> float:
    try:
        sigma = float(value)
    except ValueError:
        raise InputError(
            f"--durations: lognormal must have the deviation of the logarithm, got {text!r}. For example lognormal:1.0."
        ) from None
    if not 0 < sigma < inf:
        raise InputError(f"--durations: the sigma of lognormal must be above 0, got {sigma:g}. Or ask for constant.")
    return sigma


def _column(table: Table, name: str) -> dict[str, float]:
    try:
        cells = table.cells(name)
    except KeyError:
        hint = did_you_mean(name, table.row(table.candidates[0]), "Name one.")
        raise InputError(
            f"--durations: {table.name} must have the column that is named, got {name!r}. {hint}"
        ) from None
    return {id_: _seconds(cells[id_], name, id_) for id_ in table.candidates}


def _seconds(value: str | int | float | None, name: str, id_: str) -> float:
    if isinstance(value, int | float) and 0 < value < inf:
        return float(value)
    got = "nothing" if value is None else repr(value)
    raise InputError(
        f"--durations: column {name!r} must hold seconds above 0 in every row, got {got} in row {id_}. "
        "Correct it, or draw durations: lognormal:1.0."
    )
