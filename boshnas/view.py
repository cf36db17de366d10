"""A search in progress, for a person: a live table in a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from boshnas.errors import one_line
from boshnas.executors.outcome import LOG_FILE
from boshnas.job import Progress, job_folder
from boshnas.standing import Standing
from boshnas.trial import Trial
from boshnas.wording import (
    attempt_failed,
    believed,
    clock,
    described,
    error_end,
    harmless,
    number,
    outcome,
    stopping,
    stopping_at_once,
    waiting,
)

_REFRESH_SECONDS = 0.5
_BAR_WIDTH = 30
# From how many columns on a terminal has room for what is told of an evaluation.
_COLUMNS = {"#": 0, "architecture": 60, "why": 100, "stage": 0, "step": 45, "share": 0, "time": 30}
_INDENT = "     "


@contextmanager
def told(what: str, console: Console) -> Iterator[None]:
    """Tell what is being done: beside a turning wheel in a terminal, in a line elsewhere."""
    if console.is_terminal:
        with console.status(escape(what)):
            yield
        return
    console.print(f"{what[:1].upper()}{what[1:]}.", highlight=False, markup=False, soft_wrap=True)
    yield


class SilentView:
    """Shows nothing."""

    def __enter__(self) -> "SilentView":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def started(self, trial: Trial) -> None:
        """Say nothing."""

    def ended(self, trial: Trial) -> None:
        """Say nothing."""

    def retried(self, trial: Trial) -> None:
        """Say nothing."""

    def waits(self, reason: str | None) -> None:
        """Say nothing."""

    def stops(self, num_running: int) -> None:
        """Say nothing."""

    def stops_at_once(self, numbers: Sequence[int]) -> None:
        """Say nothing."""

    def tick(self, running: Mapping[int, Progress | None]) -> None:
        """Say nothing."""


class QuietView(SilentView):
    """Says only what a person must know to act.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def waits(self, reason: str | None) -> None:
        """Say what is waited for, and when it is over."""
        self._write(waiting(reason))

    def stops(self, num_running: int) -> None:
        """Say what is waited for."""
        self._write(stopping(num_running))

    def stops_at_once(self, numbers: Sequence[int]) -> None:
        """Say what is ended."""
        self._write(stopping_at_once(numbers))

    def _write(self, line: str) -> None:
        self._stream.write(harmless(line) + "\n")
        self._stream.flush()


class PlainView(QuietView):
    """One line for each start and each end.

    Args:
        stream: Where to write.
        standing: Of the search; it is kept up to date.
        is_verbose: More is to be told: what was believed, where the files are, how attempts failed.
    """

    def __init__(self, stream: TextIO, standing: Standing, *, is_verbose: bool = False) -> None:
        super().__init__(stream)
        self._standing = standing
        self._is_verbose = is_verbose

    def started(self, trial: Trial) -> None:
        """Say which candidate is being trained, and why."""
        self._standing.started(trial)
        self._write(f"{trial.number:>4} {trial.id} started: {described(trial)}")
        self._tell(_beginning(trial, self._standing.folder))

    def ended(self, trial: Trial) -> None:
        """Say how it went, and how far the search is."""
        self._standing.ended(trial)
        self._write(f"{trial.number:>4} {trial.id} {_outcome(trial, self._standing)}; {self._standing.summary()}")
        self._tell(error_end(trial.error))

    def retried(self, trial: Trial) -> None:
        """Say why an attempt failed."""
        self._standing.retried(trial)
        self._write(f"{trial.number:>4} {trial.id} {attempt_failed(trial, _log(trial, self._standing.folder))}")
        self._tell(error_end(trial.attempts[-1].error))

    def stops(self, num_running: int) -> None:
        """Say what is waited for."""
        self._standing.is_stopping = True
        super().stops(num_running)

    def _tell(self, lines: Sequence[str]) -> None:
        for line in lines if self._is_verbose else ():
            self._stream.write(f"{_INDENT}{line}\n")
        self._stream.flush()


