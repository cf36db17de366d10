"""What runs evaluations: the contract, and how the outcome of an ended job is read."""

import signal
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from boshnas.errors import InputError
from boshnas.job import JOB_FILE, RESULT_FILE, Job, Result, read_model
from boshnas.trial import Status

LOG_FILE = "log.txt"
LOG_TAIL_LINES = 20
_LOG_TAIL_BYTES = 16_384
# A shell between us and the worker tells a signal as 128 + its number.
_SHELL_SIGNAL_BASE = 128


class Executor(Protocol):
    """Runs jobs, at most `num_slots` at a time; used by one thread.

    Whatever becomes of a job, `poll` hands back exactly one `Result` for it, unless it was cancelled:
    a dead, hung or killed worker is a `Result` with a status and the end of its log.
    """

    @property
    def num_slots(self) -> int:
        """How many jobs may run at the same time."""
        ...

    def submit(self, job: Job, folder: Path) -> int:
        """Start a job and return at once.

        A `result.json` of the very same job that already lies in the folder is taken for its outcome: nothing runs.

        Args:
            job: What to evaluate.
            folder: Its own; made where absent, receives job.json, log.txt and result.json.

        Returns:
            A handle: the job's number.

        Raises:
            RuntimeError: If all slots are taken, the number is already running, or the executor is closed.
        """
        ...

    def poll(self) -> list[Result]:
        """Return what ended since the last call, without waiting."""
        ...

    def cancel(self, handle: int) -> None:
        """End a job; `poll` never returns it. One that has already been returned is left alone."""
        ...

    def close(self) -> None:
        """End all that runs. May be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def log_tail(folder: Path, num_lines: int = LOG_TAIL_LINES) -> str:
    """Return the last lines of a job's log; empty where there is none."""
    try:
        with (folder / LOG_FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LOG_TAIL_BYTES))
            content = file.read()
    except OSError:
        return ""
    return "\n".join(content.decode("utf-8", errors="replace").splitlines()[-num_lines:])


def failed_result(job: Job, folder: Path, status: Status, reason: str) -> Result:
    """Return the result of a job that has none of its own: one line, then the end of its log."""
    tail = log_tail(folder)
    return Result(number=job.number, id=job.id, status=status, error=f"{reason}\n{tail}" if tail else reason)


def written_result(job: Job, folder: Path) -> Result | None:
    """Return the worker's result.json, None where there is no such file.

    Raises:
        InputError: If it is damaged, of another job, or contradicts itself.
    """
    path = folder / RESULT_FILE
    if not path.exists():
        return None
    result = read_model(path, Result)
    if (result.number, result.id) != (job.number, job.id):
        raise InputError(
            f"{path}: number and id must be those of the job, {(job.number, job.id)!r}, "
            f"got {(result.number, result.id)!r}. Give each job a folder of its own."
        )
    if result.status is Status.RUNNING or (result.status is Status.FINISHED) != (result.score is not None):
        raise InputError(
            f"{path}: score must be there if and only if status is 'finished', "
            f"got status {result.status.value!r} and score {result.score!r}. Correct the worker."
        )
    return result


def remove_stale_result(job: Job, folder: Path) -> None:
    """Remove a result.json that is not the outcome of this very job, so that it is not taken for it."""
    try:
        matches = written_result(job, folder) is not None
        if matches and (folder / JOB_FILE).exists():
            matches = read_model(folder / JOB_FILE, Job) == job
    except InputError:
        matches = False
    if not matches:
        (folder / RESULT_FILE).unlink(missing_ok=True)


def ended_result(job: Job, folder: Path, returncode: int) -> Result:
    """Return the outcome of a worker that has ended.

    Args:
        job: What it was asked.
        folder: Where it wrote.
        returncode: Its exit code, or minus the number of the signal that ended it.

    Returns:
        What it reported, else a failed result which says how it ended.
    """
    try:
        result = written_result(job, folder)
    except InputError as error:
        return failed_result(job, folder, Status.CRASHED, str(error))
    if result is not None:
        return result
    if returncode == 0:
        return failed_result(job, folder, Status.CRASHED, f"The worker ended well but left no {RESULT_FILE}.")
    number = -returncode if returncode < 0 else returncode - _SHELL_SIGNAL_BASE
    if number == signal.SIGKILL:
        hint = "Most often the machine was out of memory: run fewer evaluations at a time or lower the batch size."
        return failed_result(job, folder, Status.KILLED, f"The worker was killed by SIGKILL. {hint}")
    if returncode < 0:
        return failed_result(job, folder, Status.CRASHED, f"The worker was ended by {_signal_name(number)}.")
    return failed_result(job, folder, Status.CRASHED, f"The worker ended with return code {returncode}.")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
