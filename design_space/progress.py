"""How a long computation tells how far it is."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_FIRST_LINE_S = 2.0
_NUM_LINES = 10

Report = Callable[[int, int], None]


@contextmanager
def progress(what: str) -> Iterator[Report]:
    """A bar on a terminal, a line at every tenth elsewhere, nothing for work under two seconds; all on stderr.

    Args:
        what: Is computed.

    Yields:
        Function that is told how much is done, and how much there is.
    """
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str) -> Report:
    start, told = time.monotonic(), [0]

    def report(done: int, total: int) -> None:
        tenth = _NUM_LINES * done // max(total, 1)
        if tenth > told[0] and time.monotonic() - start >= _FIRST_LINE_S:
            told[0] = tenth
            sys.stderr.write(f"{what}: {100 * tenth // _NUM_LINES} %\n")
            sys.stderr.flush()

    return report
