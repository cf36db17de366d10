"""One run of one method: how far the best is from the table's best, evaluation by evaluation."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from boshnas.bench.methods import METHODS, AskTell
from boshnas.table import Table


@dataclass(frozen=True, kw_only=True)
class Task:
    """A method to run.

    Attributes:
        method: Of `methods.METHODS`.
        seed: Of the starting points and of the search, >= 0.
    """

    method: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is the same for every run.

    Attributes:
        initial: Random rows at the start, >= 1.
        budget: Evaluations in all, more than `initial`, at most the rows of the table.
    """

    initial: int
    budget: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came out of a task.

    Attributes:
        task: Which method and seed.
        regret: After each evaluation, in the objective's unit, >= 0, as long as the budget.
        num_proposals: How many the method made: once the best row is found, none.
        seconds: Wall-clock time of them, of learning and proposing.
    """

    task: Task
    regret: tuple[float, ...]
    num_proposals: int
    seconds: float


def starting_rows(num_rows: int, plan: Plan, seed: int) -> list[int]:
    """The first rows of a random order of the table: the same for every method."""
    order: list[int] = np.random.default_rng(seed).permutation(num_rows)[: plan.initial].tolist()
    return order


def measure(table: Table, plan: Plan, task: Task, report: Callable[[int], None] = lambda num: None) -> Run:
    """Run one method on a table.

    Args:
        table: Every row measured.
        plan: How long.
        task: Which method and seed.
        report: Told how many evaluations have been done since it was last told.

    Returns:
        Regret and time; a run ends early, with regret 0 from there on, where the best row is found.

    Raises:
        RuntimeError: If the method proposes nothing, or what has been measured.
    """
    searcher = METHODS[task.method].make(table, task.seed, plan.initial)
    utilities = table.objective.utility(np.array([table.values[id_] for id_ in table.pool.ids]))
    seen = starting_rows(len(table.pool), plan, task.seed)
    _tell(searcher, table, [table.pool.ids[row] for row in seen])
    report(len(seen))
    possible = float(utilities.max())
    start = time.perf_counter()
    while len(seen) < plan.budget and utilities[seen].max() < possible:
        ids = searcher.ask(1)
        rows = table.pool.rows(ids).tolist()
        if len(rows) != 1 or rows[0] in seen:
            raise RuntimeError(f"{task.method}: must propose one row that is not measured, got {ids!r}")
        _tell(searcher, table, ids)
        seen += rows
        report(1)
    seconds = time.perf_counter() - start
    report(plan.budget - len(seen))
    best = np.maximum.accumulate(utilities[seen])
    regret = np.zeros(plan.budget)
    regret[: len(seen)] = possible - best
    return Run(task=task, regret=tuple(regret.tolist()), num_proposals=len(seen) - plan.initial, seconds=seconds)


def _tell(searcher: AskTell, table: Table, ids: Sequence[str]) -> None:
    noise_std = {id_: table.noise_std[id_] for id_ in ids if id_ in table.noise_std}
    searcher.tell(table.utilities(ids), noise_std)
