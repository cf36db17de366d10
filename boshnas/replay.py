"""Searches a table whose rows are measured already, and suggests which of the others to measure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from boshnas.errors import InputError
from boshnas.searcher import Searcher
from boshnas.table import Table
from boshnas.trial import Proposal

_NUM_TOLD = 200
_TAIL = 0.05


@dataclass(frozen=True, kw_only=True)
class Step:
    """One evaluation of a replayed search.

    Attributes:
        proposal: Candidate, why it was chosen, and what was believed of it, own unit and direction.
        value: Its objective, own unit.
        best_id: The best candidate so far.
        best: Its objective, own unit.
    """

    proposal: Proposal
    value: float
    best_id: str
    best: float

    @property
    def id(self) -> str:
        """The candidate's id."""
        return self.proposal.id


@dataclass(frozen=True, kw_only=True)
class RandomSearch:
    """The best that random search of a table has found after so many evaluations, objective in its own unit.

    Attributes:
        evaluations: From 1 on, ascending.
        mean: Expected best after each.
        low: The best is at least this good in 95 of 100 searches.
        high: The best is at least this good in 5 of 100 searches.
    """

    evaluations: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


def replayable(table: Table) -> list[str]:
    """Ids of the measured candidates, in order: what a replay chooses from."""
    is_open = set(table.unmeasured)
    return [id_ for id_ in table.candidates if id_ not in is_open]


def replay(table: Table, searcher: Searcher, budget: int, batch: int = 1) -> Iterator[Step]:
    """Search the measured rows as if each were measured when it is proposed.

    Args:
        table: Looked up instead of measuring.
        searcher: Over the table's pool, told nothing yet.
        budget: Evaluations at most, >= 1.
        batch: Proposals before the next results are told, >= 1.

    Yields:
        One step an evaluation; fewer than the budget where the measured rows run out.

    Raises:
        InputError: If no row is measured.
    """
    measured = replayable(table)
    if not measured:
        raise InputError(
            f"{table.name}: a search needs rows with a value of {table.objective_name!r}, got none. "
            "Name another objective, or ask for suggestions."
        )
    searcher.set_candidates(measured)
    better, best_id = table.objective.utility, ""
    num_done = 0
    while num_done < budget:
        proposals = searcher.propose(min(batch, budget - num_done))
        if not proposals:
            return
        _tell(table, searcher, [proposal.id for proposal in proposals])
        num_done += len(proposals)
        for proposal in proposals:
            value = table.values[proposal.id]
            if not best_id or better(value) > better(table.values[best_id]):
                best_id = proposal.id
            best = table.values[best_id]
            yield Step(proposal=_in_own_unit(table, proposal), value=value, best_id=best_id, best=best)


def random_search(table: Table, budget: int) -> RandomSearch:
    """What random search of the measured rows finds, exactly: no draw is made.

    Of k of n rows without replacement, the best is at most the i-th smallest utility with the probability
    C(i, k) / C(n, k), which is that of k - 1 rows times (i - k + 1) / (n - k + 1).

    Args:
        table: At least one row is measured.
        budget: Evaluations, from 1 to the number of measured rows.

    Returns:
        At most 200 numbers of evaluations, at about equal distances; the first and the last are among them.
    """
    utilities = np.sort([table.objective.utility(table.values[id_]) for id_ in replayable(table)])
    num_rows = len(utilities)
    ranks = np.arange(1, num_rows + 1)
    told = set(np.linspace(1, budget, min(budget, _NUM_TOLD)).round().astype(int).tolist())
    at_most = np.ones(num_rows)  # probability that the best so far is at most each utility
    bests = []
    for num in range(1, budget + 1):
        at_most *= np.maximum(ranks - num + 1, 0) / (num_rows - num + 1)
        if num in told:
            ends = utilities[np.searchsorted(at_most, [_TAIL, 1 - _TAIL]).clip(max=num_rows - 1)]
            bests.append([utilities @ np.diff(at_most, prepend=0.0), *ends])
    mean, low, high = table.objective.value(np.array(bests).T).tolist()
    return RandomSearch(evaluations=sorted(told), mean=mean, low=low, high=high)


def regret(table: Table, best: float) -> float | None:
    """How far a value is from the table's best, in the objective's unit, >= 0; None where rows are not measured."""
    if table.unmeasured:
        return None
    possible = max(table.objective.utility(table.values[id_]) for id_ in table.candidates)
    return possible - table.objective.utility(best)


def suggest(table: Table, searcher: Searcher, k: int) -> list[Proposal]:
    """The rows to measure next.

    Args:
        table: Rows with an objective teach, within the constraints or not; those within without one are candidates.
        searcher: Over the table's pool, told nothing yet.
        k: How many, >= 1.

    Returns:
        At most k, fewer where no more are left; mean and deviations in the objective's own unit and direction, None
        where nothing could be learned.

    Raises:
        InputError: If every row is measured.
    """
    candidates = table.unmeasured
    if not candidates:
        raise InputError(
            f"{table.name}: suggestions need rows without a value of {table.objective_name!r}, got none. "
            "Add rows with an empty cell, relax the constraints, or search the table without --suggest."
        )
    if table.measured:
        _tell(table, searcher, table.measured)
    searcher.set_candidates(candidates)
    return [_in_own_unit(table, proposal) for proposal in searcher.propose(k)]


def _in_own_unit(table: Table, proposal: Proposal) -> Proposal:
    return replace(proposal, mean=None if proposal.mean is None else table.objective.value(proposal.mean))


def _tell(table: Table, searcher: Searcher, ids: list[str]) -> None:
    noise_std = {id_: table.noise_std[id_] for id_ in ids if id_ in table.noise_std}
    searcher.tell(table.utilities(ids), noise_std)
