"""Proposal, job, result, store, and round again."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from boshnas.executors.base import Executor
from boshnas.job import CHECKPOINT_FOLDER, PROGRESS_FILE, Job, Parent, Progress, job_folder, read_model
from boshnas.searcher import Searcher
from boshnas.store import Store
from boshnas.trial import Decision, Proposal, Status, Trial

POLL_SECONDS = 0.1
OUT_OF_TIME = "--max-hours is over"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An id's architecture, as the store and the workers need it, and what it takes of memory; None: unknown."""

    architecture: Mapping[str, JsonValue]
    parameters: Mapping[str, str | int]
    memory_bytes: int | None = None


class Source(Protocol):
    """Where candidates come from; the loop knows ids alone."""

    def open_level(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        """Ids that may be proposed at a level, all in the searcher's pool, given the scores so far."""
        ...

    def describe(self, id_: str) -> Candidate:
        """What an id stands for."""
        ...

    def parent(self, id_: str, trained: Sequence[str]) -> tuple[str, float] | None:
        """Which of the trained ids should lend its weights, with the overlap in [0, 1]."""
        ...


class View(Protocol):
    """Shows a search to a person."""

    def started(self, trial: Trial) -> None:
        """An evaluation began."""
        ...

    def ended(self, trial: Trial) -> None:
        """An evaluation finished or failed."""
        ...

    def tick(self, running: Mapping[int, Progress | None]) -> None:
        """Some time passed; where each running evaluation is, by its number."""
        ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to evaluate.

    Attributes:
        level_budgets: Evaluations at each level, from level 1.
        baselines: Ids to evaluate first, outside the budget.
        seed: Of every training.
        settings: Handed to every worker.
        synchronous: Propose again only when nothing is in flight.
        deadline: No evaluation starts after it, on the clock of `time.monotonic`; None: no limit.
        max_failures: Stop after more failures than this.
    """

    level_budgets: Sequence[int]
    baselines: Sequence[str]
    seed: int
    settings: Mapping[str, JsonValue]
    synchronous: bool
    deadline: float | None
    max_failures: int


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
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        searcher: Searcher,
        source: Source,
        executor: Executor,
        folder: Path,
        view: View,
    ) -> None:
        self._plan = plan
        self._store = store
        self._searcher = searcher
        self._source = source
        self._executor = executor
        self._folder = folder
        self._view = view
        self._trials: dict[int, Trial] = {}
        self._running: set[int] = set()
        self._untold: list[int] = []
        self._waiting: deque[Trial] = deque()
        self._level = 0

    def run(self) -> str | None:
        """Evaluate until the plan is done.

        Returns:
            Why it stopped early, or None.
        """
        self._resume()
        while True:
            self._collect()
            self._start_waiting()
            stop = self._reason_to_stop()
            if stop is None:
                self._fill_slots()
            if not self._running and not self._waiting:
                return stop
            time.sleep(POLL_SECONDS)

    def _resume(self) -> None:
        for trial in self._store.trials():
            self._trials[trial.number] = trial
            if trial.status is Status.RUNNING:
                self._waiting.append(trial)
            else:
                self._untold.append(trial.number)
        self._searcher.resume(self._num_proposed())

    def _start_waiting(self) -> None:
        """Start what ran when the search was interrupted, as slots allow."""
        while self._waiting and len(self._running) < self._executor.num_slots:
            self._start(self._waiting.popleft())

    def _collect(self) -> None:
        self._view.tick({number: self._progress(number) for number in sorted(self._running)})
        for result in self._executor.poll():
            trial = self._store.finish(result)
            self._trials[trial.number] = trial
            self._running.discard(trial.number)
            self._untold.append(trial.number)
            self._view.ended(trial)
        if (self._running or self._waiting) and self._plan.synchronous:
            return  # a batch is told whole and in order, so that a resumed search proposes the same
        for number in sorted(self._untold):
            trial = self._trials[number]
            if trial.id in self._searcher.pool:
                self._searcher.tell({trial.id: trial.score})
        self._untold = []

    def _progress(self, number: int) -> Progress | None:
        path = self.job_folder(number) / PROGRESS_FILE
        return read_model(path, Progress) if path.exists() else None

    def _reason_to_stop(self) -> str | None:
        num_failed = sum(trial.failed for trial in self._trials.values())
        if num_failed > self._plan.max_failures:
            return f"{num_failed} evaluations failed, more than --max-failures {self._plan.max_failures}"
        is_late = self._plan.deadline is not None and time.monotonic() > self._plan.deadline
        if is_late and self._num_proposed() < sum(self._plan.level_budgets):
            return OUT_OF_TIME
        return None

    def _fill_slots(self) -> None:
        if self._waiting or (self._plan.synchronous and self._running):
            return
        num_free = self._executor.num_slots - len(self._running)
        while num_free > 0 and (trials := self._next_trials(num_free)):
            for trial in trials:
                self._store.add(trial)
                self._trials[trial.number] = trial
            for trial in trials:
                self._start(trial)
            if self._plan.synchronous:
                return  # a batch stays within one level, which opens when all coarser scores are there
            num_free -= len(trials)

    def _next_trials(self, num_free: int) -> list[Trial]:
        """The next trials of one level or the baselines; none where the plan is used up."""
        known = {trial.id for trial in self._trials.values()}
        baselines = [id_ for id_ in self._plan.baselines if id_ not in known]
        if baselines:
            proposals = [Proposal(id=id_, decision=Decision.BASELINE) for id_ in baselines[:num_free]]
            return [self._trial(proposal, 0, offset) for offset, proposal in enumerate(proposals)]
        for level, end in enumerate(accumulate(self._plan.level_budgets), start=1):
            num_left = end - self._num_proposed()
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

    def _num_proposed(self) -> int:
        return sum(trial.proposal.decision is not Decision.BASELINE for trial in self._trials.values())

    def _trial(self, proposal: Proposal, level: int, offset: int) -> Trial:
        candidate = self._source.describe(proposal.id)
        parent = self._source.parent(proposal.id, self._trained())
        return Trial(
            number=len(self._trials) + offset,
            proposal=proposal,
            level=level,
            architecture=candidate.architecture,
            parameters=candidate.parameters,
            seed=self._plan.seed,
            parent_id=parent[0] if parent else None,
        )

    def _trained(self) -> list[str]:
        """Ids whose weights may be lent: they finished, and baselines stay out of the search."""
        return [
            trial.id
            for trial in self._trials.values()
            if trial.status is Status.FINISHED and trial.proposal.decision is not Decision.BASELINE
        ]

    def _start(self, trial: Trial) -> None:
        candidate = self._source.describe(trial.id)
        job = Job(
            number=trial.number,
            id=trial.id,
            architecture=dict(candidate.architecture),
            seed=trial.seed,
            parent=self._parent(trial),
            settings=dict(self._plan.settings),
            memory_bytes=candidate.memory_bytes,
        )
        self._executor.submit(job, self.job_folder(trial.number))
        self._running.add(trial.number)
        self._view.started(trial)

    def _parent(self, trial: Trial) -> Parent | None:
        if trial.parent_id is None:
            return None
        lender = next(
            other for other in self._trials.values() if other.id == trial.parent_id and other.status is Status.FINISHED
        )
        found = self._source.parent(trial.id, [lender.id])
        assert found is not None
        checkpoint = self.job_folder(lender.number).relative_to(self._folder) / CHECKPOINT_FOLDER
        return Parent(id=lender.id, checkpoint=str(checkpoint), overlap=found[1])

    def job_folder(self, number: int) -> Path:
        """Where an evaluation's files lie."""
        return job_folder(self._folder, number)


def split_budget(budget: int, num_levels: int) -> list[int]:
    """Evaluations for each level: about 1/2, 1/3 and 1/6 of the budget over three levels.

    A level l of n has the weight n − l + 1; each level gets at least one evaluation, coarse levels first, and what
    rounding leaves goes to the coarsest.

    Args:
        budget: Evaluations in all, at least 1.
        num_levels: Levels there are, at least 1.

    Example:
        >>> split_budget(12, 3), split_budget(4, 3), split_budget(1, 3)
        ([6, 4, 2], [2, 1, 1], [1, 0, 0])
    """
    if budget <= num_levels:
        return [int(level < budget) for level in range(num_levels)]
    weights = range(num_levels, 0, -1)
    shares = [max(1, budget * weight // sum(weights)) for weight in weights]
    shares[0] += budget - sum(shares)
    return shares


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the greatest score, baselines left out; of equals the earliest."""
    finished = [
        trial for trial in trials if trial.score is not None and trial.proposal.decision is not Decision.BASELINE
    ]
    return max(finished, key=lambda trial: (trial.score, -trial.number), default=None)


def results_of(trials: Sequence[Trial]) -> list[Trial]:
    """Finished trials, best first."""
    finished = [trial for trial in trials if trial.score is not None]
    return sorted(finished, key=lambda trial: (-(trial.score or 0.0), trial.number))