class LiveView:
    """How the search stands and what runs, redrawn in place; ended evaluations scroll by above it.

    It is drawn to the width that the terminal has at the time: where there is little, less is told of each evaluation.

    Args:
        console: A terminal.
        standing: As in `PlainView`.
        is_verbose: As in `PlainView`.
    """

    def __init__(self, console: Console, standing: Standing, *, is_verbose: bool = False) -> None:
        self._standing = standing
        self._is_verbose = is_verbose
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._trials: dict[int, Trial] = {}
        self._drawn = 0.0
        self._stopping: str | None = None

    def __enter__(self) -> "LiveView":
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.__exit__(None, None, None)

    def started(self, trial: Trial) -> None:
        """Add a row."""
        self._standing.started(trial)
        self._trials[trial.number] = trial
        if self._is_verbose:
            self._print(f"{trial.number:>4} {trial.id} started: {described(trial)}")
            self._tell(_beginning(trial, self._standing.folder))

    def ended(self, trial: Trial) -> None:
        """Print the outcome above the table."""
        self._standing.ended(trial)
        self._print(f"{trial.number:>4} {trial.id} {_outcome(trial, self._standing)} · {described(trial)}")
        self._tell(error_end(trial.error))

    def retried(self, trial: Trial) -> None:
        """Print above the table why an attempt failed."""
        self._standing.retried(trial)
        self._print(f"{trial.number:>4} {trial.id} {attempt_failed(trial, _log(trial, self._standing.folder))}")
        self._tell(error_end(trial.attempts[-1].error))

    def waits(self, reason: str | None) -> None:
        """Print above the table what is waited for, and when it is over."""
        self._print(waiting(reason))

    def stops(self, num_running: int) -> None:
        """Say below the table what is waited for."""
        self._standing.is_stopping = True
        self._stopping = stopping(num_running)
        self._drawn = 0.0

    def stops_at_once(self, numbers: Sequence[int]) -> None:
        """Say in place of the table what is ended."""
        self._live.stop()
        self._print(stopping_at_once(numbers))

    def tick(self, running: Mapping[int, Progress | None]) -> None:
        """Redraw, at most twice a second."""
        if time.monotonic() - self._drawn < _REFRESH_SECONDS:
            return
        self._drawn = time.monotonic()
        width = self._live.console.width
        stopping = [Text(self._stopping, style="yellow")] if self._stopping else []
        self._live.update(Group(*self._head(width), self._rows(running, width), *stopping), refresh=True)

    def _head(self, width: int) -> list[RenderableType]:
        """How the search stands: a bar, and lines in the longest form that fits."""
        standing = self._standing
        share = f" {100 * standing.share:.0f} %"
        bar = Table.grid()
        room = min(_BAR_WIDTH, max(1, width - len(share) - 1))
        bar.add_row(ProgressBar(total=1.0, completed=standing.share, width=room), Text(share, no_wrap=True))
        failed = f", {standing.num_failed} failed" if standing.num_failed else ""
        short = f"{standing.num_ended} of {standing.num_total}"
        gone, ahead = clock(standing.elapsed_s), standing.ahead
        best, score = standing.best, number(0.0 if standing.best is None else standing.best.score or 0.0)
        named = "no score yet" if best is None else f"best {standing.score_name} {score} ({best.id})"
        found = standing.correlation
        lines = [
            (f"{standing.count}{failed}, {gone} gone{ahead}", f"{short}{failed}{ahead.replace('about ', '')}"),
            (named, named if best is None else f"best {score} ({best.id})"),
            *([] if found is None else [_correlation(*found)]),
        ]
        return [bar, *(_cut(next((form for form in forms if len(form) <= width), forms[-1])) for forms in lines)]

    def _rows(self, running: Mapping[int, Progress | None], width: int) -> Table:
        """What runs, in as many columns as there is room for."""
        table = Table(box=None, padding=(0, 1, 0, 0))
        shown = [name for name, least in _COLUMNS.items() if width >= least]
        for name in shown:
            table.add_column(name, no_wrap=True, overflow="ellipsis")
        for place, progress in running.items():
            cells = self._cells(place, progress)
            table.add_row(*(escape(one_line(cells[name])) for name in shown))
        return table

    def _cells(self, number: int, progress: Progress | None) -> dict[str, str]:
        trial = self._trials[number]
        has_steps = progress is not None and progress.num_steps > 0
        return {
            "#": str(number),
            "architecture": trial.id,
            "why": described(trial),
            "stage": progress.stage if progress else "starting",
            "step": f"{progress.step}/{progress.num_steps}" if progress and has_steps else "",
            "share": f"{min(100, 100 * progress.step / progress.num_steps):.0f} %" if progress and has_steps else "",
            "time": clock(self._standing.running_s(number) or 0.0),
        }

    def _tell(self, lines: Sequence[str]) -> None:
        for line in lines if self._is_verbose else ():
            self._print(f"{_INDENT}{line}")

    def _print(self, line: str) -> None:
        self._live.console.print(escape(harmless(line)), highlight=False)


def _beginning(trial: Trial, folder: Path | None) -> list[str]:
    """What more there is to say of a start."""
    return [] if folder is None else [f"{believed(trial)}; its log and files: {job_folder(folder, trial.number)}"]


def _outcome(trial: Trial, standing: Standing) -> str:
    log = _log(trial, standing.folder) if trial.failed else None
    return outcome(trial, standing.score_name, standing.took_s(trial), log)


def _log(trial: Trial, folder: Path | None) -> Path | None:
    """What an evaluation wrote, if it wrote anything."""
    path = None if folder is None else job_folder(folder, trial.number) / LOG_FILE
    return path if path is not None and path.is_file() and path.stat().st_size > 0 else None


def _correlation(value: float, num: int) -> tuple[str, str]:
    return f"surrogate: rank correlation {value:.2f} over {num} predictions", f"rank corr. {value:.2f}"


def _cut(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
