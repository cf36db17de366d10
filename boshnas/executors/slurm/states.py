"""What SLURM's states and reasons mean for an evaluation."""

import re
from dataclasses import dataclass

from boshnas.trial import Status

FINAL_STATES: dict[str, Status] = {
    "COMPLETED": Status.FINISHED,  # if it left a result
    "FAILED": Status.CRASHED,  # unless its exit code says more
    "TIMEOUT": Status.TIMED_OUT,
    "DEADLINE": Status.TIMED_OUT,
    "OUT_OF_MEMORY": Status.OUT_OF_MEMORY,
    "NODE_FAIL": Status.NODE_FAILED,
    "BOOT_FAIL": Status.NODE_FAILED,
    "LAUNCH_FAILED": Status.NODE_FAILED,
    "RECONFIG_FAIL": Status.NODE_FAILED,
    "PREEMPTED": Status.PREEMPTED,
    "CANCELLED": Status.CANCELLED,
    "REVOKED": Status.CANCELLED,
    "UNKNOWN": Status.KILLED,
}
"""States that a job does not leave; in every other it waits, runs, or is about to run again."""
UNKNOWN = "UNKNOWN"
"""Our word for a job that has left the queue so long ago that SLURM does not know how."""
PENDING = "PENDING"
RUNNING = "RUNNING"
COMPLETING = "COMPLETING"
HELD_STATES = frozenset({"REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
_HELD_REASONS = frozenset({"JobHeldUser", "JobHeldAdmin"})
_LAUNCH_FAILED = "launch_failed_requeued_held"
_HOPELESS = re.compile(
    "PartitionConfig|BadConstraints|AccountNotAllowed|QOSNotAllowed|InvalidAccount|InvalidQOS|DependencyNeverSatisfied"
    "|PartitionNodeLimit|PartitionTimeLimit|QOSMin.*|(Assoc|QOS)Max.*PerJob(Limit)?"
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What SLURM says of one job.

    Attributes:
        id: SLURM's, with the task's for one of an array: `12` or `12_3`.
        number: Of the trial.
        attempt: At it.
        state: SLURM's word.
        reason: SLURM's word for why it waits or has failed.
        returncode: Exit code, or minus the number of a signal; 0 while it has not ended.
    """

    id: str
    number: int
    attempt: int
    state: str
    reason: str
    returncode: int

    @property
    def has_ended(self) -> bool:
        """Whether it is out of the queue for good."""
        return self.state in FINAL_STATES

    @property
    def is_held(self) -> bool:
        """Whether it waits for somebody to release it."""
        return self.state in HELD_STATES or (self.state == PENDING and self.reason in _HELD_REASONS)

    @property
    def is_hopeless(self) -> bool:
        """Whether it waits for what will not come, unless somebody changes the cluster or the request.

        Limits of what all of a user's jobs may take together, nodes that are down and closed partitions pass.
        """
        return self.state == PENDING and _HOPELESS.fullmatch(self.reason) is not None

    @property
    def could_not_start(self) -> bool:
        """Whether its node failed at the start of it, after which SLURM holds a job for ever."""
        return self.reason.replace(" ", "_").lower() == _LAUNCH_FAILED


def returncode(text: str) -> int:
    """An exit code of SLURM's commands, `code:signal` or a wait status, as that of a Python subprocess.

    Example:
        >>> returncode("3:0"), returncode("0:9"), returncode("768"), returncode("9")
        (3, -9, 3, -9)
    """
    code, colon, signal = text.partition(":")
    if not colon:
        status = int(code)
        code, signal = str(status >> 8), str(status & 0x7F)
    return -int(signal) if int(signal) else int(code)
