"""How the outcome of an ended job is read from its folder."""

import errno
import shutil
import signal
import traceback
from pathlib import Path

from boshnas.errors import InputError
from boshnas.job import JOB_FILE, RESULT_FILE, Job, Result, read_model
from boshnas.trial import Status

LOG_FILE = "log.txt"
LOG_TAIL_LINES = 20
PASSING_ERRORS = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
"""Of a network disk that may answer when it is asked again."""
EXIT_BAD_INPUT = 2
EXIT_DISK_FULL = 228
"""A worker that cannot even write its result ends with this code, which programs do not end with by chance."""
_LOG_TAIL_BYTES = 16_384
_TRACEBACK_CHARS = 2_000
_LINE_CHARS = 200
# A shell between us and the worker tells a signal as 128 + its number.
_SHELL_SIGNAL_BASE = 128
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


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


def raised_result(job: Job, error: Exception, status: Status) -> Result:
    """Return the result of a job that raised: what it said, then the end of the traceback."""
    end = "".join(traceback.format_exception(error))[-_TRACEBACK_CHARS:]
    return Result(number=job.number, id=job.id, status=status, error=f"{type(error).__name__}: {error}\n{end}")


def written_result(job: Job, folder: Path) -> Result | None:
    """Return the worker's result.json, None where there is no such file.

    Raises:
        OSError: If the disk does not let it be read now.
        InputError: If it is damaged, of another job, or contradicts itself.
    """
    path = folder / RESULT_FILE
    if not path.exists():
        return None
    try:
        result = read_model(path, Result)
    except InputError as error:
        if isinstance(error.__context__, OSError) and error.__context__.errno in PASSING_ERRORS:
            raise error.__context__ from None
        raise
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


def remove_stale_result(job: Job, folder: Path) -> bool:
    """Remove a result.json that is not the outcome of this very job, so that it is not taken for it.

    Returns:
        Whether the folder's job.json is that of the very same job.
    """
    try:
        is_same = (folder / JOB_FILE).exists() and read_model(folder / JOB_FILE, Job) == job
        matches = is_same and written_result(job, folder) is not None
    except InputError:
        is_same = matches = False
    if not matches:
        path = folder / RESULT_FILE
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return is_same


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
        is_number = "finite number" in str(error)  # a loss that became NaN, told by an evaluator as it is
        return failed_result(job, folder, Status.DIVERGED if is_number else Status.CRASHED, str(error))
    if result is not None:
        return result
    if returncode == 0:
        return failed_result(job, folder, Status.CRASHED, f"The worker ended well but left no {RESULT_FILE}.")
    number = -returncode if returncode < 0 else returncode - _SHELL_SIGNAL_BASE
    if number == signal.SIGKILL:
        hint = "Most often the machine was out of memory: run fewer evaluations at a time or lower the batch size."
        return failed_result(job, folder, Status.KILLED, f"The worker was killed by SIGKILL. {hint}")
    if number in _FROM_OUTSIDE:
        return failed_result(
            job, folder, Status.KILLED, f"The worker was ended by {_signal_name(number)} from outside."
        )
    if returncode < 0:
        return failed_result(job, folder, Status.CRASHED, f"The worker was ended by {_signal_name(number)}.")
    status = {EXIT_BAD_INPUT: Status.BAD_INPUT, EXIT_DISK_FULL: Status.DISK_FULL}.get(returncode, Status.CRASHED)
    return failed_result(job, folder, status, _last_words(folder, returncode))


def _last_words(folder: Path, returncode: int) -> str:
    """What a worker said last, which is most often why it ended, with its return code."""
    lines = [line.strip().rstrip(".") for line in log_tail(folder).splitlines()]
    said = next(filter(None, reversed(lines)), "")
    if not said:
        return f"The worker ended with return code {returncode}."
    shown = said if len(said) <= _LINE_CHARS else f"{said[:_LINE_CHARS]}…"
    return f"{shown} (return code {returncode})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
