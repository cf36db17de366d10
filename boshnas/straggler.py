"""When an evaluation takes so much longer than the others that it is taken for hung."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

WHOLE = "the evaluation"
"""Stands for the stage of an evaluator that tells none."""
MIN_FINISHED = 5
MIN_LIMIT_S = 300.0


@dataclass(kw_only=True)
class _Stage:
    name: str
    since: float


class Stragglers:
    """Watches how long each stage of each running evaluation takes.

    A stage is over its limit after `factor` times the median of what it took in the finished evaluations, at least five
    minutes; there is no limit before five have finished.

    Args:
        factor: Above 1; infinity: no limit.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._finished: dict[str, list[float]] = defaultdict(list)
        self._stages: dict[int, _Stage] = {}
        self._begun: dict[int, float] = {}

    def learn(self, stage_seconds: Mapping[str, float]) -> None:
        """Take in how long the stages of a finished evaluation took."""
        for name, seconds in stage_seconds.items():
            self._finished[name].append(seconds)
        if stage_seconds:
            self._finished[WHOLE].append(sum(stage_seconds.values()))

    def forget(self, number: int, now: float, is_finished: bool = False) -> None:
        """Watch an evaluation no longer; one without stages of its own is learned from as a whole.

        Args:
            number: Of the evaluation.
            now: Reading of the clock, seconds.
            is_finished: Whether it ended with a score and told no stages.
        """
        self._stages.pop(number, None)
        begun = self._begun.pop(number, None)
        if is_finished and begun is not None:
            self._finished[WHOLE].append(now - begun)

    def overdue(self, number: int, stage: str | None, now: float) -> str | None:
        """Note the stage that a running evaluation is in; say which limit it is over, if it is.

        Args:
            number: Of the evaluation, which has begun to run.
            stage: None where it does not tell.
            now: Reading of the clock, seconds.
        """
        name = stage or WHOLE
        self._begun.setdefault(number, now)
        known = self._stages.get(number)
        if known is None or known.name != name:
            self._stages[number] = known = _Stage(name=name, since=now)
        limit = self._limit(name)
        if now - known.since <= limit:
            return None
        return (
            f"{name} took more than {limit:.0f} seconds, {self._factor:g} times the median of the finished evaluations"
        )

    def _limit(self, name: str) -> float:
        finished = self._finished[name]
        if len(finished) < MIN_FINISHED:
            return float("inf")
        return max(MIN_LIMIT_S, self._factor * median(finished))
