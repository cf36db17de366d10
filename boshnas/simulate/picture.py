"""The best of simulated campaigns over their hours, as a picture; needs the optional package matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boshnas.bench.plot import COLORS, write
from boshnas.replay import regret
from boshnas.simulate.report import Result
from boshnas.table import Table

_NUM_POINTS = 400


def save(path: Path, title: str, table: Table, found: Sequence[Result]) -> None:
    """Write the mean over seeds of the best so far, or of its regret where all rows are measured.

    Args:
        path: Checked, see `boshnas.bench.plot.check`.
        title: Over the picture.
        table: That was searched.
        found: At least one; batches are dashed.

    Raises:
        InputError: If the file cannot be written.
    """
    write(path, title, _figure(title, table, found))


def curve(table: Table, result: Result, hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean regret (or best value) after some hours, the same shape; NaN where a seed has no result yet."""
    each = np.array([[_value(table, run.outcome.best_at(hour)) for hour in hours] for run in result.runs])
    mean: NDArray[np.float64] = each.mean(axis=0)
    return mean


def _value(table: Table, best: float | None) -> float:
    if best is None:
        return float("nan")
    value = table.objective.value(best)
    missed = regret(table, value)
    return value if missed is None else missed


def _figure(title: str, table: Table, found: Sequence[Result]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    methods = list(dict.fromkeys(result.method for result in found))
    for result in found:
        last = max(run.outcome.account.hours for run in result.runs)
        hours = np.linspace(0, last, _NUM_POINTS)
        color = COLORS[methods.index(result.method) % len(COLORS)]
        style = "--" if result.synchronous else "-"
        axes.plot(hours, curve(table, result, hours), color=color, linestyle=style, label=result.name)
    axes.set_xlabel("hours of the campaign")
    kind = "mean best" if table.unmeasured else "mean regret"
    axes.set_ylabel(f"{kind} ({table.objective_name})")
    axes.set_title(title, loc="left", fontsize="medium")
    axes.grid(which="major", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
