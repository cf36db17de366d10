"""Evaluations as processes of this machine."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from boshnas.errors import InputError
from boshnas.executors.base import LOG_FILE, ended_result, failed_result, remove_stale_result
from boshnas.executors.orphan import DRIVER_PID_VARIABLE
from boshnas.job import JOB_FILE, RESULT_FILE, Job, Result, write_model
from boshnas.trial import Status

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)
_WAIT_INTERVAL_S = 0.02
_logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Running:
    """A job under way; `process` is None where its result was there already."""

    job: Job
    folder: Path
    slot: int
    process: subprocess.Popen[bytes] | None
    deadline: float
    timed_out: bool = False


class LocalExecutor:
    """Runs each job as `[*command, folder/job.json]` in a session of its own.

    Workers share the machine by slots: each slot has its part of the cores and, where there are GPUs, one of them.

    Args:
        command: Program and arguments of a worker, for example `[sys.executable, "-m", "boshnas.worker"]`.
        num_slots: How many run at a time.
        gpus: Values for CUDA_VISIBLE_DEVICES, dealt out to the slots in turn; empty leaves the variable alone.
        num_threads: Of each worker; by default the cores divided by the slots.
        timeout_s: Longest run of one job, in seconds; None for no limit.
        grace_s: Between the polite and the final signal of `close`, in seconds.

    Raises:
        InputError: If a number is not positive or the command is empty.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        num_slots: int,
        gpus: Sequence[str] = (),
        num_threads: int | None = None,
        timeout_s: float | None = None,
        grace_s: float = 5.0,
    ) -> None:
        if not command:
            raise InputError("LocalExecutor: command must be a program and its arguments, got none. Name a worker.")
        for name, value in (("num_slots", num_slots), ("num_threads", num_threads), ("timeout_s", timeout_s)):
            if value is not None and not value > 0:
                raise InputError(f"LocalExecutor: {name} must be positive, got {value!r}. Give more than 0.")
        self._command = list(command)
        self._num_slots = num_slots
        self._gpus = list(gpus)
        self._num_threads = num_threads or max(1, _num_cores() // num_slots)
        self._timeout_s = float("inf") if timeout_s is None else timeout_s
        self._grace_s = grace_s
        self._running: dict[int, _Running] = {}
        self._closed = False

    @property
    def num_slots(self) -> int:
        """How many jobs may run at the same time."""
        return self._num_slots

    def submit(self, job: Job, folder: Path) -> int:
        """Start a job and return at once; see `Executor.submit`.

        Raises:
            RuntimeError: If all slots are taken, the number is already running, or the executor is closed.
            InputError: If the command cannot be started.
        """
        if self._closed:
            raise RuntimeError("LocalExecutor.submit: the executor is closed.")
        if job.number in self._running:
            raise RuntimeError(f"LocalExecutor.submit: job {job.number} is already running.")
        if len(self._running) >= self._num_slots:
            raise RuntimeError(f"LocalExecutor.submit: all {self._num_slots} slots are taken. Poll first.")
        slot = min(set(range(self._num_slots)) - {running.slot for running in self._running.values()})
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_result(job, folder)
        write_model(folder / JOB_FILE, job)
        process = None if (folder / RESULT_FILE).exists() else self._start(folder, slot)
        self._running[job.number] = _Running(
            job=job, folder=folder, slot=slot, process=process, deadline=time.monotonic() + self._timeout_s
        )
        return job.number

    def poll(self) -> list[Result]:
        """Return what ended since the last call, without waiting."""
        results = []
        for running in list(self._running.values()):
            returncode = 0 if running.process is None else running.process.poll()
            if returncode is not None:
                results.append(self._end(running, returncode))
            elif time.monotonic() > running.deadline and not running.timed_out:
                # Reported by a later call, once it is dead: its slot is not free before.
                running.timed_out = True
                _signal_group(running, signal.SIGKILL)
        return results

    def cancel(self, handle: int) -> None:
        """End a job with all its processes; `poll` never returns it."""
        running = self._running.pop(handle, None)
        if running is not None:
            _signal_group(running, signal.SIGKILL)
            _wait([running], self._grace_s)

    def close(self) -> None:
        """End all that runs, politely first. May be called again."""
        self._closed = True
        ending = list(self._running.values())
        self._running.clear()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for running in ending:
                _signal_group(running, number)
            _wait(ending, self._grace_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, folder: Path, slot: int) -> subprocess.Popen[bytes]:
        with (folder / LOG_FILE).open("wb") as log:
            try:
                return subprocess.Popen(
                    [*self._command, str(folder / JOB_FILE)],
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
        environment = dict(os.environ)
        environment.update(dict.fromkeys(_THREAD_VARIABLES, str(self._num_threads)))
        environment["TOKENIZERS_PARALLELISM"] = "false"
        environment[DRIVER_PID_VARIABLE] = str(os.getpid())
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)]
        return environment

    def _end(self, running: _Running, returncode: int) -> Result:
        del self._running[running.job.number]
        _signal_group(running, signal.SIGKILL)  # what the worker started and left behind
        result = ended_result(running.job, running.folder, returncode)
        # One that reported and then hung has its result.
        if running.timed_out and not (running.folder / RESULT_FILE).exists():
            reason = f"The worker was ended after {self._timeout_s:g} seconds, the time limit of one evaluation."
            result = failed_result(running.job, running.folder, Status.TIMED_OUT, reason)
        return result


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _signal_group(running: _Running, number: signal.Signals) -> None:
    """Signal a worker and all that it started; the session it leads has its process id."""
    if running.process is None:
        return
    try:
        os.killpg(running.process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # all gone; macOS says so by PermissionError


def _wait(ending: Sequence[_Running], limit_s: float) -> None:
    """Wait until all have ended, at most so long."""
    deadline = time.monotonic() + limit_s
    while any(running.process is not None and running.process.poll() is None for running in ending):
        if time.monotonic() > deadline:
            _logger.debug("%d workers have not ended after %g s.", len(ending), limit_s)
            return
        time.sleep(_WAIT_INTERVAL_S)
