"""The best score so far, against evaluations and against hours."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import plotly.graph_objects as go

from boshnas.report.facts import baseline_names
from boshnas.report.plots.panel import (
    BLUE,
    DECISIONS,
    GREY,
    OUTLINE,
    VERMILION,
    Panel,
    finished,
    new_figure,
    point_size,
    records,
    scores_of,
    shown,
    thinned,
    told,
    worth,
)
from boshnas.report.words import readable_time
from boshnas.saved_run import Run
from boshnas.trial import Decision, Trial
from boshnas.wording import counted, number

_DASHES = ("dash", "dot", "dashdot", "longdash")
_CAPTION = (
    "Each point is a finished evaluation, coloured and shaped by why it was made; the line is the best score so far; "
    "the shaded part is the random start."
)


def by_evaluations(run: Run) -> Panel:
    """Best so far against the number of evaluations proposed."""
    name, title = "best_by_evaluations", "Best so far, by evaluations"
    trials = finished(run.trials)
    if not trials:
        return Panel(name=name, title=title, finding="No evaluation of a candidate has finished yet.")
    places = {trial.number: float(trial.number) for trial in trials}
    last = float(run.trials[-1].number)
    figure, thinning = _draw(run, trials, places, last, "evaluation (order of proposal)")
    start = _random_start(run.trials)
    if start:
        _shade(figure, -0.5, start - 0.5)
    by_chance = _draw_random_search(figure, run)
    best = records(trials, run.objective)[-1]
    finding = (
        f"The best {run.score_name}, {number(best.score or 0.0)}, is that of evaluation #{best.number}; "
        f"{counted(int(last) - best.number, 'evaluation')} came after it."
    )
    finding += _beaten(run, best) + by_chance
    return Panel(name=name, title=title, finding=finding, caption=_CAPTION + thinning, figure=figure)


def by_hours(run: Run) -> Panel:
    """Best so far against wall-clock time since the first evaluation began."""
    name, title = "best_by_hours", "Best so far, by time"
    hours, unit = _elapsed(run)
    trials = sorted((t for t in finished(run.trials) if t.number in hours), key=lambda t: (hours[t.number], t.number))
    if not trials:
        return Panel(name=name, title=title, finding="No evaluation of a candidate with a known time has finished yet.")
    last = max(hours.values())
    figure, thinning = _draw(run, trials, hours, last, f"{unit} since the start")
    start = _random_start(run.trials)
    ends = [hours[trial.number] for trial in run.trials[:start] if trial.number in hours]
    if ends:
        _shade(figure, 0.0, max(ends))
    best = records(trials, run.objective)[-1]
    finding = f"The best {run.score_name} was reached after {hours[best.number]:.3g} of {last:.3g} {unit}."
    caption = f"{_CAPTION} Time is that of the clock on the wall, pauses of the search included.{thinning}"
    return Panel(name=name, title=title, finding=finding, caption=caption, figure=figure)


def _draw(run: Run, trials: Sequence[Trial], places: Mapping[int, float], last: float, x: str) -> tuple[Any, str]:
    """Points, the line of the best so far, baselines; and a sentence on points left out.

    Args:
        run: For its baselines and its score's name.
        trials: Finished, in the order of `places`.
        places: Of each on the horizontal axis, by number.
        last: Where the lines end.
        x: Title of that axis.
    """
    figure = new_figure(x, shown(run.score_name))
    points, thinning = thinned(trials, run.objective)
    for decision, (color, symbol) in DECISIONS.items():
        chosen = [trial for trial in points if trial.proposal.decision is decision]
        if chosen:
            figure.add_scatter(
                x=[places[trial.number] for trial in chosen],
                y=scores_of(chosen),
                mode="markers",
                name=decision.value,
                marker={
                    "color": color,
                    "symbol": symbol,
                    "size": point_size(len(points)),
                    "opacity": 0.8,
                    "line": OUTLINE,
                },
                text=list(map(told, chosen)),
                hoverinfo="text",
            )
    best = records(trials, run.objective)
    figure.add_scatter(
        x=[*(places[trial.number] for trial in best), last],
        y=[*scores_of(best), best[-1].score],
        mode="lines",
        name="best so far",
        line={"color": BLUE, "width": 2.5, "shape": "hv"},
        hoverinfo="skip",
    )
    _draw_baselines(figure, run, min(places[trial.number] for trial in trials), last)
    return figure, thinning


def _draw_baselines(figure: Any, run: Run, first: float, last: float) -> None:
    names = baseline_names(run)
    baselines = [t for t in run.trials if t.proposal.decision is Decision.BASELINE and t.score is not None]
    for place, trial in enumerate(baselines):
        figure.add_scatter(
            x=[min(first, 0.0), last],
            y=[trial.score, trial.score],
            mode="lines",
            name=f"baseline {shown(names.get(trial.id, trial.id), 24)}",
            line={"color": DECISIONS[Decision.BASELINE][0], "dash": _DASHES[place % len(_DASHES)], "width": 1.5},
            text=[told(trial)] * 2,
            hoverinfo="text",
        )


def _draw_random_search(figure: Any, run: Run) -> str:
    """What random search of the same table would have found, and a sentence on it; nothing where no table is searched.

    The curve is that of `boshnas.replay.random_search`.
    """
    known: Any = run.identity.get("random_search")
    if known is None:
        return ""
    evaluations, mean, low, high = (known[name] for name in ("evaluations", "mean", "low", "high"))
    places = [number - 1 for number in evaluations]
    label = "random search"
    figure.add_scatter(
        x=[*places, *reversed(places)],
        y=[*low, *reversed(high)],
        fill="toself",
        fillcolor="rgba(213,94,0,0.15)",
        line={"width": 0},
        name=f"{label}, 90 %",
        legendgroup=label,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=places,
        y=mean,
        mode="lines",
        name=f"{label}, mean",
        legendgroup=label,
        line={"color": VERMILION, "width": 2, "dash": "dash"},
        hovertemplate="%{y:.4g}<extra>random search</extra>",
    )
    return (
        f" Random search of the same table finds {number(mean[-1])} on average by {evaluations[-1]:,} evaluations, and "
        f"from {number(low[-1])} to {number(high[-1])} in 90 of 100 searches."
    )


def _beaten(run: Run, best: Trial) -> str:
    """How the best compares with the best baseline; nothing where there is none."""
    scores = [t.score for t in run.trials if t.proposal.decision is Decision.BASELINE and t.score is not None]
    if not scores:
        return ""
    gap = worth(best, run.objective) - max(map(run.objective.utility, scores))
    return f" It is {number(abs(gap))} {'better' if gap >= 0 else 'worse'} than the best baseline."


def _random_start(trials: Sequence[Trial]) -> int:
    """How many trials were proposed before the first that a surrogate chose; 0 where none of them was random."""
    drawn = (Decision.RANDOM, Decision.BASELINE)
    start = next((place for place, t in enumerate(trials) if t.proposal.decision not in drawn), len(trials))
    return start if any(trial.proposal.decision is Decision.RANDOM for trial in trials[:start]) else 0


def _shade(figure: go.Figure, begin: float, end: float) -> None:
    figure.add_vrect(
        x0=begin,
        x1=end,
        fillcolor=GREY,
        opacity=0.15,
        line_width=0,
        layer="below",
        annotation={"text": "random start", "font": {"size": 11}},
        annotation_position="top left",
    )


def _elapsed(run: Run) -> tuple[dict[int, float], str]:
    """Time from the first begin to the end of each finished trial, by number, and its unit."""
    if not run.times:
        return {}, "hours"
    begin = min(began for began, _ in run.times.values())
    scored = {trial.number for trial in run.trials if trial.score is not None}
    ends = {number: end for number, (_, end) in run.times.items() if end is not None and number in scored}
    hours = {number: (end - begin) / timedelta(hours=1) for number, end in ends.items()}
    scale, unit = readable_time(max(hours.values(), default=0.0))
    return {number: scale * value for number, value in hours.items()}, unit
