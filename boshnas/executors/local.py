"""Evaluations as processes of this machine."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boshnas.errors import InputError
from boshnas.executors.base import ProcessExecutor, Run
from boshnas.executors.identity import ProcessIdentity
from boshnas.executors.leftover import PROCESS_FILE
from boshnas.executors.memory import num_oom_kills, process_bytes
from boshnas.executors.orphan import DRIVER_PID_VARIABLE
from boshnas.executors.outcome import LOG_FILE, ended_result, failed_result
from boshnas.executors.threads import thread_environment
from boshnas.job import RESULT_FILE, STARTED_FILE, Job, Result, write_model
from boshnas.trial import Status

_WAIT_INTERVAL_S = 0.02
_MEMORY_INTERVAL_S = 1.0
_logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _LocalRun(Run):
    """A job under way in a process of its own."""

    slot: int
    process: subprocess.Popen[bytes]
    deadline: float
    num_oom_kills: int
    killed_for: Status | None = None
    killed_at: float = 0.0


class LocalExecutor(ProcessExecutor[_LocalRun]):
    """Runs each job as a process of this machine, in a session of its own.

    Workers share the machine by slots: each slot has its part of the cores and, where there are GPUs, one of them.

    Args:
        command: Program and arguments of a worker, for example `[sys.executable, "-m", "boshnas.worker", "{job}"]`.
        num_slots: How many run at a time.
        gpus: Values for CUDA_VISIBLE_DEVICES, dealt out to the slots in turn; empty: none is seen; None leaves the
            variable alone.
        num_threads: Of each worker; by default the cores divided by the slots.
        timeout_s: Longest run of one job, in seconds; None for no limit.
        memory_bytes: That the processes of one job may hold together (resident; asked once a second); None for no
            limit.
        grace_s: Between the polite and the final signal, in seconds: time to leave a checkpoint.

    Raises:
        InputError: If a number is not positive or the command is empty or without `{job}`.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        num_slots: int,
        gpus: Sequence[str] | None = None,
        num_threads: int | None = None,
        timeout_s: float | None = None,
        memory_bytes: int | None = None,
        grace_s: float = 5.0,
    ) -> None:
        super().__init__(command, num_slots)
        for name, value in (
            ("num_threads", num_threads),
            ("timeout_s", timeout_s),
            ("memory_bytes", memory_bytes),
        ):
            if value is not None and not value > 0:
                raise InputError(f"LocalExecutor: {name} must be positive, got {value!r}. Give more than 0.")
        self._gpus = gpus
        self._num_threads = num_threads or max(1, num_cores() // num_slots)
        self._timeout_s = float("inf") if timeout_s is None else timeout_s
        self._memory_bytes = memory_bytes
        self._grace_s = grace_s
        self._memory_asked = float("-inf")
        self._asks_memory = False

    def _start(self, job: Job, folder: Path) -> _LocalRun:
        slot = min(set(range(self._num_slots)) - {run.slot for run in self._running.values()})
        before = num_oom_kills()
        process = self._process(folder, slot)
        run = _LocalRun(
            job=job,
            folder=folder,
            slot=slot,
            process=process,
            deadline=time.monotonic() + self._timeout_s,
            num_oom_kills=before,
        )
        try:
            write_model(folder / PROCESS_FILE, ProcessIdentity.of(process.pid))
            (folder / STARTED_FILE).touch()
        except OSError:
            self._end([run], is_polite=False)
            raise
        return run

    def _refresh(self) -> None:
        now = time.monotonic()
        self._asks_memory = self._memory_bytes is not None and now - self._memory_asked >= _MEMORY_INTERVAL_S
        if self._asks_memory:
            self._memory_asked = now

    def _outcome(self, run: _LocalRun) -> Result | None:
        returncode = run.process.poll()
        if returncode is not None:
            return self._result(run, returncode)
        # What is ended here is told by a later call, once it is dead: its slot is not free before.
        now = time.monotonic()
        if run.killed_for is None and now > run.deadline:
            self._kill(run, Status.TIMED_OUT, signal.SIGTERM)
        elif run.killed_for is None and self._is_too_large(run):
            self._kill(run, Status.OUT_OF_MEMORY, signal.SIGKILL)
        elif run.killed_for is not None and now > run.killed_at + self._grace_s:
            _signal_group(run, signal.SIGKILL)
        return None

    def _kill(self, run: _LocalRun, status: Status, number: signal.Signals) -> None:
        run.killed_for, run.killed_at = status, time.monotonic()
        _signal_group(run, number)

    def _is_too_large(self, run: _LocalRun) -> bool:
        limit = self._memory_bytes
        return self._asks_memory and limit is not None and process_bytes(run.process.pid) > limit

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
                    f"--evaluator: must begin with a program that can be started, got {self._command[0]!r}: "
                    f"{error.strerror}. Check its path and permissions."
                ) from None

    def _environment(self, slot: int) -> dict[str, str]:
        environment = dict(os.environ) | thread_environment(self._num_threads)
        environment[DRIVER_PID_VARIABLE] = str(os.getpid())
        if self._gpus is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)] if self._gpus else ""
        return environment

    def _result(self, run: _LocalRun, returncode: int) -> Result:
        _signal_group(run, signal.SIGKILL)  # what the worker started and left behind
        # One that reported and then hung has its result.
        if (run.folder / RESULT_FILE).exists():
            return ended_result(run.job, run.folder, returncode)
        if run.killed_for is Status.TIMED_OUT:
            reason = f"The worker was ended after {self._timeout_s:g} seconds, the time limit of one evaluation."
            return failed_result(run.job, run.folder, Status.TIMED_OUT, reason)
        if run.killed_for is Status.OUT_OF_MEMORY:
            reason = (
                f"The worker held more than {(self._memory_bytes or 0) / 2**30:.3g} GiB, the limit of one evaluation."
            )
            return failed_result(run.job, run.folder, Status.OUT_OF_MEMORY, reason)
        if returncode == -signal.SIGKILL and num_oom_kills() > run.num_oom_kills:
            reason = "The worker was killed as the machine was out of memory: run fewer evaluations at a time."
            return failed_result(run.job, run.folder, Status.OUT_OF_MEMORY, reason)
        return ended_result(run.job, run.folder, returncode)


def num_cores() -> int:
    """Cores that this process may use."""
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
