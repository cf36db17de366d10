"""What runs come to: mean regret of each method, for machines and for people.

Symbols: S seeds, T evaluations (the budget).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table as Grid
from scipy.stats import rankdata

from boshnas.bench.measure import Plan, Run

CHECKPOINTS = (25, 50, 100)
"""Evaluations after which regret is reported, beside the budget."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One method's runs.

    Attributes:
        method: Its name.
        regret: Of each seed after each evaluation, shape (S, T), in the objective's unit, >= 0.
        initial: Evaluations that it had no part in.
        seconds_per_proposal: Over all seeds; None where it made none.
    """

    method: str
    regret: NDArray[np.float64]
    initial: int
    seconds_per_proposal: float | None

    @property
    def mean(self) -> NDArray[np.float64]:
        """Regret, mean of the seeds, shape (T,)."""
        mean: NDArray[np.float64] = self.regret.mean(axis=0)
        return mean

    @property
    def sem(self) -> NDArray[np.float64]:
        """Standard error of the mean, shape (T,); NaN where there is one seed."""
        num_seeds = len(self.regret)
        if num_seeds == 1:
            return np.full(self.regret.shape[1], np.nan)
        sem: NDArray[np.float64] = self.regret.std(axis=0, ddof=1) / math.sqrt(num_seeds)
        return sem

    @property
    def auc(self) -> float:
        """Mean regret over the evaluations that the method chose."""
        return float(self.regret[:, self.initial :].mean())


def results(runs: Sequence[Run], plan: Plan) -> list[Result]:
    """Put the runs of each method together, in order of their area under the curve, best first."""
    methods = dict.fromkeys(run.task.method for run in runs)
    return sorted((_result(method, runs, plan) for method in methods), key=lambda result: result.auc)


def _result(method: str, runs: Sequence[Run], plan: Plan) -> Result:
    own = sorted((run for run in runs if run.task.method == method), key=lambda run: run.task.seed)
    num_proposals = sum(run.num_proposals for run in own)
    seconds = sum(run.seconds for run in own)
    return Result(
        method=method,
        regret=np.array([run.regret for run in own]),
        initial=plan.initial,
        seconds_per_proposal=seconds / num_proposals if num_proposals else None,
    )


def checkpoints(plan: Plan) -> list[int]:
    """Those within the budget, and the budget."""
    return sorted({*(number for number in CHECKPOINTS if number <= plan.budget), plan.budget})


def summary(found: Sequence[Result], plan: Plan) -> dict[str, Any]:
    """The methods' part of the JSON object; `sem` is null where there is one seed."""
    at = checkpoints(plan)
    return {
        result.method: {
            "regret": {str(number): float(result.mean[number - 1]) for number in at},
            "sem": {str(number): _finite(result.sem[number - 1]) for number in at},
            "auc": result.auc,
            "seconds_per_proposal": result.seconds_per_proposal,
        }
        for result in found
    }


def mean_ranks(found: Sequence[Result], at: Sequence[int]) -> list[float]:
    """Mean over checkpoints of each method's rank by mean regret, 1 the best; equal ones share their mean rank."""
    ranks = np.mean([rankdata([result.mean[number - 1] for result in found]) for number in at], axis=0)
    return [float(rank) for rank in ranks]


def grid(found: Sequence[Result], plan: Plan) -> Grid:
    """A table for a person: one row a method, best first, the best of each column bold."""
    at = checkpoints(plan)
    columns: dict[str, tuple[list[float], list[str]]] = {
        f"after {number}": (
            [float(result.mean[number - 1]) for result in found],
            [_with_error(result, number) for result in found],
        )
        for number in at
    }
    areas, ranks = [result.auc for result in found], mean_ranks(found, at)
    seconds = [result.seconds_per_proposal for result in found]
    columns["auc"] = areas, [f"{value:.3g}" for value in areas]
    columns["mean rank"] = ranks, [f"{value:.1f}" for value in ranks]
    columns["s / proposal"] = (
        [math.inf if value is None else value for value in seconds],
        ["" if value is None else f"{value:.2g}" for value in seconds],
    )
    shown = Grid(box=None)
    shown.add_column("method")
    for head in columns:
        shown.add_column(head, justify="right", no_wrap=True)
    cells = [_emphasised(values, texts) for values, texts in columns.values()]
    for place, result in enumerate(found):
        shown.add_row(
            f"[bold]{result.method}[/]" if place == 0 else result.method, *(column[place] for column in cells)
        )
    return shown


def _emphasised(values: Sequence[float], texts: Sequence[str]) -> list[str]:
    least = min(values)
    return [f"[bold]{text}[/]" if value == least else text for value, text in zip(values, texts, strict=True)]


def _with_error(result: Result, number: int) -> str:
    error = _finite(result.sem[number - 1])
    return f"{result.mean[number - 1]:.3g}" + ("" if error is None else f" ± {error:.2g}")


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
