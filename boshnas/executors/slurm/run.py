"""One job under way in SLURM: what is known of it, and what has become of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boshnas.errors import InputError
from boshnas.executors.base import Run
from boshnas.executors.outcome import LOG_FILE, ended_result, failed_result, written_result
from boshnas.executors.slurm.states import FINAL_STATES, UNKNOWN, Entry
from boshnas.job import STARTED_FILE, Result
from boshnas.trial import Status

ID_FILE = "slurm_id"
"""In a job's folder: which job of SLURM it is."""
_EXPLANATIONS = {
    Status.TIMED_OUT: "its time limit, `time` in the executor's config, was over",
    Status.OUT_OF_MEMORY: "it took more memory than `mem` in the executor's config allows",
    Status.NODE_FAILED: "its node failed",
    Status.PREEMPTED: "a job of higher priority took its place",
    Status.CANCELLED: "somebody cancelled it",
    Status.KILLED: "it left the queue, and SLURM does not tell how",
}


@dataclass(kw_only=True)
class SlurmRun(Run):
    """A job that is to be submitted, waits, runs, or has ended a moment ago."""

    slurm_id: str | None = None  # until sbatch has told it
    entry: Entry | None = None  # what SLURM said last; one that it no longer knows is in no state
    ended: float | None = None  # on the clock of `time.monotonic`, when it was first seen to have ended
    num_hopeless: int = 0
    is_warned: bool = False


def batches(runs: Sequence[SlurmRun], max_array: int) -> list[list[SlurmRun]]:
    """Runs that can be one array: of one attempt, and with numbers less than an array's greatest size apart."""
    found: list[list[SlurmRun]] = []
    for run in sorted(runs, key=lambda run: (run.job.attempt, run.job.number)):
        first = found[-1][0].job if found else None
        if first and first.attempt == run.job.attempt and run.job.number - first.number < max_array:
            found[-1].append(run)
        else:
            found.append([run])
    return found


def read_id(folder: Path) -> str | None:
    """SLURM's id of the job that a folder had last; None where there is none."""
    try:
        return (folder / ID_FILE).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def whole_result(run: SlurmRun) -> Result | None:
    """The result in a job's folder; None while there is none or it is being written."""
    try:
        return written_result(run.job, run.folder)
    except (InputError, OSError):  # a network disk that hiccups is asked again
        return None


def failure(run: SlurmRun, entry: Entry) -> Result:
    """The result of a job that has ended without one."""
    status, explanation = FINAL_STATES.get(entry.state, Status.NODE_FAILED), None
    if entry.state == "FAILED" and not (run.folder / LOG_FILE).exists():
        status = Status.NODE_FAILED
        explanation = (
            f"its node could not start it, or does not see {run.folder}, which must lie on a disk that all nodes share"
        )
    elif entry.state in ("COMPLETED", "FAILED"):
        return ended_result(run.job, run.folder, entry.returncode)
    elif entry.state == UNKNOWN and not (run.folder / STARTED_FILE).exists():
        status = Status.CANCELLED  # a waiting task of an array that is cancelled leaves no trace
    reason = f"SLURM job {entry.id}: {explanation or _EXPLANATIONS[status]} ({entry.state}, reason {entry.reason})."
    return failed_result(run.job, run.folder, status, reason)
