"""What the columns of a table hold, which of them describe an architecture, and limits on them."""

import json
import operator
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from boshnas.errors import InputError, did_you_mean

EMPTY = ("", "NA", "N/A", "NaN", "nan", "null")
"""Texts that mean: no value, such as a layer that is not there. `None` and `none` are names."""

MAX_LEVELS = 256
_SPACE = r"[^\S\x1c-\x1f]*"  # what `float` takes for it
_NUMBER = re.compile(rf"{_SPACE}[+-]?(((?!0\d)\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf(inity)?){_SPACE}", re.IGNORECASE)
_ZEROS_FIRST = re.compile(r"\s*[+-]?0\d[\d.]*\s*")
_LIMIT = re.compile(r"\s*(.+?)\s*(<=|>=|==|<|>)\s*(.+?)\s*")
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_EXACT_INTEGER = 2.0**53
_EPOCH = pd.Timestamp(0, tz="UTC")


class Kind(StrEnum):
    """How the values of a column are compared."""

    CATEGORICAL = "categorical"
    INTEGER = "integer"
    REAL = "real"


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one column holds.

    Attributes:
        name: In the table's header.
        kind: Of its values.
        num_levels: Distinct values, empty not counted.
        num_empty: Rows without a value.
        num_rows: Rows in all.
    """

    name: str
    kind: Kind
    num_levels: int
    num_empty: int
    num_rows: int

    @property
    def is_constant(self) -> bool:
        """True where it tells no row from another; empty counts as a value."""
        return self.num_levels + (self.num_empty > 0) < 2

    @property
    def is_identifier(self) -> bool:
        """True for text that names rows instead of describing them."""
        num_levels = self.num_levels + (self.num_empty > 0)
        return self.kind is Kind.CATEGORICAL and (num_levels > MAX_LEVELS or 2 < num_levels == self.num_rows)

    def __str__(self) -> str:
        levels = "levels" if self.kind is Kind.CATEGORICAL else "values"
        empty = f", {self.num_empty} empty" if self.num_empty else ""
        return f"{self.name}: {self.kind}, {self.num_levels} {levels}{empty}"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A condition on a column of numbers, such as `params <= 5e6`.

    Example:
        >>> Limit.parse("params<=5e6", "table.csv")
        Limit(column='params', comparison='<=', bound=5000000.0)
    """

    column: str
    comparison: str
    bound: float

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """Read `COLUMN COMPARISON NUMBER`.

        Raises:
            InputError: If the text is not of the form.
        """
        match = _LIMIT.fullmatch(text)
        if match is None or not _NUMBER.fullmatch(match[3]):
            raise InputError(f"{where}: constraint must have the form 'params<=5e6', got {text!r}. Give a number.")
        return cls(column=match[1], comparison=match[2], bound=float(match[3]))

    def holds(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which values are within the limit, NaN never; same shape."""
        return np.asarray(_COMPARISONS[self.comparison](values, self.bound), dtype=bool) & ~np.isnan(values)


def typed(values: pd.Series) -> tuple[pd.Series, bool]:
    """A column as numbers where every value is one, else as text.

    Args:
        values: Of any type, length n; text is read, `EMPTY` means no value. Numbers that begin with a zero, as 0121,
            are codes, so text. Dates become days since 1970-01-01, in UTC.

    Returns:
        The column with type int64, float64 (NaN where empty) or object (text, None where empty), and whether numbers
        and other text stand in it together.
    """
    kind = getattr(values.dtype, "kind", "O")
    if holds_dates(values):
        days = (pd.to_datetime(values, utc=True) - _EPOCH) / pd.Timedelta(days=1)
        return days.astype(np.float64), False
    if kind in "iu" and not values.isna().any():
        return values.astype(np.int64 if values.max() < _EXACT_INTEGER else np.float64), False
    if kind in "iuf":
        return values.astype(np.float64), False
    text = values.astype(object) if values.dtype == "str" else values.map(as_text).astype(object)
    codes, levels = pd.factorize(text.where(~text.isin(EMPTY), None))
    is_number = [_NUMBER.fullmatch(level) is not None for level in levels]
    if all(is_number):
        numbers = np.array([*map(float, levels), np.nan])[codes]
        is_exact = np.isfinite(numbers).all() and (abs(numbers) < _EXACT_INTEGER).all()
        whole = is_exact and all(re.fullmatch(r"\s*[+-]?\d+\s*", level) for level in levels)
        return pd.Series(numbers.astype(np.int64) if whole else numbers, values.index, name=values.name), False
    is_other = [
        not number and not _ZEROS_FIRST.fullmatch(level) for number, level in zip(is_number, levels, strict=True)
    ]
    names = np.array([*levels, None], dtype=object)[codes]
    return pd.Series(names, values.index, dtype=object, name=values.name), any(is_number) and any(is_other)


def holds_dates(values: pd.Series) -> bool:
    """True for a column of dates or of times of day and date, as a .parquet file has them; text is not looked into."""
    if values.dtype == object:
        return pd.api.types.infer_dtype(values, skipna=True) in ("date", "datetime")
    return getattr(values.dtype, "kind", "O") == "M"


def holds_lists(values: pd.Series) -> bool:
    """True where a cell is a list or an object, as .json and .parquet files have them."""
    return values.dtype == object and any(isinstance(value, (dict, list, tuple, np.ndarray)) for value in values)


def as_text(value: Any) -> str:
    """A cell as it would stand in a text file; lists and objects as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list, tuple, np.ndarray)):
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, default=str)
    if value is None or pd.isna(value):
        return ""
    is_whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if is_whole else str(value)


