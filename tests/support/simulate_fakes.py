"""Campaigns of a few evaluations whose schedule is reckoned by hand: in the order of their names, no surrogate."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from boshnas.plan import Plan
from boshnas.pool import Pool
from boshnas.simulate.campaign import Machines, Outcome, new_clock, simulate
from boshnas.simulate.executor import Known
from boshnas.simulate.faults import Faults
from boshnas.source import Candidate
from boshnas.trial import Decision, Proposal, Trial

HOUR = 3600.0


@dataclass
class InOrder:
    """Proposes the pool's ids one after the other; also the source that they come from."""

    pool: Pool
    told: dict[str, float | None] = field(default_factory=dict)
    num_proposed: int = 0

    def resume(self, num_proposed: int) -> None:
        self.num_proposed = num_proposed

    def set_candidates(self, ids: Collection[str] | None) -> None:
        pass

    def tell(self, results: Mapping[str, float | None]) -> None:
        self.told |= results

    def propose(self, k: int, pending: Collection[str] = ()) -> list[Proposal]:
        ids = self.pool.ids[self.num_proposed : self.num_proposed + k]
        self.num_proposed += len(ids)
        return [Proposal(id=id_, decision=Decision.RANDOM) for id_ in ids]

    def open_level(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        return self.pool.ids

    def describe(self, id_: str) -> Candidate:
        return Candidate(architecture={"id": id_}, parameters={})

    def parent(self, id_: str, trained: Sequence[str]) -> tuple[str, float] | None:
        return None


def campaign(
    hours: Sequence[float],
    num_slots: int,
    *,
    synchronous: bool = False,
    faults: Faults | None = None,
    seed: int = 0,
    straggler_factor: float = float("inf"),
    max_hours: float | None = None,
    earlier: Sequence[Trial] = (),
) -> Outcome:
    """Evaluations that take some hours each; the n-th, from 0, has the score n."""
    known = {f"c{number}": Known(seconds=HOUR * one, score=float(number)) for number, one in zip(count(), hours)}
    source = InOrder(Pool(list(known), np.arange(len(known), dtype=np.float64)[:, None]))
    plan = Plan(
        level_budgets=(len(known),),
        baselines=(),
        seed=0,
        settings={},
        synchronous=synchronous,
        deadline=None if max_hours is None else HOUR * max_hours,
        max_failures=len(known),
        straggler_factor=straggler_factor,
    )
    machines = Machines(num_slots=num_slots, faults=faults or Faults(), seed=seed)
    return simulate(plan, source, source, known, machines, new_clock(plan, known), earlier)
