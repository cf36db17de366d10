"""A loop over a real store, with an executor, a source and a clock that live in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self
from zlib import crc32

import numpy as np

from boshnas.baselines import RandomSearcher
from boshnas.interruption import Interruption
from boshnas.job import CHECKPOINT_FOLDER, STARTED_FILE, Job, Progress, Result
from boshnas.loop import Loop
from boshnas.plan import Plan
from boshnas.pool import Pool
from boshnas.searcher import Searcher
from boshnas.source import Candidate
from boshnas.store import STORE_FILE, Store
from boshnas.surrogates import Surrogate
from boshnas.trial import Decision, Proposal, Status, Trial

NUM_COARSE, NUM_FINE = 8, 16
COARSE = [f"coarse{row}" for row in range(NUM_COARSE)]
FINE = [f"fine{row}" for row in range(NUM_FINE)]
ROWS = dict(zip([*COARSE, *FINE], np.random.default_rng(7).uniform(size=(NUM_COARSE + NUM_FINE, 2)), strict=True))


def score_of(id_: str) -> float:
    if id_ not in ROWS:
        return 99.0  # a baseline from outside the pool, better than all
    x, y = ROWS[id_]
    return float(80 - 10 * (x - 0.3) ** 2 - 10 * (y - 0.6) ** 2)


@dataclass
class FakeClock:
    """Only tests turn it; sleeping costs nothing."""

    now: float = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        pass


class KilledError(Exception):
    """Stands for a kill."""


@dataclass
class FakeExecutor:
    """Computes results in memory, keeping to the executors' contract.

    A job ends at the poll after `delay(number)` further ones; `stop_at_poll` raises instead, before anything ends.
    """

    num_slots: int = 1
    delay: Callable[[int], int] = lambda number: 0
    failing: Mapping[str, Status] = field(default_factory=dict)
    newest_first: bool = False
    stop_at_poll: int | None = None
    stop_at_submit: int | None = None
    on_poll: Callable[[], None] = lambda: None
    jobs: list[Job] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    num_polls: int = 0
    _running: dict[int, tuple[Job, int]] = field(default_factory=dict)

    def submit(self, job: Job, folder: Path) -> int:
        if len(self._running) >= self.num_slots or job.number in self._running:
            raise RuntimeError(f"submit: no slot for job {job.number}")
        if self.stop_at_submit == len(self.jobs):
            raise KilledError
        self.jobs.append(job)
        self.folders.append(folder)
        self._running[job.number] = (job, self.delay(job.number))
        (folder / CHECKPOINT_FOLDER).mkdir(parents=True, exist_ok=True)
        (folder / STARTED_FILE).touch()
        return job.number

    def poll(self) -> list[Result]:
        if self.stop_at_poll == self.num_polls:
            raise KilledError
        self.num_polls += 1
        self.on_poll()
        ended = [job for job, left in self._running.values() if left <= 0]
        self._running = {number: (job, left - 1) for number, (job, left) in self._running.items() if left > 0}
        ended.sort(key=lambda job: job.number, reverse=self.newest_first)
        return [self._result(job) for job in ended]

    def _result(self, job: Job) -> Result:
        if job.id in self.failing:
            return Result(number=job.number, id=job.id, status=self.failing[job.id], error="no\nmore")
        score = score_of(job.id)
        return Result(number=job.number, id=job.id, status=Status.FINISHED, score=score, task_scores={"cola": score})

    def cancel(self, handle: int) -> None:
        self._running.pop(handle, None)

    def close(self) -> None:
        self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@dataclass
class FakeSource:
    """Level 1 is COARSE; a finer level is some of FINE, others for any other set of scored ids."""

    num_refined: int = 6
    lenders: Mapping[str, float] | None = None
    opened: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    asked_parents: list[tuple[str, list[str]]] = field(default_factory=list)

    def open_level(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        self.opened.append((level, dict(scores)))
        if level == 1:
            return COARSE
        rng = np.random.default_rng(crc32(" ".join(sorted(scores)).encode()))
        return [FINE[row] for row in rng.permutation(NUM_FINE)[: self.num_refined]]

    def describe(self, id_: str) -> Candidate:
        parameters = {"name": id_} if id_ in ROWS else {}
        return Candidate(architecture={"name": id_}, parameters=parameters, memory_bytes=crc32(id_.encode()))

    def parent(self, id_: str, trained: Sequence[str]) -> tuple[str, float] | None:
        self.asked_parents.append((id_, list(trained)))
        found = [other for other in trained if other in (self.lenders or {})]
        return (found[0], (self.lenders or {})[found[0]]) if found else None


@dataclass
class FakeView:
    """Keeps what it is told."""

    events: list[tuple[str, int]] = field(default_factory=list)
    ticks: list[dict[int, Progress | None]] = field(default_factory=list)
    waiting: list[str | None] = field(default_factory=list)

    def started(self, trial: Trial) -> None:
        self.events.append(("started", trial.number))

    def ended(self, trial: Trial) -> None:
        self.events.append(("ended", trial.number))

    def retried(self, trial: Trial) -> None:
        self.events.append(("retried", trial.number))

    def waits(self, reason: str | None) -> None:
        self.waiting.append(reason)

    def stops(self, num_running: int) -> None:
        self.events.append(("stops", num_running))

    def stops_at_once(self, numbers: Sequence[int]) -> None:
        self.events.extend(("ended at once", number) for number in numbers)

    def tick(self, running: Mapping[int, Progress | None]) -> None:
        self.ticks.append(dict(running))


PLAN = Plan(
    level_budgets=(4, 2),
    baselines=(),
    seed=5,
    settings={"tasks": ["cola"]},
    synchronous=True,
    deadline=None,
    max_failures=10,
)


@dataclass
class Run:
    """One part of a run over a folder: opens the store there, or makes it."""

    folder: Path
    plan: Plan = PLAN
    executor: FakeExecutor = field(default_factory=FakeExecutor)
    source: FakeSource = field(default_factory=FakeSource)
    surrogate: Surrogate | None = None
    view: FakeView = field(default_factory=FakeView)
    clock: FakeClock = field(default_factory=FakeClock)
    interruption: Interruption = field(default_factory=Interruption)
    stopped: str | None = None

    def run(self) -> list[Trial]:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / STORE_FILE
        pool = Pool(list(ROWS), np.array(list(ROWS.values())))
        kind = RandomSearcher if self.surrogate is None else Searcher
        self.searcher = kind(pool, self.surrogate, seed=5, num_initial=3)
        with Store.open(path) if path.exists() else Store.create(path, {}, {"name": list(ROWS)}) as store:
            loop = Loop(
                self.plan,
                store,
                self.searcher,
                self.source,
                self.executor,
                self.folder,
                self.view,
                self.clock,
                self.interruption,
            )
            self.stopped = loop.run()
            return store.trials()


def stored(folder: Path) -> list[Trial]:
    with Store.open(folder / STORE_FILE) as store:
        return store.trials()


def ended_trial(number: int, score: float | None, decision: Decision = Decision.RANDOM) -> Trial:
    return Trial(
        number=number,
        proposal=Proposal(id=f"a{number}", decision=decision),
        level=1,
        architecture={},
        parameters={},
        seed=0,
        status=Status.CRASHED if score is None else Status.FINISHED,
        score=score,
    )


def record(store: Store, trial: Trial) -> None:
    """Add a trial that has ended, and end it."""
    store.add(
        replace(trial, status=Status.RUNNING, score=None, task_scores={}, stage_seconds={}, details={}, error=None)
    )
    store.finish(
        Result(
            number=trial.number,
            id=trial.id,
            status=trial.status,
            score=trial.score,
            task_scores=dict(trial.task_scores),
            stage_seconds=dict(trial.stage_seconds),
            details=dict(trial.details),  # type: ignore[arg-type]
            error=trial.error,
        )
    )
