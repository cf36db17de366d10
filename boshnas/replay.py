"""Searches a table whose rows are measured already, and suggests which of the others to measure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from boshnas.errors import InputError
from boshnas.searcher import Searcher
from boshnas.table import Table
from boshnas.trial import Proposal


@dataclass(frozen=True, kw_only=True)
class Step:
    """One evaluation of a replayed search.

    Attributes:
        id: Candidate.
        value: Its objective, own unit.
        best_id: The best candidate so far.
        best: Its objective, own unit.
    """

    id: str
    value: float
    best_id: str
    best: float


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
        ids = searcher.ask(min(batch, budget - num_done))
        if not ids:
            return
        _tell(table, searcher, ids)
        num_done += len(ids)
        for id_ in ids:
            if not best_id or better(table.values[id_]) > better(table.values[best_id]):
                best_id = id_
            yield Step(id=id_, value=table.values[id_], best_id=best_id, best=table.values[best_id])


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
    return [
        replace(proposal, mean=None if proposal.mean is None else table.objective.value(proposal.mean))
        for proposal in searcher.propose(k)
    ]


def _tell(table: Table, searcher: Searcher, ids: list[str]) -> None:
    noise_std = {id_: table.noise_std[id_] for id_ in ids if id_ in table.noise_std}
    searcher.tell(table.utilities(ids), noise_std)