def describe(values: pd.Series) -> Column:
    """What a typed column holds, length n."""
    name, num_empty = str(values.name), int(values.isna().sum())
    numbers = {"num_levels": int(values.nunique()), "num_empty": num_empty, "num_rows": len(values)}
    if values.dtype == object:
        return Column(name=name, kind=Kind.CATEGORICAL, **numbers)
    present = values.to_numpy(np.float64)[~values.isna()]
    is_whole = bool((np.isinf(present) | (present == np.round(present))).all())
    return Column(name=name, kind=Kind.INTEGER if is_whole else Kind.REAL, **numbers)


def numbers_of(frame: pd.DataFrame, name: str, role: str, where: str) -> NDArray[np.float64]:
    """A column that has to hold finite numbers, shape (n,), NaN where empty.

    Raises:
        InputError: Naming the first row with something else.
    """
    values = frame[name]
    if values.dtype == object:
        is_bad = np.array([value is not None and not _NUMBER.fullmatch(value) for value in values])
    else:
        is_bad = np.isinf(values.to_numpy(np.float64))
    if is_bad.any():
        place = int(np.argmax(is_bad))
        raise InputError(
            f"{where}: {role} column {name!r} must hold finite numbers, got {_plain(values.iloc[place])} "
            f"in row {values.index[place]} (counted from 0). Correct the row, or name another column."
        )
    return values.to_numpy(np.float64)


def require_known(names: Collection[str], frame: pd.DataFrame, role: str, where: str) -> None:
    """Refuse names that no column has, with the closest that one has."""
    for name in names:
        if name not in frame.columns:
            columns = [str(column) for column in frame.columns]
            hint = did_you_mean(name, columns, f"It has {shortened(columns)}.")
            raise InputError(f"{where}: {role} must be a column of the table, got {name!r}. {hint}")


def select_features(
    frame: pd.DataFrame, candidates: Sequence[str], is_named: bool, where: str, lists: Collection[str] = ()
) -> tuple[list[Column], list[str]]:
    """The columns that tell architectures apart.

    Args:
        frame: Typed columns, n rows.
        candidates: Columns to choose from, in order.
        is_named: The user named them, so one that is no feature is refused; else it is left out.
        where: The table, for errors.
        lists: Columns whose cells were lists before they became text.

    Returns:
        Features, and a line on each column that was left out.

    Raises:
        InputError: If nothing is left, or a feature is infinite or was named and is an identifier.
    """
    chosen, notes = [], []
    for column in (describe(frame[name]) for name in candidates):
        if column.is_constant:
            notes.append(f"{column.name}: left out, constant")
        elif column.is_identifier and is_named:
            raise InputError(
                f"{where}: feature {column.name!r} must have at most {MAX_LEVELS} levels and repeat some, got "
                f"{column.num_levels} different {_things(column, lists)} in {column.num_rows} rows. "
                f"{_way_out(column, lists)}"
            )
        elif column.is_identifier:
            notes.append(f"{column.name}: left out, {_why_no_category(column, lists)}")
        else:
            if column.kind is not Kind.CATEGORICAL:
                numbers_of(frame, column.name, "feature", where)
            chosen.append(column)
    if not chosen:
        reasons = f" ({shortened(notes, '; ')})" if notes else ""
        raise InputError(f"{where}: features must have a column that is not constant, got none{reasons}. Name others.")
    return chosen, notes


def _things(column: Column, lists: Collection[str]) -> str:
    return "lists" if column.name in lists else "texts"


def _way_out(column: Column, lists: Collection[str]) -> str:
    if column.name in lists:
        return "Give each place of the lists a column of its own."
    if column.num_levels + (column.num_empty > 0) == column.num_rows:
        return "It is an identifier: leave it out."
    return "Split it into columns of fewer levels, or leave it out."


def _why_no_category(column: Column, lists: Collection[str]) -> str:
    """Why a column of text is no feature, and what can be done."""
    if column.name in lists:
        return f"{column.num_levels} different lists: give each place of them a column of its own"
    if column.num_levels == column.num_rows:
        return f"{column.num_levels} different texts are an identifier: --id {column.name} names the rows by it"
    if column.num_levels + 1 == column.num_rows:
        return f"{column.num_levels} different texts are an identifier"
    return (
        f"{column.num_levels} different texts are more than the {MAX_LEVELS} levels of a category: "
        "split it into columns of fewer"
    )


def shortened(words: Sequence[str], separator: str = ", ") -> str:
    """The first words, and how many more there are."""
    shown = separator.join(words[:12])
    return shown if len(words) <= 12 else f"{shown} and {len(words) - 12} more"


def _plain(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)
