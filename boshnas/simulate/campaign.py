"""One simulated campaign: the real loop, in virtual time."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from boshnas.loop import Loop
from boshnas.loop_parts import Proposer
from boshnas.plan import Plan
from boshnas.simulate.account import Account
from boshnas.simulate.clock import VirtualClock
from boshnas.simulate.executor import Known, SimulatedExecutor
from boshnas.simulate.faults import Faults
from boshnas.simulate.memory import MemoryStore
from boshnas.source import Source
from boshnas.trial import Status, Trial
from boshnas.view import SilentView

STEP_S = 30.0
"""Where stragglers are ended, the loop looks for them so often, in virtual seconds, or for each hundredth of the median
evaluation if that is more: so late they may be ended."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a campaign runs on.

    Attributes:
        num_slots: Evaluations at a time, at least 1.
        faults: What goes wrong there.
        seed: Of the faults, >= 0.
    """

    num_slots: int
    faults: Faults = Faults()
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came out of a campaign.

    Attributes:
        account: Of the slots' time.
        trials: All evaluations, in order of number.
        stopped: Why it stopped early, or None.
    """

    account: Account
    trials: Sequence[Trial]
    stopped: str | None

    @property
    def num_finished(self) -> int:
        """Evaluations with a score."""
        return sum(trial.status is Status.FINISHED for trial in self.trials)

    @property
    def failures(self) -> Counter[str]:
        """Evaluations without a score, by cause."""
        return Counter(trial.status.value for trial in self.trials if trial.failed)

    @property
    def retries(self) -> Counter[str]:
        """Attempts that were followed by another, by cause."""
        return Counter(attempt.status.value for trial in self.trials for attempt in trial.attempts)

    @cached_property
    def scores(self) -> list[tuple[float, float]]:
        """Hour and score of each finished evaluation, in the order of their ends."""
        spans = [span for span in self.account.spans if span.status is Status.FINISHED]
        found = [(span.end / 3600, self.trials[span.number].score) for span in spans]
        return [(hour, score) for hour, score in found if score is not None]

    def best_at(self, hour: float) -> float | None:
        """Greatest score by an hour of the campaign; None before the first."""
        return max((score for ended, score in self.scores if ended <= hour), default=None)


def simulate(
    plan: Plan,
    source: Source,
    searcher: Proposer,
    known: Mapping[str, Known],
    machines: Machines,
    clock: VirtualClock,
    earlier: Iterable[Trial] = (),
    report: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run a campaign to its end.

    Args:
        plan: How much; its deadline is on the virtual clock.
        source: Of candidates, none of which has a parent.
        searcher: Fresh.
        known: By id, all candidates.
        machines: Where it runs.
        clock: At 0; see `new_clock`.
        earlier: Trials of a run that is gone on with.
        report: Called after each evaluation.
    """
    store = MemoryStore(earlier)
    executor = SimulatedExecutor(clock, known, num_slots=machines.num_slots, faults=machines.faults, seed=machines.seed)
    with TemporaryDirectory(prefix="boshnas-") as folder, executor:
        loop = Loop(plan, store, searcher, source, executor, Path(folder), _Counting(report), clock)
        stopped = loop.run()
    return Outcome(account=Account(executor.spans, machines.num_slots), trials=store.trials(), stopped=stopped)


def new_clock(plan: Plan, known: Mapping[str, Known]) -> VirtualClock:
    """A clock for one campaign of some evaluations."""
    if plan.straggler_factor == float("inf"):
        return VirtualClock()
    return VirtualClock(max(STEP_S, median(one.seconds for one in known.values()) / 100))


class _Counting(SilentView):
    """Only counts what has ended."""

    def __init__(self, report: Callable[[], None]) -> None:
        self._report = report

    def ended(self, trial: Trial) -> None:
        self._report()
