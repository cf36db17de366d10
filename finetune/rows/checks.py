"""What rows must be like before anything is learned from them."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from design_space.errors import InputError
from finetune.rows.files import Row
from finetune.rows.splits import text_key

_logger = logging.getLogger(__name__)


def refuse_other_validation(parts: Iterable[str], where: str) -> None:
    """Refuse to draw validation rows where a part looks as if it held some.

    Args:
        parts: Names of the parts that there are, none of which is "validation".
        where: Named in the refusal.

    Raises:
        InputError: If a name begins as `dev`, `val` or `validation_matched` do.
    """
    for part in parts:
        if part.startswith(("dev", "val")):
            raise InputError(
                f"{where}: must have its validation rows under the name validation, has {part}. Rename it."
            )


def check_texts(rows: Sequence[Row], text_fields: Sequence[str], where: str) -> None:
    """Refuse rows whose text fields are absent, hold no text, or are all empty.

    Args:
        rows: Of any kind.
        text_fields: Which fields must be there.
        where: Named in the refusal.

    Raises:
        InputError: With the number of the first such row, from 1.
    """
    for number, row in enumerate(rows, start=1):
        for field in text_fields:
            if field not in row:
                raise InputError(f"{where}: row {number} has no {field!r}; it has {', '.join(map(str, row))}.")
            if not is_text(row[field]):
                raise InputError(f"{where}: row {number}: {field} must be text, got {row[field]!r:.40}.")
        if not any(row[field].strip() for field in text_fields):
            names = " or ".join(text_fields)
            raise InputError(f"{where}: row {number} must have a text in {names}, is empty. Leave the row out.")


def warn_of_shared_texts(
    rows: Mapping[str, Sequence[Row]], text_fields: Sequence[str], where: Mapping[str, str]
) -> None:
    """Say so where a part has texts of an earlier one: what is scored on them is no measure of new texts.

    Args:
        rows: Of train and, where they are there, validation and test.
        text_fields: What makes a text.
        where: Names of the parts, for the warning.
    """
    keys = {part: Counter(text_key(row, text_fields) for row in rows[part]) for part in rows}
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if first not in keys or second not in keys:
            continue
        shared = sum(count for key, count in keys[second].items() if key in keys[first])
        if keys[first] == keys[second]:
            _logger.warning(
                "%s: holds the same rows as %s. Scores on it say nothing of new texts.", where[second], where[first]
            )
        elif shared:
            _logger.warning(
                "%s: %d of %d rows have texts that %s has too. Scores on them say nothing of new texts.",
                where[second],
                shared,
                keys[second].total(),
                where[first],
            )


def require_two_labels(rows: Sequence[Row], where: str) -> None:
    """Refuse training rows that all have one label, of which nothing can be learned.

    Raises:
        InputError: With the label.
    """
    labels = {row["label"] for row in rows}
    if len(labels) == 1:
        raise InputError(f"{where}: must have at least two different labels, all are {labels.pop()}. Add others.")


def is_missing(label: object) -> bool:
    """Whether a cell holds no label: nothing, an empty text, or NaN.

    Example:
        >>> [is_missing(label) for label in (None, " ", float("nan"), 0, "no")]
        [True, True, True, False, False]
    """
    if isinstance(label, str):
        return not label.strip()
    return label is None or (isinstance(label, float) and math.isnan(label))


def refuse_missing(numbers: Sequence[int], column: str, where: str) -> None:
    """Refuse rows, numbered from 1, whose cell in a column is missing.

    Raises:
        InputError: If there is one, with the first one's number.
    """
    if numbers:
        rest = f" (and {len(numbers) - 1} more rows)" if len(numbers) > 1 else ""
        raise InputError(f"{where}: row {numbers[0]}{rest}: {column} must be given, is missing. Fill in or leave out.")


def without_label(row: Row) -> dict[str, Any]:
    """A row whose label is not known."""
    return {field: value for field, value in row.items() if field != "label"}


def is_text(value: object) -> bool:
    """Whether a value is text that can be written as UTF-8, which half a surrogate pair cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
