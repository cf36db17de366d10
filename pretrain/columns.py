"""What every kind of source asks of its rows: that the column is there, and that its cells are text."""

import difflib
from collections.abc import Iterable, Iterator, Sequence

from design_space.errors import InputError

MAX_DOCUMENT_CHARS = 1_000_000


def column_position(column: str, names: Sequence[str], where: str) -> int:
    """Where a column stands.

    Args:
        column: Its name.
        names: Of all columns.
        where: Named in the refusal.

    Raises:
        InputError: If it is not there, with the nearest name.
    """
    if column not in names:
        raise InputError(
            f"{where}: must have the column {column!r}, has {', '.join(map(repr, names))}.{nearest(column, names)}"
        )
    return names.index(column)


def nearest(column: str, names: Iterable[str]) -> str:
    """The end of a refusal: which column may be meant."""
    near = difflib.get_close_matches(column, map(str, names), n=1, cutoff=0.5)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return f"{meant} Name the one that holds the text: --text_column, or column in a recipe."


def checked_text(value: object, where: str, column: str) -> str:
    """A cell's text.

    Raises:
        InputError: If it is no text.
    """
    if not isinstance(value, str):
        raise InputError(f"{where}: {column!r} must be text, got {value!r:.40}. Leave the row out.")
    return value


def pieces(text: str) -> Iterator[str]:
    """A text without surrounding white space, none if it is empty, several if it is longer than `MAX_DOCUMENT_CHARS`.

    Example:
        >>> list(pieces(" a b ")), list(pieces(" "))
        (['a b'], [])
    """
    text = text.strip()
    return (text[start : start + MAX_DOCUMENT_CHARS] for start in range(0, len(text), MAX_DOCUMENT_CHARS))
