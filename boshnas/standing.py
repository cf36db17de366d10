"""How far a search is, how good, and how well its surrogate foresaw what was measured."""

import math
import time
from collections.abc import Sequence
from heapq import heapify, heapreplace
from pathlib import Path
from statistics import fmean

from scipy.stats import spearmanr

from boshnas.job import job_folder, wall_seconds
from boshnas.trial import Decision, Status, Trial
from boshnas.wording import clock, counted, number

MIN_LEFT_S = 0.5
MIN_PAIRS = 5
"""Predictions that were measured, from which on their rank correlation is told."""


def rank_correlation(trials: Sequence[Trial]) -> tuple[float, int] | None:
    """Spearman's correlation of the mean at the proposal with the measured score.

    Args:
        trials: Those without a prediction or a score are left out.

    Returns:
        It and the number of pairs; None where there are fewer than five, or all on one side are equal.
    """
    pairs = [
        (trial.proposal.mean, trial.score)
        for trial in trials
        if trial.proposal.mean is not None and trial.score is not None
    ]
    sides = list(zip(*pairs, strict=True))
    if len(pairs) < MIN_PAIRS or any(len(set(side)) == 1 for side in sides):
        return None
    value = float(spearmanr(*sides).statistic)
    return (value, len(pairs)) if math.isfinite(value) else None


class Standing:
    """What is told of a search while it runs.

    Args:
        num_total: Evaluations in all.
        score_name: What the score is called.
        before: Trials that a resumed search has behind it; those that run are begun again.
        folder: Of the run; None: no file tells how long an evaluation took.

    Attributes:
        is_stopping: Not all will be evaluated: nothing more starts.
    """

    def __init__(
        self, num_total: int, score_name: str, before: Sequence[Trial] = (), folder: Path | None = None
    ) -> None:
        self.num_total = num_total
        self.score_name = score_name
        self.folder = folder
        self.num_ended = self.num_failed = 0
        self.is_stopping = False
        self.best: Trial | None = None
        self._trials: list[Trial] = []
        self._start = time.monotonic()
        self._begun: dict[int, float] = {}
        self._num_slots = 0
        self._took_s: list[float] = []
        self._correlation: tuple[int, tuple[float, int] | None] = (0, None)
        for trial in before:
            if trial.status is not Status.RUNNING:
                self.ended(trial)

    def started(self, trial: Trial) -> None:
        """Take in a trial that begins to run."""
        self._begun[trial.number] = time.monotonic()
        self._num_slots = max(self._num_slots, len(self._begun))

    def retried(self, trial: Trial) -> None:
        """Take in a trial that runs no longer and will begin again."""
        self._begun.pop(trial.number, None)

    def ended(self, trial: Trial) -> None:
        """Take in a trial that has finished or failed."""
        seen_s = self.running_s(trial.number)
        self._begun.pop(trial.number, None)
        took_s = self.took_s(trial)
        if (seconds := seen_s if took_s is None else took_s) is not None:
            self._took_s.append(seconds)
        self.num_ended += 1
        self.num_failed += trial.failed
        self._trials.append(trial)
        is_candidate = trial.score is not None and trial.proposal.decision is not Decision.BASELINE
        if is_candidate and (self.best is None or (trial.score or 0.0) > (self.best.score or 0.0)):
            self.best = trial

    def running_s(self, number: int) -> float | None:
        """How long a trial has run; None where it does not."""
        begun = self._begun.get(number)
        return None if begun is None else time.monotonic() - begun

    def took_s(self, trial: Trial) -> float | None:
        """Wall-clock time of an ended trial: what it told, else as its files tell; None where they do not."""
        is_told = self.folder is not None and not trial.failed
        wall_s = wall_seconds(job_folder(self.folder, trial.number)) if is_told else None  # type: ignore[arg-type]
        return sum(trial.stage_seconds.values()) if wall_s is None and trial.stage_seconds else wall_s

    @property
    def share(self) -> float:
        """Of the budget that is used, in [0, 1]."""
        return min(1.0, self.num_ended / self.num_total) if self.num_total else 1.0

    @property
    def correlation(self) -> tuple[float, int] | None:
        """See `rank_correlation`."""
        if self._correlation[0] != self.num_ended:
            self._correlation = (self.num_ended, rank_correlation(self._trials))
        return self._correlation[1]

    @property
    def elapsed_s(self) -> float:
        """Since this part of the search began."""
        return time.monotonic() - self._start

    @property
    def left_s(self) -> float | None:
        """Time to the end; None where nothing is known of it, or less than half a second.

        Each evaluation takes the mean time of those that have ended, also before a resume; as many run at a time as did
        so far.
        """
        if self.is_stopping or not self._took_s or not self._num_slots:
            return None
        mean, now = fmean(self._took_s), time.monotonic()
        slots = [max(0.0, mean - (now - begun)) for begun in self._begun.values()]
        slots += [0.0] * (self._num_slots - len(slots))
        heapify(slots)
        for _ in range(self.num_total - self.num_ended - len(self._begun)):
            heapreplace(slots, slots[0] + mean)
        left = max(slots)
        return left if left >= MIN_LEFT_S else None

    @property
    def ahead(self) -> str:
        """How much time is left, as the end of a sentence; empty where that is not known."""
        left = self.left_s
        return "" if left is None else f", about {clock(left)} left"

    @property
    def count(self) -> str:
        """Evaluations that have ended, of all."""
        return f"{self.num_ended} of {counted(self.num_total, 'evaluation')}"

    def summary(self) -> str:
        """All in one line, as far as it is for plain lines."""
        best = (
            f"best {self.score_name} {number(self.best.score or 0.0)} ({self.best.id})" if self.best else "no score yet"
        )
        return f"{self.count}, {best}, {clock(self.elapsed_s)} gone{self.ahead}"
