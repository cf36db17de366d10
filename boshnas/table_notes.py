"""What a user should know of a table's rows: values that say nothing, rows that repeat, features that give away."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from boshnas.columns import Column, Kind

Values = NDArray[np.float64]

_LEAK = 0.999
_MIN_LEAK_ROWS = 5  # fewer agree in rank by chance


def notes_on_rows(X: Values, values: Values, objective: str) -> list[str]:
    """Lines on values that are all the same and on rows that repeat.

    Args:
        X: Feature rows, shape (n, d).
        values: Objective, shape (n,), NaN where not measured.
        objective: What it is called.
    """
    notes = []
    present = ~np.isnan(values)
    if present.any() and np.ptp(values[present]) == 0:
        notes.append(f"warning: {objective} is the same in every row: nothing to find")
    if num_alike := int(pd.DataFrame(X).duplicated(keep=False).sum()):
        notes.append(
            f"{num_alike} rows have the features of another: each stays a candidate, and their values count as "
            "repeated measurements"
        )
    return notes


def leaks(frame: pd.DataFrame, columns: Sequence[Column], values: Values, objective: str, is_named: bool) -> list[str]:
    """A line on each feature that orders the rows as the objective does.

    Args:
        frame: Typed columns, n rows.
        columns: Features.
        values: Objective, shape (n,), NaN where not measured.
        objective: What it is called.
        is_named: The user named the features.
    """
    notes = []
    for column in columns:
        if column.kind is Kind.CATEGORICAL:
            continue
        correlation = _spearman(frame[column.name].to_numpy(np.float64), values)
        if abs(correlation) > _LEAK:
            way_out = "of --features" if is_named else f"with --ignore {column.name}"
            notes.append(
                f"warning: {column.name}: orders the rows as {objective} does (Spearman {correlation:.4f}): "
                f"leaks the objective? If so, leave it out {way_out}"
            )
    return notes


def _spearman(first: Values, second: Values) -> float:
    """Rank correlation of two columns, each (n,), over the rows where both are present; 0 where one is constant."""
    both = ~(np.isnan(first) | np.isnan(second))
    ranks = [pd.Series(values[both]).rank().to_numpy(np.float64) for values in (first, second)]
    if both.sum() < _MIN_LEAK_ROWS or any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    first, second = ((rank - rank.mean()) / rank.std() for rank in ranks)
    return float((first * second).mean())
