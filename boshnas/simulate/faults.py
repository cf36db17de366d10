"""What goes wrong in a simulated campaign, and when."""

from dataclasses import dataclass
from math import inf

import numpy as np

from boshnas.errors import InputError
from boshnas.trial import Status

_STREAM = 2
_HOUR_S = 3600.0
_PROBABILITIES = {"crash_rate": Status.CRASHED, "oom_rate": Status.OUT_OF_MEMORY, "hang_rate": Status.TIMED_OUT}


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How likely it is that an attempt fails.

    Attributes:
        crash_rate: Probability that an attempt crashes, at an even moment of it.
        oom_rate: The same, out of memory.
        hang_rate: The same, that it hangs from then on.
        preempt_rate: Preemptions of each running attempt an hour, at most 1.
        hang_hours: After which a hung attempt is ended by the time limit of its machine.
        checkpoint_minutes: Between two checkpoints, from the last of which the next attempt goes on.

    Raises:
        InputError: If a number is out of its range.
    """

    crash_rate: float = 0.0
    oom_rate: float = 0.0
    hang_rate: float = 0.0
    preempt_rate: float = 0.0
    hang_hours: float = 24.0
    checkpoint_minutes: float = 10.0

    def __post_init__(self) -> None:
        for name in (*_PROBABILITIES, "preempt_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{_option(name)}: must be in [0, 1], got {getattr(self, name):g}. Change it.")
        for name in ("hang_hours", "checkpoint_minutes"):
            if not 0 < getattr(self, name) < inf:
                raise InputError(f"{_option(name)}: must be above 0, got {getattr(self, name):g}. Change it.")

    def first(self, left_s: float, key: tuple[int, int, int]) -> tuple[float, Status]:
        """When and how an attempt ends.

        A rate changes nothing about when the faults of other causes come: draws are the same for every rate.

        Args:
            left_s: Seconds that it would take undisturbed.
            key: Seed, number of the candidate and of the attempt, each >= 0: what the draws depend on.

        Returns:
            Seconds from its start, and the status.
        """
        rng = np.random.default_rng([*key, _STREAM])
        ends = [(left_s, Status.FINISHED)]
        for name, status in _PROBABILITIES.items():
            chance, share = rng.random(2).tolist()
            if chance < getattr(self, name):
                ends.append((share * left_s, status))
        gap = float(rng.exponential())
        if self.preempt_rate:
            ends.append((gap * _HOUR_S / self.preempt_rate, Status.PREEMPTED))
        after, status = min(ends)
        return (max(after, _HOUR_S * self.hang_hours) if status is Status.TIMED_OUT else after), status

    def saved(self, done_s: float) -> float:
        """Seconds of work in the last checkpoint of an attempt that had done so much."""
        interval = 60 * self.checkpoint_minutes
        return done_s // interval * interval


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
