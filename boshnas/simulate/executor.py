"""Evaluations that only take virtual time."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boshnas.errors import InputError
from boshnas.executors.slots import SlotExecutor
from boshnas.job import MAX_SECONDS, STARTED_FILE, Job, Result
from boshnas.simulate.account import Span
from boshnas.simulate.clock import VirtualClock
from boshnas.simulate.faults import Faults
from boshnas.trial import Status

STAGE = "evaluation"
_REASONS = {
    Status.CRASHED: "crashed",
    Status.OUT_OF_MEMORY: "ran out of memory",
    Status.TIMED_OUT: "hung until the time limit of its machine",
    Status.PREEMPTED: "was preempted",
}


@dataclass(frozen=True, kw_only=True)
class Known:
    """What an evaluation would find.

    Attributes:
        seconds: It takes, undisturbed, above 0.
        score: To be maximised.
    """

    seconds: float
    score: float


@dataclass(frozen=True)
class _Attempt:
    job: Job
    start: float
    end: float
    status: Status


class SimulatedExecutor(SlotExecutor):
    """Runs jobs in virtual time; see `boshnas.executors.base.Executor`.

    Attributes:
        spans: What each slot did, in the order in which it ended.

    Args:
        clock: Time goes by it.
        known: By id, all that may be submitted.
        num_slots: How many run at a time, at least 1.
        faults: What goes wrong.
        seed: Of the faults, >= 0.

    Raises:
        InputError: If there is no slot.
    """

    def __init__(
        self,
        clock: VirtualClock,
        known: Mapping[str, Known],
        *,
        num_slots: int,
        faults: Faults | None = None,
        seed: int = 0,
    ) -> None:
        if num_slots < 1:
            raise InputError(f"--workers: must be at least 1, got {num_slots}. Change it.")
        super().__init__(num_slots)
        self.spans: list[Span] = []
        self._clock = clock
        self._known = known
        self._rows = {id_: row for row, id_ in enumerate(known)}
        self._faults = faults or Faults()
        self._seed = seed
        self._running: dict[int, _Attempt] = {}
        self._saved: dict[int, float] = {}  # seconds of work in the checkpoint that an attempt left

    def submit(self, job: Job, folder: Path) -> int:
        """Start a job; its end is known at once.

        Raises:
            RuntimeError: If all slots are taken, the number is already running, or the executor is closed.
        """
        self._require_slot(job.number, self._running.keys())
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STARTED_FILE).touch()
        left = self._known[job.id].seconds - self._saved.get(job.number, 0.0)
        after, status = self._faults.first(left, (self._seed, self._rows[job.id], job.attempt))
        start = self._clock.monotonic()
        self._running[job.number] = _Attempt(job, start, start + after, status)
        self._clock.wake_at(start + after)
        return job.number

    def poll(self) -> list[Result]:
        """What has ended by now, in the order of its end."""
        now = self._clock.monotonic()
        ended = [attempt for attempt in self._running.values() if attempt.end <= now]
        return [self._result(attempt) for attempt in sorted(ended, key=lambda one: (one.end, one.job.number))]

    def cancel(self, handle: int) -> None:
        """End a job; `poll` never returns it."""
        if handle in self._running:
            self._end(self._running[handle], self._clock.monotonic(), Status.CANCELLED)

    def close(self) -> None:
        """End all that runs. May be called again."""
        self._closed = True
        for number in list(self._running):
            self.cancel(number)

    def _result(self, attempt: _Attempt) -> Result:
        self._end(attempt, attempt.end, attempt.status)
        job, seconds = attempt.job, attempt.end - attempt.start
        if attempt.status is not Status.FINISHED:
            saved = self._saved.get(job.number, 0.0)
            self._saved[job.number] = self._faults.saved(saved + seconds)
            reason = f"The simulated evaluation {_REASONS[attempt.status]}."
            return Result(number=job.number, id=job.id, status=attempt.status, error=reason)
        return Result(
            number=job.number,
            id=job.id,
            status=Status.FINISHED,
            score=self._known[job.id].score,
            stage_seconds={STAGE: min(seconds, MAX_SECONDS)},
        )

    def _end(self, attempt: _Attempt, end: float, status: Status) -> None:
        job = attempt.job
        del self._running[job.number]
        self.spans.append(Span(number=job.number, attempt=job.attempt, start=attempt.start, end=end, status=status))
