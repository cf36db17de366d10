"""A table of results for a person: what there is room for is whole, the rest is left out."""

from collections.abc import Collection, Sequence
from itertools import accumulate

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

_MORE = "…"
_PADDING = 2
_MORE_WIDTH = _PADDING + 1


def grid(
    heads: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    width: int,
    *,
    title: str | None = None,
    right: Collection[str] = (),
) -> Table:
    """As many of the columns, from the first on, as there is room for, then one of "…" in place of the others.

    No cell is cut: where not even the first column has room, each of its cells goes on in the next line.

    Args:
        heads: Of the columns, what matters most first.
        rows: A cell a column; strings are shown as they are.
        width: Of the terminal, in characters.
        title: Above it all.
        right: Heads of the columns that end at the right, as numbers do.
    """
    table = Table(title=None if title is None else Text(title), title_justify="left", box=None)
    widths = [_PADDING + max(cell_len(str(cell)) for cell in column) for column in zip(heads, *rows, strict=True)]
    num_shown = _num_fitting(widths, width)
    for place, head in enumerate(heads[:num_shown]):
        table.add_column(Text(head), justify="right" if head in right else "left", no_wrap=place > 0, overflow="fold")
    if num_shown < len(heads) and sum(widths[:num_shown]) + _MORE_WIDTH <= width:
        table.add_column(_MORE, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row[:num_shown]))
    return table


def _num_fitting(widths: Sequence[int], width: int) -> int:
    """How many columns fit, at least one; where not all do, beside one of "…"."""
    if sum(widths) <= width:
        return len(widths)
    return max(1, sum(end <= width - _MORE_WIDTH for end in accumulate(widths)))
