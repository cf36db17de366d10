"""How far a stream of documents is, told on stderr while it is read."""

import sys
import time
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_FIRST_S = 2.0


def counted(documents: Iterable[str], what: str) -> Iterator[str]:
    """Pass documents on and tell how many there were, if it takes more than two seconds.

    On a terminal a line that is kept up to date, elsewhere one at the start and one at the end.

    Args:
        documents: Of unknown number.
        what: Is done with them.

    Yields:
        The documents.
    """
    told = _Live(what) if sys.stderr.isatty() else _Lines(what)
    start = time.monotonic()
    is_long = False
    num_chars = number = 0
    try:
        for number, document in enumerate(documents, start=1):
            num_chars += len(document)
            yield document
            if not is_long and time.monotonic() - start > _FIRST_S:
                is_long = True
                told.begin()
            if is_long:
                told.update(number, num_chars)
    finally:
        if is_long:
            told.end(number, num_chars, time.monotonic() - start)


class _Lines:
    def __init__(self, what: str) -> None:
        self._what = what

    def begin(self) -> None:
        self._write("…")

    def update(self, number: int, num_chars: int) -> None:
        """Say nothing before the end."""

    def end(self, number: int, num_chars: int, seconds: float) -> None:
        self._write(f": {number:,} documents, {num_chars / 1e6:,.1f} million characters in {seconds:.0f} s")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"{self._what}{text}\n")
        sys.stderr.flush()


class _Live(_Lines):
    """The same with a line between that changes in place."""

    def begin(self) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what)
        self._bar.start()

    def update(self, number: int, num_chars: int) -> None:
        if number % 100 == 0:
            text = f"{self._what}: {number:,} documents, {num_chars / 1e6:,.1f} million characters"
            self._bar.update(self._task, description=text)

    def end(self, number: int, num_chars: int, seconds: float) -> None:
        self._bar.stop()
        super().end(number, num_chars, seconds)
