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
from rich.text import Text
from scipy.stats import rankdata

from boshnas.bench.measure import Plan, Run
from boshnas.grid import grid

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


def shown(found: Sequence[Result], plan: Plan, width: int) -> Grid:
    """A table for a person: one row a method, best first, the best of each column bold.

    Args:
        found: Best first.
        plan: That they were measured by.
        width: Of the terminal, in characters: what matters most has room first.
    """
    at = checkpoints(plan)
    areas, ranks = [result.auc for result in found], mean_ranks(found, at)
    seconds = [math.inf if (value := result.seconds_per_proposal) is None else value for result in found]
    columns = {
        "auc": _emphasised(areas, [f"{value:.3g}" for value in areas]),
        "mean rank": _emphasised(ranks, [f"{value:.1f}" for value in ranks]),
    }
    for number in reversed(at):
        regrets = [float(result.mean[number - 1]) for result in found]
        columns[f"after {number}"] = _emphasised(regrets, [_with_error(result, number) for result in found])
    told = ["" if math.isinf(value) else f"{value:.2g}" for value in seconds]
    columns["s / proposal"] = _emphasised(seconds, told)
    methods = [Text(result.method, style="" if place else "bold") for place, result in enumerate(found)]
    rows = list(zip(methods, *columns.values(), strict=True))
    return grid(["method", *columns], rows, width, right=columns.keys())


def _emphasised(values: Sequence[float], texts: Sequence[str]) -> list[Text]:
    least = min(values)
    return [Text(text, style="bold" if value == least else "") for value, text in zip(values, texts, strict=True)]


def _with_error(result: Result, number: int) -> str:
    error = _finite(result.sem[number - 1])
    return f"{result.mean[number - 1]:.3g}" + ("" if error is None else f" ± {error:.2g}")


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
