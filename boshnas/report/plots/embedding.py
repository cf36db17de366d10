"""The measured candidates as a map: those with like choices lie close together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from boshnas.columns import describe, typed
from boshnas.features import encode
from boshnas.report.plots.panel import (
    GREY,
    HEIGHT,
    LEVEL_SHAPES,
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
)
from boshnas.saved_run import Run
from boshnas.trial import Trial

MIN_POINTS = 3
MAX_PATH = 100
_BAR_HEIGHT = 40

Rows = NDArray[np.float64]


def feature_rows(trials: Sequence[Trial]) -> Rows | None:
    """Choices as numbers, shape (n, d): see `boshnas.features.encode`; None where no two trials differ."""
    frame = pd.DataFrame([dict(trial.parameters) for trial in trials])
    frame = pd.DataFrame({name: typed(frame[name])[0] for name in frame.columns})
    columns = [column for column in (describe(frame[name]) for name in frame.columns) if not column.is_constant]
    return encode(frame, columns).X if columns else None


def embedding(run: Run) -> Panel:
    """First two principal axes of the choices, coloured by score, shaped by level, with the path of proposals."""
    name, title = "map", "Map of the measured candidates"
    known = [trial for trial in finished(run.trials) if trial.parameters]
    if len(known) < MIN_POINTS:
        sentence = f"It needs at least {MIN_POINTS} finished evaluations with their choices; there are {len(known)}."
        return Panel(name=name, title=title, finding=sentence)
    trials, thinning = thinned(known, run.objective)
    rows = feature_rows(trials)
    if rows is None or rows.shape[1] < 2:
        return Panel(name=name, title=title, finding="The measured candidates differ in fewer than two choices.")
    model = PCA(n_components=2, svd_solver="full")
    places = model.fit_transform(rows)
    shares = model.explained_variance_ratio_
    first, second = (f"axis {axis} ({share:.0%} of the variance)" for axis, share in enumerate(shares, start=1))
    figure = new_figure(first, second)
    _draw_levels(figure, run, trials, places)
    path = trials if len(trials) <= MAX_PATH else records(trials, run.objective)
    _draw_path(figure, [trials.index(trial) for trial in path], places)
    (*_, best) = records(trials, run.objective)
    say = "every proposal" if path is trials else "each new best"
    return Panel(
        name=name,
        title=title,
        finding=f"{len(trials)} candidates on two axes that hold {shares.sum():.0%} of the variance of their choices; "
        f"the best is #{best.number}, at level {best.level}.",
        caption="Principal axes of the choices, one-hot or scaled, what is absent being a choice of its own. "
        f"Brighter is better; shapes are levels; the grey line goes through {say}, in order; the ring is the best."
        f"{thinning}",
        figure=figure,
    )


def _draw_path(figure: Any, order: Sequence[int], places: Rows) -> None:
    figure.add_scatter(
        x=places[order, 0].tolist(),
        y=places[order, 1].tolist(),
        mode="lines",
        name="path",
        line={"color": "rgba(128,128,128,0.6)", "width": 1},
        hoverinfo="skip",
    )


def _draw_levels(figure: Any, run: Run, trials: Sequence[Trial], places: Rows) -> None:
    scores, score_name = np.array(scores_of(trials)), shown(run.score_name, 20)
    low, high = float(scores.min()), float(scores.max())
    # Below the axes: beside them it would leave a telephone's width to nothing else.
    bar = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "thickness": 10, "len": 1.0}
    bar |= {"tickprefix": f"{score_name} ", "showtickprefix": "first"}
    scale = {
        "colorscale": "Cividis",
        "reversescale": run.objective.direction == "minimize",
        "cmin": low,
        "cmax": high if high > low else low + 1,
        "colorbar": bar,
    }
    ranked = np.argsort(run.objective.utility(scores), kind="stable")  # the best are drawn last, above the others
    for place, level in enumerate(sorted({trial.level for trial in trials})):
        chosen = [index for index in ranked if trials[index].level == level]
        look = {"symbol": LEVEL_SHAPES[(level - 1) % len(LEVEL_SHAPES)], "size": point_size(len(trials)) + 1}
        look["line"] = OUTLINE
        figure.add_scatter(
            x=places[chosen, 0].tolist(),
            y=places[chosen, 1].tolist(),
            mode="markers",
            marker={"color": scores[chosen].tolist(), "showscale": place == 0} | look | scale,
            text=[told(trials[index]) for index in chosen],
            hoverinfo="text",
            legendgroup=f"level {level}",
            showlegend=False,
        )
        # In the legend a shape has no score, so no colour of the scale.
        entry = {"name": f"level {level}", "legendgroup": f"level {level}", "marker": {"color": GREY} | look}
        figure.add_scatter(x=[None], y=[None], mode="markers", **entry)
    figure.update_layout(height=HEIGHT + _BAR_HEIGHT, margin={"b": _BAR_HEIGHT + 50})
    best = int(ranked[-1])
    figure.add_scatter(
        x=[float(places[best, 0])],
        y=[float(places[best, 1])],
        mode="markers",
        name="best",
        marker={"symbol": "circle-open", "size": 20, "color": VERMILION, "line": {"width": 3}},
        hoverinfo="skip",
    )
