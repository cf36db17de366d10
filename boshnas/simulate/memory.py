"""A store that lasts as long as the process."""

from collections.abc import Iterable
from dataclasses import replace

from boshnas.job import Result
from boshnas.trial import Attempt, Trial


class MemoryStore:
    """The trials of a simulated run, in order of number; see `boshnas.loop_parts.TrialStore`.

    Args:
        trials: That are known before, in order of number.
    """

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self._trials = list(trials)

    def trials(self) -> list[Trial]:
        """All trials in order of number."""
        return list(self._trials)

    def add(self, trial: Trial) -> None:
        """Record a trial that starts to run.

        Raises:
            ValueError: If its number is not the next one.
        """
        if trial.number != len(self._trials):
            raise ValueError(f"MemoryStore.add: number must be {len(self._trials)}, got {trial.number}.")
        self._trials.append(trial)

    def add_attempt(self, number: int, attempt: Attempt) -> Trial:
        """Record a failed attempt of a running trial; the trial with it."""
        trial = self._trials[number]
        self._trials[number] = replace(trial, attempts=(*trial.attempts, attempt))
        return self._trials[number]

    def finish(self, result: Result) -> Trial:
        """Record the outcome of a running trial; the trial with it."""
        self._trials[result.number] = replace(
            self._trials[result.number],
            status=result.status,
            score=result.score,
            stage_seconds=dict(result.stage_seconds),
            error=result.error,
        )
        return self._trials[result.number]
