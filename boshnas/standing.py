"""How far a search is, how good, and how well its surrogate foresaw what was measured."""

import math
import time
from collections.abc import Sequence

from scipy.stats import spearmanr

from boshnas.trial import Decision, Status, Trial
from boshnas.wording import clock

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
    """

    def __init__(self, num_total: int, score_name: str, before: Sequence[Trial] = ()) -> None:
        self.num_total = num_total
        self.score_name = score_name
        self.num_ended = self.num_failed = 0
        self.best: Trial | None = None
        self._trials: list[Trial] = []
        self._start = time.monotonic()
        self._correlation: tuple[int, tuple[float, int] | None] = (0, None)
        for trial in before:
            if trial.status is not Status.RUNNING:
                self.ended(trial)
        self._num_before = self.num_ended

    def ended(self, trial: Trial) -> None:
        """Take in a trial that has finished or failed."""
        self.num_ended += 1
        self.num_failed += trial.failed
        self._trials.append(trial)
        is_candidate = trial.score is not None and trial.proposal.decision is not Decision.BASELINE
        if is_candidate and (self.best is None or (trial.score or 0.0) > (self.best.score or 0.0)):
            self.best = trial

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
        """Time to the end, at the pace of this part of the search; None where nothing ended in it."""
        num_seen = self.num_ended - self._num_before
        return self.elapsed_s / num_seen * max(0, self.num_total - self.num_ended) if num_seen else None

    def summary(self) -> str:
        """All in one line, as far as it is for plain lines."""
        left = self.left_s
        best = f"best {self.score_name} {self.best.score:.2f} ({self.best.id})" if self.best else "no score yet"
        ahead = f", about {clock(left)} left" if left is not None else ""
        return f"{self.num_ended} of {self.num_total} evaluations, {best}, {clock(self.elapsed_s)} gone{ahead}"
