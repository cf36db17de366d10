import numpy as np
import pandas as pd
import pytest

from boshnas.bench.methods import METHODS
from boshnas.simulate.clock import VirtualClock
from boshnas.simulate.method import MethodSearcher, RowSource
from boshnas.table import Table
from boshnas.trial import Decision

WIDTH = np.random.default_rng(0).integers(1, 30, 40)
FRAME = pd.DataFrame({"name": [f"r{row}" for row in range(40)], "width": WIDTH, "loss": (WIDTH - 12.5) ** 2})
PART = FRAME.assign(loss=FRAME["loss"].where(FRAME.index % 4 > 0))


def table(frame: pd.DataFrame = FRAME) -> Table:
    return Table(frame, objective="loss", minimize=True, id="name")


def searcher(method: str, found: Table, clock: VirtualClock | None = None, proposal_s: float = 0.0) -> MethodSearcher:
    made = MethodSearcher(method, found, seed=1, num_initial=5, clock=clock or VirtualClock(), proposal_s=proposal_s)
    made.set_candidates(RowSource(found).open_level(1, {}))
    return made


@pytest.mark.parametrize("method", ["gp", "random", "evolution", "tpe", "rf"])
def test_every_method_proposes_each_measured_row_once(method: str):
    found = table(PART)
    asked = searcher(method, found)
    seen: list[str] = []
    while proposals := asked.propose(4, seen[-2:]):  # two in flight
        ids = [proposal.id for proposal in proposals]
        asked.tell({id_: found.utilities([id_])[id_] for id_ in seen[-2:]})
        asked.tell({id_: found.utilities([id_])[id_] for id_ in ids[:-2]})
        seen += ids
    assert len(seen) == len(set(seen))
    assert set(seen) == {f"r{row}" for row in range(40) if row % 4}


def test_the_first_rows_are_random_and_the_same_for_all_methods():
    proposals = {method: searcher(method, table()).propose(5) for method in ("random", "gp", "tpe")}
    assert proposals["random"] == proposals["gp"] == proposals["tpe"]
    assert {proposal.decision for proposal in proposals["gp"]} == {Decision.RANDOM}


def test_a_batch_that_begins_with_first_rows_is_filled_up():
    asked = searcher("evolution", table())
    asked.tell(dict.fromkeys(one.id for one in asked.propose(3)))
    proposals = asked.propose(6)
    assert [proposal.decision for proposal in proposals] == [Decision.RANDOM] * 2 + [Decision.OPTIMISE] * 4
    assert len({proposal.id for proposal in proposals}) == 6


def test_proposals_take_their_time_on_the_clock():
    clock = VirtualClock()
    searcher("random", table(), clock, proposal_s=2.5).propose(6)
    assert clock.monotonic() == 15.0


def test_rows_are_candidates_with_their_columns():
    candidate = RowSource(table(PART)).describe("r1")
    assert candidate.architecture == {"name": "r1", "width": int(WIDTH[1]), "loss": (WIDTH[1] - 12.5) ** 2}
    assert candidate.parameters == {"name": "r1", "width": int(WIDTH[1])}


def test_costs_reach_the_search():
    found = Table(FRAME.assign(seconds=1.0 + FRAME["width"]), objective="loss", minimize=True, cost="seconds")
    assert METHODS["gp"].make(found, 0, 5)._log_costs["0"] == pytest.approx(np.log(1.0 + WIDTH[0]))  # type: ignore[attr-defined]
