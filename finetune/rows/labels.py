"""Labels of any data set: whether they are classes or values, and what the classes are called."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from design_space.errors import InputError
from finetune.rows.files import spelled_number

PROBLEMS = ("classification", "regression")
MAX_INFERRED_CLASSES = 20  # whole numbers with more different values may as well be measurements

Value = bool | int | float | str


@dataclass(frozen=True)
class Labels:
    """What the labels of a data set mean.

    Attributes:
        column: Which one holds them.
        names: Of the classes by their codes, from 0; empty for a regression.
    """

    column: str
    names: tuple[str, ...]

    @property
    def description(self) -> str:
        """What they are, in words."""
        if not self.names:
            return "a regression"
        rest = ", …" if len(self.names) > 10 else ""
        return f"{len(self.names)} classes: {', '.join(self.names[:10])}{rest}"

    def read(self, cell: object, where: str) -> int | float:
        """The code of a cell's class, or its value.

        Args:
            cell: As it stands in the data.
            where: File and row, named in the refusal.

        Raises:
            InputError: If it is no class of the training rows, or no finite number.
        """
        value = _value(cell, self.column, where)
        if self.names:
            if _name(value) not in self.names:
                raise InputError(
                    f"{where}: {self.column} must be one of the training rows' {self.description}; "
                    f"got {cell!r:.40}. Correct it, or add such training rows."
                )
            return self.names.index(_name(value))
        if isinstance(value, bool | str):
            raise InputError(
                f"{where}: {self.column} must be a number, got {cell!r:.40}. "
                "Correct it, or say --problem classification."
            )
        return float(value)


def find_labels(cells: Sequence[object], column: str, problem: str | None, where: str) -> Labels:
    """What the labels of some training rows mean.

    Texts and booleans are classes, and so are whole numbers of at most 20 different values; other numbers are values
    of a regression. A text that spells a number is that number. Classes are named by their texts and numbered in the
    order of their names (whole numbers in their own order, so that 0 to k - 1 keep their codes).

    Args:
        cells: One a training row, none of them missing.
        column: Where they stand.
        problem: "classification", "regression", or None to tell by the cells.
        where: Named in the refusal.

    Raises:
        InputError: If a cell is neither text nor number, the cells do not say what they are, or all are equal.
    """
    if problem not in (None, *PROBLEMS):
        raise InputError(f"--problem: must be {' or '.join(PROBLEMS)}, got {problem!r}. Name one, or leave it out.")
    values = [_value(cell, column, f"{where}: row {number}") for number, cell in enumerate(cells, start=1)]
    names = set(map(_name, values))
    if len(names) < 2:
        raise InputError(
            f"{where}: {column} must have at least two different labels, all are {values[0]!r:.40}. "
            "Give rows with others."
        )
    if (problem or _problem(values, column, where)) == "regression":
        return Labels(column, ())
    return Labels(column, tuple(sorted(names, key=_place(names))))


def _problem(values: Sequence[Value], column: str, where: str) -> str:
    numbers = [value for value in values if not isinstance(value, bool | str)]
    num_different = len(set(map(_name, values)))
    are_many = num_different > MAX_INFERRED_CLASSES
    are_decimal = any(number != int(number) for number in numbers)
    if len(numbers) < len(values):
        if numbers and (are_decimal or are_many):
            row, value = next(pair for pair in enumerate(values, start=1) if isinstance(pair[1], bool | str))
            raise InputError(
                f"{where}: row {row}: {column} must be a number as others are, got {value!r:.40}. "
                "Correct it, or say --problem classification."
            )
        if are_many and 2 * num_different > len(values):
            raise InputError(
                f"{where}: {column} must have labels that repeat, has {num_different} different ones in {len(values)} "
                "rows. Name the column with --label_column, or say --problem classification."
            )
        return "classification"
    if are_decimal:
        return "regression"
    if are_many:
        raise InputError(
            f"{where}: {column} must be classes or values, which {num_different} different whole numbers do not tell. "
            "Say --problem classification or --problem regression."
        )
    return "classification"


def _value(cell: object, column: str, where: str) -> Value:
    value = spelled_number(cell.strip()) if isinstance(cell, str) else cell
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and abs(value) <= sys.float_info.max:  # neither NaN nor infinite
        return value
    raise InputError(
        f"{where}: {column} must be a text, a finite number or a boolean, got {cell!r:.40}. Correct it, or name "
        "another column with --label_column."
    )


def _name(value: Value) -> str:
    """A class's name: 1, 1.0 and "1" are one class."""
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _place(names: set[str]) -> Callable[[str], Any]:
    are_numbers = not any(isinstance(spelled_number(name), str) for name in names)
    return spelled_number if are_numbers else str
