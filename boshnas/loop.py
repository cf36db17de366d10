"""Proposal, job, result, store, and round again."""

import errno
import logging
from collections import deque
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

from boshnas.clock import Clock, SystemClock
from boshnas.disk import CheckpointBudget, checkpoint_folder, missing_room
from boshnas.errors import InputError
from boshnas.executors.base import Executor
from boshnas.executors.outcome import written_result
from boshnas.interruption import Interruption
from boshnas.job import (
    PROGRESS_FILE,
    SAVED_FILE,
    STARTED_FILE,
    Job,
    Parent,
    Progress,
    Result,
    Saved,
    job_folder,
    read_if_whole,
)
from boshnas.loop_parts import Proposer, TrialStore
from boshnas.plan import Plan, View
from boshnas.retry import batch_split, is_retried
from boshnas.source import Source
from boshnas.straggler import Stragglers
from boshnas.trial import Attempt, Decision, Proposal, Status, Trial
from boshnas.wording import counted

POLL_SECONDS = 0.1
ROOM_SECONDS = 30.0
"""After something did not fit onto the disk, nothing starts for so long."""
OUT_OF_TIME = "--max-hours is over"
INTERRUPTED = "it was asked to"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_logger = logging.getLogger(__name__)


class Loop:
    """Runs a plan to its end, from wherever the store stands.

    Args:
        plan: How much to evaluate.
        store: Open; trials that are running in it are started again, their results on disk taken in.
        searcher: Fresh; it is told what the store knows.
        source: Of candidates.
        executor: Runs the jobs.
        folder: Of the run.
        view: Is told what happens.
        clock: It goes by.
        interruption: Asks it to stop; it tells how many evaluations that would wait for.
    """

    def __init__(
        self,
        plan: Plan,
        store: TrialStore,
        searcher: Proposer,
        source: Source,
        executor: Executor,
        folder: Path,
        view: View,
        clock: Clock | None = None,
        interruption: Interruption | None = None,
    ) -> None:
        self._plan = plan
        self._store = store
        self._searcher = searcher
        self._source = source
        self._executor = executor
        self._folder = folder
        self._view = view
        self._clock = clock or SystemClock()
        self._interruption = interruption or Interruption()
        self._is_stopping = False
        self._stragglers = Stragglers(plan.straggler_factor)
        self._checkpoints = (
            None
            if plan.max_checkpoint_bytes is None
            else CheckpointBudget(folder, plan.max_checkpoint_bytes, plan.num_kept)
        )
        self._is_waiting = False
        self._held_until = float("-inf")
        self._trials: dict[int, Trial] = {}
        self._lenders: dict[str, int] = {}  # by id: finished, with a checkpoint, as far as is known
        self._num_proposed = self._num_failed = 0
        self._running: dict[int, Job] = {}
        self._saved: dict[int, Saved | None] = {}  # what each attempt began with
        self._taken_over: set[int] = set()  # that an earlier search began, and that ran on in a cluster
        self._untold: list[int] = []
        self._waiting: deque[Trial] = deque()
        self._level = 0

    def run(self) -> str | None:
        """Evaluate until the plan is done.

        Returns:
            Why it stopped early, or None.
        """
        self._resume()
        try:
            return self._turn()
        except KeyboardInterrupt:
            if self._running:
                self._view.stops_at_once(sorted(self._running))
            raise
        finally:
            self._interruption.num_running = 0

    def _turn(self) -> str | None:
        """Round and round, until nothing runs and nothing more is to start."""
        while True:
            has_news = self._collect()
            stop = self._reason_to_stop()
            if stop is None and self._has_room():
                self._start_waiting()
                self._fill_slots()
            if not self._running and (stop is not None or self._is_done()):
                return stop
            if not has_news:
                self._clock.sleep(POLL_SECONDS)

    def _resume(self) -> None:
        for trial in self._store.trials():
            self._note(trial)
            if trial.status is Status.RUNNING:
                self._waiting.append(trial)
            else:
                self._untold.append(trial.number)
                self._stragglers.learn(trial.stage_seconds if trial.status is Status.FINISHED else {})
        self._searcher.resume(self._num_proposed)

    def _note(self, trial: Trial) -> None:
        """Keep a trial that is new, or has ended."""
        self._num_proposed += trial.number not in self._trials and trial.proposal.decision is not Decision.BASELINE
        self._num_failed += trial.failed
        self._trials[trial.number] = trial
        # Baselines stay out of the search.
        if trial.status is Status.FINISHED and trial.proposal.decision is not Decision.BASELINE:
            self._lenders[trial.id] = trial.number

    def _start_waiting(self) -> None:
        """Start what ran when the search was interrupted, or is to be tried again, as slots allow."""
        while self._waiting and len(self._running) < self._executor.num_slots and not self._interruption.asked:
            if not self._start(self._waiting[0]):
                return
            self._waiting.popleft()

    def _collect(self) -> bool:
        """Take in what has ended; whether anything has."""
        now = self._clock.monotonic()
        progress = {number: self._progress(number) for number in sorted(self._running)}
        self._view.tick(progress)
        results = self._executor.poll()
        for result in results:
            self._end(result, now)
        for number in [number for number in progress if number in self._running]:
            self._end_straggler(number, progress[number], now)
        if (self._running or self._waiting) and self._plan.synchronous:
            return bool(results)  # a batch is told whole and in order, so that a resumed search proposes the same
        for number in sorted(self._untold):
            trial = self._trials[number]
            if trial.id in self._searcher.pool:
                self._searcher.tell({trial.id: trial.score})
        self._untold = []
        return bool(results)

    def _end(self, result: Result, now: float) -> None:
        """Take in the outcome of one attempt, which may be followed by another."""
        number = result.number
        del self._running[number]
        self._interruption.num_running = len(self._running)
        trial = self._trials[number]
        is_finished = result.status is Status.FINISHED
        is_watched = is_finished and not result.stage_seconds and number not in self._taken_over
        self._stragglers.forget(number, now, is_watched)
        if result.status is Status.DISK_FULL:
            self._hold((result.error or "a disk is full").partition("\n")[0])
        if not is_finished and is_retried(trial.attempts, result.status, self._has_advanced(number)):
            trial = self._store.add_attempt(number, Attempt(status=result.status, error=result.error or ""))
            self._trials[number] = trial
            self._waiting.append(trial)
            self._view.retried(trial)
            return
        trial = self._store.finish(result)
        self._note(trial)
        self._untold.append(number)
        self._stragglers.learn(trial.stage_seconds if is_finished else {})
        self._view.ended(trial)
        self._delete_checkpoints()

    def _end_straggler(self, number: int, progress: Progress | None, now: float) -> None:
        """End an evaluation that hangs; one that still waits in a queue of the cluster does not."""
        if self._started(number) is None:
            self._stragglers.forget(number, now)  # the cluster has put it back
            return
        reason = self._stragglers.overdue(number, progress.stage if progress else None, now)
        if reason is None:
            return
        self._executor.cancel(number)
        job = self._running[number]
        # Another attempt would take as long: this is final, whatever it has left to go on from.
        self._saved[number] = self._read_saved(number)
        late = Result(number=number, id=job.id, status=Status.TIMED_OUT, error=f"Ended, as {reason}.")
        self._end(self._written(job) or late, now)

    def _written(self, job: Job) -> Result | None:
        """The result of a worker that has told it and hung then."""
        with suppress(InputError):
            return written_result(job, self.job_folder(job.number))
        return None

    def _delete_checkpoints(self) -> None:
        if self._checkpoints is None:
            return
        lending = {_lender(job.parent) for job in self._running.values() if job.parent is not None}
        lending |= {self._lenders[id_] for trial in self._waiting if (id_ := trial.parent_id) in self._lenders}
        for number in self._checkpoints.keep(list(self._trials.values()), {*self._running, *lending}):
            self._lenders.pop(self._trials[number].id, None)
            _logger.info("The checkpoint of evaluation %d was deleted to keep to the budget of the disk.", number)

    def _progress(self, number: int) -> Progress | None:
        return read_if_whole(self.job_folder(number) / PROGRESS_FILE, Progress)

    def _read_saved(self, number: int) -> Saved | None:
        return read_if_whole(self.job_folder(number) / SAVED_FILE, Saved)

    def _has_advanced(self, number: int) -> bool:
        saved = self._read_saved(number)
        return saved is not None and saved != self._saved.get(number)

    def _reason_to_stop(self) -> str | None:
        if self._interruption.asked:
            if not self._is_stopping:
                self._is_stopping = True
                self._view.stops(len(self._running))
            return INTERRUPTED
        is_used_up = not self._waiting and self._is_used_up()
        if self._num_failed > self._plan.max_failures and not is_used_up:
            return (
                f"{counted(self._num_failed, 'evaluation')} failed, more than --max-failures {self._plan.max_failures}"
            )
        is_late = self._plan.deadline is not None and self._clock.monotonic() > self._plan.deadline
        return OUT_OF_TIME if is_late and not is_used_up else None

    def _is_done(self) -> bool:
        """Whether nothing is left to start: no proposal was made, and none is held back by a full disk."""
        return not self._waiting and (self._is_used_up() or not self._is_waiting)

    def _is_used_up(self) -> bool:
        return self._num_proposed >= sum(self._plan.level_budgets)

    def _has_room(self) -> bool:
        """Whether the disk has room for another evaluation; the person is told when that changes."""
        if self._clock.monotonic() < self._held_until:
            return False
        reason = missing_room(self._folder, self._plan.min_free_bytes) if self._plan.min_free_bytes else None
        if (reason is not None) != self._is_waiting:
            self._is_waiting = reason is not None
            self._view.waits(reason)
        return reason is None

    def _hold(self, reason: str) -> None:
        """Start nothing for a while, as something did not fit onto the disk."""
        self._held_until = self._clock.monotonic() + ROOM_SECONDS
        if not self._is_waiting:
            self._is_waiting = True
            self._view.waits(reason)

    def _fill_slots(self) -> None:
        if self._waiting or (self._plan.synchronous and self._running):
            return
        num_free = self._executor.num_slots - len(self._running)
        while num_free > 0 and (trials := self._next_trials(num_free)):
            if self._interruption.asked:
                return  # while these were sought
            for trial in trials:
                self._store.add(trial)
                self._note(trial)
            self._waiting.extend(trials)
            self._start_waiting()
            if self._plan.synchronous:
                return  # a batch stays within one level, which opens when all coarser scores are there
            num_free -= len(trials)

    def _next_trials(self, num_free: int) -> list[Trial]:
        """The next trials of one level or the baselines; none where the plan is used up."""
        known = {trial.id for trial in self._trials.values()} if self._plan.baselines else ()
        baselines = [id_ for id_ in self._plan.baselines if id_ not in known]
        if baselines:
            proposals = [Proposal(id=id_, decision=Decision.BASELINE) for id_ in baselines[:num_free]]
            return [self._trial(proposal, 0, offset) for offset, proposal in enumerate(proposals)]
        for level, end in enumerate(accumulate(self._plan.level_budgets), start=1):
            num_left = end - self._num_proposed
            if num_left <= 0 or level < self._level:
                continue
            self._open_level(level)
            pending = [self._trials[number].id for number in self._running]
            found = self._searcher.propose(min(num_free, num_left), pending)
            if found:
                return [self._trial(proposal, level, offset) for offset, proposal in enumerate(found)]
        return []

    def _open_level(self, level: int) -> None:
        if level == self._level:
            return
        coarser = [trial for trial in self._trials.values() if trial.level < level]
        scores = {trial.id: trial.score for trial in coarser if trial.score is not None}
        self._searcher.set_candidates(self._source.open_level(level, scores))
        self._level = level

    def _trial(self, proposal: Proposal, level: int, offset: int) -> Trial:
        candidate = self._source.describe(proposal.id)
        parent = self._found_parent(proposal.id)
        return Trial(
            number=len(self._trials) + offset,
            proposal=proposal,
            level=level,
            architecture=candidate.architecture,
            parameters=candidate.parameters,
            seed=self._plan.seed,
            params=candidate.params,
            parent_id=parent[0] if parent else None,
        )

    def _found_parent(self, id_: str) -> tuple[str, float] | None:
        """Who lends its weights; one whose checkpoint somebody has deleted does not."""
        # In the order of proposal, which no order of arrival changes.
        lenders = sorted(self._lenders, key=self._lenders.__getitem__)
        while (found := self._source.parent(id_, lenders)) is not None:
            if checkpoint_folder(self._folder, self._lenders[found[0]]).is_dir():
                return found
            del self._lenders[found[0]]
            lenders.remove(found[0])
        return None

    def _start(self, trial: Trial) -> bool:
        """Hand an evaluation to the executor; False where the disk has no room for its files."""
        candidate = self._source.describe(trial.id)
        job = Job(
            number=trial.number,
            id=trial.id,
            attempt=len(trial.attempts) + 1,
            batch_split=batch_split(trial.attempts),
            architecture=dict(candidate.architecture),
            seed=trial.seed,
            parent=self._parent(trial),
            settings=dict(self._plan.settings),
            memory_bytes=candidate.memory_bytes,
        )
        self._saved[trial.number] = self._read_saved(trial.number)
        begun = self._started(trial.number)
        try:
            self._executor.submit(job, self.job_folder(trial.number))
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            self._hold(f"{self._folder}: {error.strerror}")
            return False
        self._running[trial.number] = job
        self._interruption.num_running = len(self._running)
        self._taken_over.discard(trial.number)
        if begun is not None and begun == self._started(trial.number):
            self._taken_over.add(trial.number)
            self._saved[trial.number] = None  # not known: whatever it leaves counts as new
        self._view.started(trial)
        return True

    def _started(self, number: int) -> float | None:
        """When an evaluation began to run, by the disk's clock; None where it waits in a queue."""
        try:
            return (self.job_folder(number) / STARTED_FILE).stat().st_mtime
        except OSError:
            return None

    def _parent(self, trial: Trial) -> Parent | None:
        """Who lends its weights to a trial; nobody where the checkpoint has gone since it was proposed."""
        number = self._lenders.get(trial.parent_id or "")
        if trial.parent_id is None or number is None:
            return None
        checkpoint = checkpoint_folder(self._folder, number)
        found = self._source.parent(trial.id, [trial.parent_id])
        if found is None or not checkpoint.is_dir():
            return None
        return Parent(id=trial.parent_id, checkpoint=str(checkpoint.relative_to(self._folder)), overlap=found[1])

    def job_folder(self, number: int) -> Path:
        """Where an evaluation's files lie."""
        return job_folder(self._folder, number)


def _lender(parent: Parent) -> int:
    """Number of the evaluation whose checkpoint a job names."""
    return int(Path(parent.checkpoint).parent.name)
