"""What runs evaluations: the contract, and what all that run them as processes have in common."""

import time
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Generic, Protocol, Self, TypeVar

from boshnas.errors import InputError
from boshnas.executors.leftover import end_leftover
from boshnas.executors.outcome import PASSING_ERRORS, failed_result, remove_stale_result, written_result
from boshnas.executors.slots import SlotExecutor
from boshnas.job import JOB_FILE, STARTED_FILE, Job, Result, write_model
from boshnas.trial import Status
from boshnas.whole_file import write_whole

JOB_WORD = "{job}"
"""In a worker's command: the path of its job.json."""
EXECUTOR_FILE = "executor"
"""In a job's folder while a cluster has the job: which kind of cluster."""
MAX_UNREADABLE_S = 3600.0
"""How long a disk may refuse to let a job's files be read until the job counts as lost."""


class Executor(Protocol):
    """Runs jobs, at most `num_slots` at a time; used by one thread.

    Whatever becomes of a job, `poll` hands back exactly one `Result` for it, unless it was cancelled: a dead, hung,
    preempted or killed worker is a `Result` with a status and the end of its log. When the job begins to run, `started`
    is made in its folder.
    """

    @property
    def num_slots(self) -> int:
        """How many jobs may run at the same time."""
        ...

    def submit(self, job: Job, folder: Path) -> int:
        """Start a job and return at once.

        A `result.json` of the very same job that already lies in the folder is taken for its outcome, and one that an
        earlier search started and that still runs in a cluster is waited for: nothing is started then.

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


@dataclass(kw_only=True)
class Run:
    """A job under way."""

    job: Job
    folder: Path


AnyRun = TypeVar("AnyRun", bound=Run)


class ProcessExecutor(SlotExecutor, Generic[AnyRun]):
    """Keeps account of jobs that run as processes somewhere; see `Executor`.

    A folder says in `executor` which kind of cluster has its job: other executors cannot find or end it there.

    Args:
        command: Program and arguments of a worker, `{job}` among them for the path of its job.json.
        num_slots: How many run at a time.

    Raises:
        InputError: If the number is not positive, or the command is empty or without `{job}`.
    """

    cluster: ClassVar[str | None] = None
    """Where its jobs go on when the search is killed, as `--executor` names it; None: nowhere."""

    def __init__(self, command: Sequence[str], num_slots: int) -> None:
        name = type(self).__name__
        if not any(JOB_WORD in word for word in command):
            raise InputError(
                f"{name}: command must be a program and its arguments with {JOB_WORD} among them, "
                f"got {' '.join(command)!r}. For example: python train.py {JOB_WORD}."
            )
        super().__init__(num_slots)
        self._command = list(command)
        self._running: dict[int, AnyRun] = {}
        self._found: dict[int, Result] = {}  # results that were there at submission
        self._unreadable: dict[int, float] = {}  # since when the files of a job cannot be read

    def submit(self, job: Job, folder: Path) -> int:
        """Start a job and return at once; see `Executor.submit`.

        Raises:
            RuntimeError: If all slots are taken, the number is already running, or the executor is closed.
            InputError: If the command cannot be started, or another kind of executor has a job in this folder.
        """
        self._require_slot(job.number, self._running.keys() | self._found.keys())
        folder.mkdir(parents=True, exist_ok=True)
        is_same = remove_stale_result(job, folder)
        if (result := written_result(job, folder)) is not None:
            self._found[job.number] = result
            _forget_cluster(folder)
            return job.number
        self._require_own_cluster(folder)
        found = self._find(job, folder) if is_same else None
        if found is None:
            end_leftover(folder)
            self._end_leftovers(folder)
            (folder / STARTED_FILE).unlink(missing_ok=True)
            write_model(folder / JOB_FILE, job)
            if self.cluster is not None:
                write_whole(folder / EXECUTOR_FILE, self.cluster + "\n")
            try:
                found = self._start(job, folder)
            except Exception:
                _forget_cluster(folder)
                raise
        self._running[job.number] = found
        return job.number

    def poll(self) -> list[Result]:
        """Return what ended since the last call, without waiting."""
        results = list(self._found.values())
        self._found.clear()
        self._refresh()
        for number, run in list(self._running.items()):
            try:
                result = self._outcome(run)
            except OSError as error:
                if error.errno not in PASSING_ERRORS:
                    raise
                since = self._unreadable.setdefault(number, time.monotonic())
                if time.monotonic() - since < MAX_UNREADABLE_S:
                    continue  # looked at again by the next poll
                self._end([run], is_polite=False)
                reason = f"Its files could not be read for an hour ({error.strerror})."
                result = failed_result(run.job, run.folder, Status.CRASHED, reason)
            self._unreadable.pop(number, None)
            if result is not None:
                del self._running[number]
                _forget_cluster(run.folder)
                results.append(result)
        return results

    def cancel(self, handle: int) -> None:
        """End a job with all its processes; `poll` never returns it."""
        self._found.pop(handle, None)
        run = self._running.pop(handle, None)
        if run is not None:
            self._end([run], is_polite=False)
            _forget_cluster(run.folder)

    def close(self) -> None:
        """End all that runs, politely first. May be called again."""
        self._closed = True
        runs = list(self._running.values())
        self._running.clear()
        self._found.clear()
        if runs:
            self._end(runs, is_polite=True)
            for run in runs:
                _forget_cluster(run.folder)

    def _require_own_cluster(self, folder: Path) -> None:
        try:
            kind = (folder / EXECUTOR_FILE).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return
        if kind != self.cluster:
            raise InputError(
                f"{folder}: must hold no job that another cluster may still run, got one of {kind!r}. Go on "
                f"with --executor {kind}, or delete {folder / EXECUTOR_FILE} once that job is known to be gone."
            )

    def _words(self, folder: Path) -> list[str]:
        """The command for the job of a folder."""
        return [word.replace(JOB_WORD, str(folder / JOB_FILE)) for word in self._command]

    def _find(self, job: Job, folder: Path) -> AnyRun | None:
        """The run of the very same job that an earlier search started and left in a cluster, if it is there."""
        return None

    def _end_leftovers(self, folder: Path) -> None:  # noqa: B027  (not every kind of machine has any)
        """End what an earlier search left running in the cluster."""

    def _refresh(self) -> None:  # noqa: B027  (only what is asked for all jobs at once needs it)
        """Ask how the jobs are, before the outcome of each is wanted."""

    @abstractmethod
    def _start(self, job: Job, folder: Path) -> AnyRun:
        """Start a job whose job.json is written."""

    @abstractmethod
    def _outcome(self, run: AnyRun) -> Result | None:
        """The result of a job that has ended; None while it has not."""

    @abstractmethod
    def _end(self, runs: Sequence[AnyRun], is_polite: bool) -> None:
        """End jobs with all their processes, after a polite signal and some time where that is wanted."""


def _forget_cluster(folder: Path) -> None:
    """Nothing is under way in a folder any more."""
    with suppress(OSError):
        (folder / EXECUTOR_FILE).unlink()
