"""Score against the number of parameters."""

from collections.abc import Sequence
from typing import Any

from boshnas.objective import Objective
from boshnas.report.facts import baseline_names
from boshnas.report.plots.panel import (
    BLUE,
    DECISIONS,
    LEVEL_SHAPES,
    OUTLINE,
    VERMILION,
    Panel,
    finished,
    new_figure,
    point_size,
    scores_of,
    shown,
    thinned,
    told,
    worth,
)
from boshnas.saved_run import Run
from boshnas.trial import Decision, Trial
from boshnas.wording import number

_LOG_RATIO = 10.0


def pareto_front(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """Finished trials of known size than which none is both as small and better, from the smallest on.

    Args:
        trials: Any; those without a score or a size are left out.
        objective: Which way a score is better.
    """
    known = [trial for trial in trials if trial.score is not None and trial.params is not None]
    front: list[Trial] = []
    for trial in sorted(known, key=lambda trial: (trial.params or 0, -worth(trial, objective), trial.number)):
        if not front or worth(trial, objective) > worth(front[-1], objective):
            front.append(trial)
    return front


def size(run: Run) -> Panel:
    """Score against parameters, with the Pareto front."""
    name, title = "size", "Score against parameters"
    trials = [trial for trial in finished(run.trials) if trial.params is not None]
    if not trials:
        sentence = "No finished evaluation has a known number of parameters."
        return Panel(name=name, title=title, finding=sentence)
    figure = new_figure("parameters", shown(run.score_name))
    points, thinning = thinned(trials, run.objective)
    for level in sorted({trial.level for trial in points}):
        chosen = [trial for trial in points if trial.level == level]
        _add(figure, f"level {level}", chosen, BLUE, _shape(level), point_size(len(points)))
    names = baseline_names(run)
    for trial in run.trials:
        if trial.proposal.decision is Decision.BASELINE and trial.score is not None and trial.params is not None:
            label = f"baseline {shown(names.get(trial.id, trial.id), 24)}"
            _add(figure, label, [trial], *DECISIONS[Decision.BASELINE], 13)
    front = pareto_front(trials, run.objective)
    figure.add_scatter(
        x=[trial.params for trial in front],
        y=scores_of(front),
        mode="lines",
        name="Pareto front",
        line={"color": VERMILION, "shape": "hv", "width": 2},
        hoverinfo="skip",
    )
    sizes = [trial.params or 0 for trial in trials]
    if min(sizes) > 0 and max(sizes) / min(sizes) > _LOG_RATIO:
        figure.update_xaxes(type="log")
    return Panel(
        name=name,
        title=title,
        finding=_finding(front, len(trials), run.score_name),
        caption=f"On the front no other candidate is as small and better. {_whose(run)}{thinning}",
        figure=figure,
    )


def _whose(run: Run) -> str:
    """Which parameters are counted."""
    if run.is_of_table:
        return "Parameters are as the table has them."
    return "Parameters are those of the encoder, heads not counted."


def _shape(level: int) -> str:
    return LEVEL_SHAPES[(level - 1) % len(LEVEL_SHAPES)]


def _add(figure: Any, label: str, trials: Sequence[Trial], color: str, symbol: str, size: int) -> None:
    figure.add_scatter(
        x=[trial.params for trial in trials],
        y=scores_of(trials),
        mode="markers",
        name=label,
        marker={"color": color, "symbol": symbol, "size": size, "opacity": 0.8, "line": OUTLINE},
        text=list(map(told, trials)),
        hoverinfo="text",
    )


def _finding(front: Sequence[Trial], num_trials: int, score_name: str) -> str:
    smallest, best = front[0], front[-1]
    if len(front) == 1:
        best_of = f"Of {num_trials} sized candidates #{best.number} is both the best and the smallest"
        return f"{best_of}, with {best.params:,} parameters."
    return (
        f"{len(front)} of {num_trials} candidates are on the Pareto front, from {smallest.params:,} parameters with "
        f"{score_name} {number(smallest.score or 0.0)} to {best.params:,} with {number(best.score or 0.0)}."
    )
