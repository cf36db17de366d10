"""Which failed evaluations are tried again, by what made them fail."""

from collections.abc import Sequence

from boshnas.trial import Attempt, Status

RETRIES: dict[Status, float] = {
    Status.CRASHED: 1,  # a bad node or a race may pass; a bug does not
    Status.KILLED: 3,  # by somebody else: not the evaluation's fault
    Status.NODE_FAILED: 3,
    Status.OUT_OF_MEMORY: 4,  # each with half the batch of the one before
    Status.PREEMPTED: float("inf"),
    Status.DISK_FULL: 100,  # the search waits for room each time; an end, should the disk never be what is wrong
    Status.TIMED_OUT: 0,
    Status.DIVERGED: 0,
    Status.CANCELLED: 0,  # somebody did not want it
    Status.BAD_INPUT: 0,
}
"""How often a failure of each kind is followed by another attempt.

`Status.TIMED_OUT` is tried again without limit where the attempt left a newer stage checkpoint than the one before: a
cluster's time limit then only cuts an evaluation into parts.
"""


def is_retried(attempts: Sequence[Attempt], status: Status, has_advanced: bool = False) -> bool:
    """Whether an evaluation is tried again after a failure.

    Args:
        attempts: Earlier ones that failed.
        status: How this one failed.
        has_advanced: Whether it left a newer stage checkpoint than it began with.

    Example:
        >>> is_retried([], Status.CRASHED)
        True
        >>> is_retried([Attempt(status=Status.CRASHED, error="")], Status.CRASHED)
        False
    """
    if status is Status.TIMED_OUT:
        return has_advanced
    return sum(attempt.status is status for attempt in attempts) < RETRIES[status]


def batch_split(attempts: Sequence[Attempt]) -> int:
    """In how many parts the next attempt trains on each batch."""
    return int(2 ** sum(attempt.status is Status.OUT_OF_MEMORY for attempt in attempts))
