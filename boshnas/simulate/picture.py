"""The best of simulated campaigns over their hours, as a picture; needs the optional package matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boshnas.bench.plot import COLORS, write
from boshnas.replay import regret
from boshnas.simulate.campaign import Outcome
from boshnas.simulate.report import Result
from boshnas.table import Table


def save(path: Path, title: str, table: Table, found: Sequence[Result]) -> None:
    """Write the best so far, or its regret where all rows are measured; of several seeds the mean within ± sd.

    Args:
        path: Checked, see `boshnas.bench.plot.check`.
        title: Over the picture.
        table: That was searched.
        found: At least one; batches are dashed.

    Raises:
        InputError: If the file cannot be written.
    """
    write(path, title, _figure(title, table, found))


def curves(table: Table, result: Result) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Regret (or best value) of each seed.

    Returns:
        hours: Shape (T,), rising from 0 to the end: whenever some seed has a new result.
        values: Shape (S, T), each from its hour to the next; NaN where the seed has no result yet.
    """
    outcomes = [run.outcome for run in result.runs]
    ends = [hour for outcome in outcomes for hour, _ in outcome.scores]
    hours = np.unique([0.0, *ends, *(outcome.account.hours for outcome in outcomes)])
    return hours, np.array([_values(table, outcome, hours) for outcome in outcomes])


def _values(table: Table, outcome: Outcome, hours: NDArray[np.float64]) -> NDArray[np.float64]:
    if not outcome.scores:
        return np.full(len(hours), np.nan)
    ends, scores = np.array(outcome.scores).T
    best = [_value(table, score) for score in np.maximum.accumulate(scores)]
    return np.array([np.nan, *best])[np.searchsorted(ends, hours, side="right")]


def _value(table: Table, best: float) -> float:
    value = table.objective.value(best)
    missed = regret(table, value)
    return value if missed is None else missed


def _figure(title: str, table: Table, found: Sequence[Result]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    methods = list(dict.fromkeys(result.method for result in found))
    drawn = [_curve(axes, table, result, COLORS[methods.index(result.method) % len(COLORS)]) for result in found]
    if any(drawn):
        axes.legend(frameon=False)
    else:
        text = "Nothing to draw: of each kind a campaign has finished no evaluation."
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
        axes.set_yticks([])
    axes.set_xlim(0, max(run.outcome.account.hours for result in found for run in result.runs))
    axes.set_xlabel("hours of the campaign")
    kind = "best" if table.unmeasured else "regret"
    mean = "mean " if any(len(result.runs) > 1 for result in found) else ""
    axes.set_ylabel(f"{mean}{kind} ({table.objective_name})")
    axes.set_title(title, loc="left", fontsize="medium", wrap=True)
    axes.grid(which="major", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _curve(axes: Any, table: Table, result: Result, color: str) -> bool:
    """Draw a result, if each of its seeds has one to draw; the legend tells where not."""
    hours, values = curves(table, result)
    mean = values.mean(axis=0)
    is_there = bool(np.isfinite(mean).any())
    style = "--" if result.synchronous else "-"
    label = result.name if is_there else f"{result.name} (a campaign without a result)"
    axes.step(hours, mean, where="post", color=color, linestyle=style, label=label)
    if is_there and len(values) > 1:
        sd = values.std(axis=0, ddof=1)
        axes.fill_between(hours, mean - sd, mean + sd, step="post", color=color, alpha=0.12, linewidth=0)
    return is_there
