"""Feature rows of a table: what kernels and networks can measure distances on.

Symbols: n rows, d feature columns. Every choice has about the same weight: two different categories are 1 apart, the
two ends of a numeric column too.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from boshnas.columns import Column, Kind, as_text

Rows = NDArray[np.float64]

MAX_POSITIONS = 20
"""Numeric columns with at most so many distinct values count places, not sizes."""

_LOG_RATIO = 10.0
_ABSENT = -0.5
_EMPTY = "empty"
_NUMBERED = re.compile(r"(.*?\D)\d+")


@dataclass(frozen=True)
class Features:
    """Rows for a `Pool`.

    Attributes:
        X: Shape (n, d), finite.
        groups: Number of the choice that each column belongs to, length d.
        names: What each column says, such as `op_1=SA`, length d.
    """

    X: Rows
    groups: tuple[int, ...]
    names: tuple[str, ...]


def encode(frame: pd.DataFrame, columns: Sequence[Column]) -> Features:
    """Turn columns of a table into numbers.

    A category (empty is one, too) of two levels is 0 or 1; of more, one-hot columns over √2. A numeric column of at
    most 20 distinct values is the position of the value among them, from 0 to 1; of more, its value, or the logarithm
    where all are positive and span more than a factor of 10, scaled from 0 to 1. Empty is −0.5: a layer that is not
    there is not a small one.

    Columns that differ only in a number at the end (`op_1`, `op_2`, …) repeat one choice along the layers, so their
    totals are added: of numbers, the sum of 1 + position over the layers that are there; else how often each level
    occurs. Each total is scaled from 0 to 1, a block of w of them divided by √max(1, w/2).

    Args:
        frame: Typed columns (`columns.typed`), n rows.
        columns: Which of them are features, described over these rows; none constant.

    Returns:
        Rows, with one group for each column and one for each block of totals.

    Example:
        >>> from boshnas.columns import describe
        >>> frame = pd.DataFrame({"width": [128, 256, 512], "op": pd.Series(["conv", "skip", "conv"], dtype=object)})
        >>> encode(frame, [describe(frame["width"]), describe(frame["op"])]).X
        array([[0. , 0. ],
               [0.5, 1. ],
               [1. , 0. ]])
    """
    blocks = [_block(frame[column.name], column) for column in columns]
    families: dict[str, list[Column]] = {}
    for column in columns:
        if match := _NUMBERED.fullmatch(column.name):
            families.setdefault(match[1], []).append(column)
    for stem, family in families.items():
        if len(family) > 1 and (block := _totals(frame, stem, family)) is not None:
            blocks.append(block)
    widths = [len(names) for _, names in blocks]
    return Features(
        X=np.concatenate([rows for rows, _ in blocks], axis=1),
        groups=tuple(np.repeat(np.arange(len(blocks)), widths).tolist()),
        names=tuple(name for _, names in blocks for name in names),
    )


def _block(values: pd.Series, column: Column) -> tuple[Rows, list[str]]:
    """Rows (n, w) of one column, and what its w columns say."""
    if column.kind is Kind.CATEGORICAL:
        codes, levels = _levels(values)
        if len(levels) == 2:
            return codes[:, None].astype(np.float64), [f"{column.name}={levels[1]}"]
        return np.eye(len(levels))[codes] / math.sqrt(2), [f"{column.name}={level}" for level in levels]
    numbers = values.to_numpy(np.float64)
    if column.num_levels == 1:
        return (~np.isnan(numbers))[:, None].astype(np.float64), [f"{column.name} present"]
    scaled = _position(numbers) if column.num_levels <= MAX_POSITIONS else _size(numbers)
    return np.where(np.isnan(numbers), _ABSENT, scaled)[:, None], [column.name]


def _levels(values: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """Level of each row, shape (n,), and the levels: empty first where it occurs, then sorted."""
    codes, levels = pd.factorize(values, sort=True)
    has_empty = bool((codes < 0).any())
    return codes + has_empty, [_EMPTY] * has_empty + [str(level) for level in levels]


def _position(numbers: Rows, among: Rows | None = None) -> Rows:
    """Place of each number among the distinct ones, scaled to [0, 1]; any value at NaN; same shape."""
    distinct = np.unique(numbers if among is None else among)
    distinct = distinct[~np.isnan(distinct)]
    return np.searchsorted(distinct, numbers) / max(len(distinct) - 1, 1)


def _size(numbers: Rows) -> Rows:
    """Numbers, or their logarithms where they span decades, scaled to [0, 1]; shape (n,)."""
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    # Subtracting in half units keeps the span of the largest floats finite.
    scaled = np.log(numbers) if low > 0 and high / low > _LOG_RATIO else numbers / 2
    low, high = np.nanmin(scaled), np.nanmax(scaled)
    result: Rows = (scaled - low) / (high - low)
    return result


def _totals(frame: pd.DataFrame, stem: str, family: Sequence[Column]) -> tuple[Rows, list[str]] | None:
    """Rows (n, w) of a family's totals, and what they say; None where they are constant."""
    if all(column.kind is not Kind.CATEGORICAL for column in family):
        numbers = frame[[column.name for column in family]].to_numpy(np.float64)
        totals = np.where(np.isnan(numbers), 0.0, 1.0 + _position(numbers)).sum(axis=1)[:, None]
        names = [f"{stem}*"]
    else:
        totals, levels = _counts([frame[column.name] for column in family])
        names = [f"{stem}*={level}" for level in levels]
    low, span = totals.min(axis=0), np.ptp(totals, axis=0)
    kept = np.flatnonzero(span > 1e-9)  # sums of one number in another order differ by rounding
    if not len(kept):
        return None
    rows = (totals[:, kept] - low[kept]) / span[kept] / math.sqrt(max(1.0, len(kept) / 2))
    return rows, [names[place] for place in kept]


def _counts(columns: Sequence[pd.Series]) -> tuple[Rows, list[str]]:
    """How often each level occurs in each row, shape (n, number of levels), and the levels."""
    texts = [values if values.dtype == object else values.map(as_text, na_action="ignore") for values in columns]
    text = pd.concat([values.astype(object) for values in texts], ignore_index=True)
    codes, levels = _levels(text)
    num_rows = len(columns[0])
    places = np.tile(np.arange(num_rows), len(columns)) * len(levels) + codes
    counts = np.bincount(places, minlength=num_rows * len(levels)).reshape(num_rows, len(levels))
    return counts.astype(np.float64), levels
