"""A search in progress, for a person: a live table in a terminal, plain lines elsewhere."""

import math
import time
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from boshnas.job import Progress
from boshnas.trial import Decision, Trial

_REFRESH_SECONDS = 0.5


class _Counts:
    """What both views know: how far the search is, and how good."""

    def __init__(self, num_total: int, score_name: str) -> None:
        self.num_total = num_total
        self.score_name = score_name
        self.num_before = 0
        self.num_ended = 0
        self.start = time.monotonic()
        self.best: Trial | None = None

    def ended(self, trial: Trial) -> None:
        self.num_ended += 1
        is_candidate = trial.score is not None and trial.proposal.decision is not Decision.BASELINE
        if is_candidate and (self.best is None or (trial.score or 0.0) > (self.best.score or 0.0)):
            self.best = trial

    def summary(self) -> str:
        elapsed = time.monotonic() - self.start
        num_seen = self.num_ended - self.num_before
        left = elapsed / num_seen * (self.num_total - self.num_ended) if num_seen else None
        best = f"best {self.score_name} {self.best.score:.2f} ({self.best.id})" if self.best else "no score yet"
        ahead = f", about {clock(left)} left" if left is not None else ""
        return f"{self.num_ended} of {self.num_total} evaluations, {best}, {clock(elapsed)} gone{ahead}"


class PlainView:
    """One line for each start and each end.

    Args:
        stream: Where to write.
        num_total: Evaluations in all.
        score_name: What the score is called.
        num_ended: Evaluations that a resumed search has behind it.
    """

    def __init__(self, stream: TextIO, num_total: int, score_name: str, num_ended: int = 0) -> None:
        self._stream = stream
        self._counts = _Counts(num_total, score_name)
        self._counts.num_ended = self._counts.num_before = num_ended

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def started(self, trial: Trial) -> None:
        """Say which candidate is being trained, and why."""
        self._write(f"{trial.number:>4} {trial.id} started: {described(trial)}")

    def ended(self, trial: Trial) -> None:
        """Say how it went, and how far the search is."""
        self._counts.ended(trial)
        self._write(f"{trial.number:>4} {trial.id} {outcome(trial, self._counts.score_name)}; {self._counts.summary()}")

    def retried(self, trial: Trial) -> None:
        """Say why an attempt failed."""
        self._write(f"{trial.number:>4} {trial.id} {attempt_failed(trial)}")

    def waits(self, reason: str | None) -> None:
        """Say what is waited for, and when it is over."""
        self._write(waiting(reason))

    def tick(self, running: Mapping[int, Progress | None]) -> None:
        """Say nothing."""

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class SilentView:
    """Shows nothing."""

    def started(self, trial: Trial) -> None:
        """Say nothing."""

    def ended(self, trial: Trial) -> None:
        """Say nothing."""

    def retried(self, trial: Trial) -> None:
        """Say nothing."""

    def waits(self, reason: str | None) -> None:
        """Say nothing."""

    def tick(self, running: Mapping[int, Progress | None]) -> None:
        """Say nothing."""


class LiveView:
    """A table of what runs, redrawn in place; ended evaluations scroll by above it.

    Args:
        console: A terminal.
        num_total: Evaluations in all.
        score_name: What the score is called.
        num_ended: Evaluations that a resumed search has behind it.
    """

    def __init__(self, console: Console, num_total: int, score_name: str, num_ended: int = 0) -> None:
        self._counts = _Counts(num_total, score_name)
        self._counts.num_ended = self._counts.num_before = num_ended
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._trials: dict[int, Trial] = {}
        self._started: dict[int, float] = {}
        self._drawn = 0.0

    def __enter__(self) -> "LiveView":
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.__exit__(None, None, None)

    def started(self, trial: Trial) -> None:
        """Add a row."""
        self._trials[trial.number] = trial
        self._started[trial.number] = time.monotonic()

    def ended(self, trial: Trial) -> None:
        """Print the outcome above the table."""
        self._counts.ended(trial)
        self._print(f"{trial.number:>4} {trial.id} {outcome(trial, self._counts.score_name)} · {described(trial)}")

    def retried(self, trial: Trial) -> None:
        """Print above the table why an attempt failed."""
        self._print(f"{trial.number:>4} {trial.id} {attempt_failed(trial)}")

    def waits(self, reason: str | None) -> None:
        """Print above the table what is waited for, and when it is over."""
        self._print(waiting(reason))

    def _print(self, line: str) -> None:
        self._live.console.print(escape(line), highlight=False)

    def tick(self, running: Mapping[int, Progress | None]) -> None:
        """Redraw, at most twice a second."""
        if time.monotonic() - self._drawn < _REFRESH_SECONDS:
            return
        self._drawn = time.monotonic()
        table = Table(box=None, title=escape(self._counts.summary()), title_justify="left")
        for column in ("#", "architecture", "why", "stage", "", "time"):
            table.add_column(column)
        for number, progress in running.items():
            trial = self._trials[number]
            stage = progress.stage if progress else "starting"
            share = progress.step / progress.num_steps if progress and progress.num_steps else 0.0
            bar = ProgressBar(total=1.0, completed=share, width=20)
            seconds = clock(time.monotonic() - self._started[number])
            table.add_row(str(number), trial.id, escape(described(trial)), escape(stage), bar, seconds)
        self._live.update(table, refresh=True)


def described(trial: Trial) -> str:
    """Level, decision and transfer of a trial, in a few words."""
    if trial.proposal.decision is Decision.BASELINE:
        return "baseline"
    transfer = f", weights of {trial.parent_id}" if trial.parent_id else ""
    return f"level {trial.level}, {trial.proposal.decision}{transfer}"


def outcome(trial: Trial, score_name: str) -> str:
    """Score and time of an ended trial, or why it failed."""
    if trial.score is None:
        reason = (trial.error or "").strip().splitlines()
        return f"failed ({trial.status}): {reason[0] if reason else 'no reason given'}"
    return f"{score_name} {trial.score:.2f} in {clock(sum(trial.stage_seconds.values()))}"


def attempt_failed(trial: Trial) -> str:
    """Why the last attempt of a trial failed, which is tried again."""
    attempt = trial.attempts[-1]
    reason = attempt.error.strip().splitlines()
    return f"tried again after attempt {len(trial.attempts)} ({attempt.status}): {reason[0] if reason else 'no reason'}"


def waiting(reason: str | None) -> str:
    """What the search waits for, or that it goes on."""
    return "The search goes on." if reason is None else f"The search waits: {reason}. Make room; it goes on by itself."


def clock(seconds: float) -> str:
    """Seconds as 12s, 3m05s or 2h07m; `?` where they are no number."""
    if not math.isfinite(seconds):
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
