"""Evaluations as processes of this machine."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from boshnas.errors import InputError
from boshnas.executors.base import ProcessExecutor, Run
from boshnas.executors.memory import PROC, session_bytes
from boshnas.executors.orphan import DRIVER_PID_VARIABLE
from boshnas.executors.outcome import LOG_FILE, ended_result, failed_result
from boshnas.executors.threads import thread_environment
from boshnas.job import RESULT_FILE, STARTED_FILE, Job, Result
from boshnas.trial import Status

_WAIT_INTERVAL_S = 0.02
_LOOK_INTERVAL_S = 1.0
_GIB = 2**30
_logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _LocalRun(Run):
    """A job under way in a process of its own."""

    slot: int
    process: subprocess.Popen[bytes]
    deadline: float
    timed_out: bool = False
    too_large: bool = False


class LocalSettings(BaseModel):
    """How evaluations share this machine.

    Attributes:
        num_slots: Evaluations at a time; None: the search decides.
        gpus: Values for CUDA_VISIBLE_DEVICES, dealt out to the slots in turn; None: those that are there.
        num_threads: Of each evaluation; None: the cores divided by the slots.
        time_limit_s: Longest run of one evaluation, in seconds; None: no limit.
        memory_gib: Most memory of one evaluation with all its processes, in GiB; None: no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)

    num_slots: PositiveInt | None = None
    gpus: tuple[str, ...] | None = None
    num_threads: PositiveInt | None = None
    time_limit_s: PositiveFloat | None = None
    memory_gib: PositiveFloat | None = None


class LocalExecutor(ProcessExecutor[_LocalRun]):
    """Runs each job as a process of this machine, in a session of its own.

    Workers share the machine by slots: each slot has its part of the cores and, where there are GPUs, one of them.

    Args:
        command: Program and arguments of a worker, for example `[sys.executable, "-m", "boshnas.worker", "{job}"]`.
        num_slots: How many run at a time.
        gpus: Values for CUDA_VISIBLE_DEVICES, dealt out to the slots in turn; empty leaves the variable alone.
        num_threads: Of each worker; by default the cores divided by the slots.
        timeout_s: Longest run of one job, in seconds; None for no limit.
        memory_gib: Most memory of one job with all its processes, in GiB, looked at every second; None for no limit.
        grace_s: Between the polite and the final signal of `close`, in seconds.

    Raises:
        InputError: If a number is not positive, the command is empty or without `{job}`, or memory cannot be limited on
            this machine.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        num_slots: int,
        gpus: Sequence[str] = (),
        num_threads: int | None = None,
        timeout_s: float | None = None,
        memory_gib: float | None = None,
        grace_s: float = 5.0,
    ) -> None:
        super().__init__(command, num_slots)
        for name, value in (("num_threads", num_threads), ("timeout_s", timeout_s), ("memory_gib", memory_gib)):
            if value is not None and not value > 0:
                raise InputError(f"LocalExecutor: {name} must be positive, got {value!r}. Give more than 0.")
        if memory_gib is not None and not PROC.is_dir():
            raise InputError(f"LocalExecutor: memory_gib must be on a Linux machine, got {memory_gib!r}. Leave it out.")
        self._gpus = list(gpus)
        self._num_threads = num_threads or max(1, _num_cores() // num_slots)
        self._timeout_s = float("inf") if timeout_s is None else timeout_s
        self._memory_gib = memory_gib
        self._next_look = 0.0
        self._grace_s = grace_s

    def _start(self, job: Job, folder: Path) -> _LocalRun:
        slot = min(set(range(self._num_slots)) - {run.slot for run in self._running.values()})
        process = self._process(folder, slot)
        (folder / STARTED_FILE).touch()
        return _LocalRun(
            job=job, folder=folder, slot=slot, process=process, deadline=time.monotonic() + self._timeout_s
        )

    def _refresh(self) -> None:
        """End what takes too much memory; told later, once it is dead."""
        if self._memory_gib is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_INTERVAL_S
        sizes = session_bytes({run.process.pid for run in self._running.values()})
        for run in self._running.values():
            if sizes.get(run.process.pid, 0) > self._memory_gib * _GIB:
                run.too_large = True
                _signal_group(run, signal.SIGKILL)

    def _outcome(self, run: _LocalRun) -> Result | None:
        returncode = run.process.poll()
        if returncode is not None:
            return self._result(run, returncode)
        if time.monotonic() > run.deadline and not run.timed_out:
            # Told by a later call, once it is dead: its slot is not free before.
            run.timed_out = True
            _signal_group(run, signal.SIGKILL)
        return None

    def _end(self, runs: Sequence[_LocalRun], is_polite: bool) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL) if is_polite else (signal.SIGKILL,):
            for run in runs:
                _signal_group(run, number)
            _wait(runs, self._grace_s)

    def _process(self, folder: Path, slot: int) -> subprocess.Popen[bytes]:
        with (folder / LOG_FILE).open("wb") as log:
            try:
                return subprocess.Popen(
                    self._words(folder),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment(slot),
                    start_new_session=True,
                )
            except OSError as error:
                raise InputError(
                    f"LocalExecutor: command must be a program that can be started, got {self._command[0]!r}: "
                    f"{error.strerror}. Check its path and permissions."
                ) from None

    def _environment(self, slot: int) -> dict[str, str]:
        environment = dict(os.environ) | thread_environment(self._num_threads)
        environment[DRIVER_PID_VARIABLE] = str(os.getpid())
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)]
        return environment

    def _result(self, run: _LocalRun, returncode: int) -> Result:
        _signal_group(run, signal.SIGKILL)  # what the worker started and left behind
        # One that reported and then hung has its result.
        if run.timed_out and not (run.folder / RESULT_FILE).exists():
            reason = f"The worker was ended after {self._timeout_s:g} seconds, the time limit of one evaluation."
            return failed_result(run.job, run.folder, Status.TIMED_OUT, reason)
        if run.too_large and not (run.folder / RESULT_FILE).exists():
            reason = f"The worker was ended: it took more than {self._memory_gib:g} GiB, the limit of one evaluation."
            return failed_result(run.job, run.folder, Status.OUT_OF_MEMORY, reason)
        return ended_result(run.job, run.folder, returncode)


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _signal_group(run: _LocalRun, number: signal.Signals) -> None:
    """Signal a worker and all that it started; the session it leads has its process id."""
    try:
        os.killpg(run.process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # all gone; macOS says so by PermissionError


def _wait(ending: Sequence[_LocalRun], limit_s: float) -> None:
    """Wait until all have ended, at most so long."""
    deadline = time.monotonic() + limit_s
    while any(run.process.poll() is None for run in ending):
        if time.monotonic() > deadline:
            _logger.debug("%d workers have not ended after %g s.", len(ending), limit_s)
            return
        time.sleep(_WAIT_INTERVAL_S)
