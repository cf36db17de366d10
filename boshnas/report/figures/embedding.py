"""The measured candidates as a map: those with like choices lie close together."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from boshnas.columns import describe, typed
from boshnas.features import encode
from boshnas.report.figures.panel import GREY, LEVEL_SHAPES, OUTLINE, Panel, finished, new_figure, records, shown
from boshnas.report.figures.panel import scores_of, thinned, told
from boshnas.saved_run import Run
from boshnas.trial import Trial

MIN_POINTS = 3
MAX_PATH = 100

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
    trials, thinning = thinned(known)
    rows = feature_rows(trials)
    if rows is None or rows.shape[1] < 2:
        return Panel(name=name, title=title, finding="The measured candidates differ in fewer than two choices.")
    model = PCA(n_components=2, svd_solver="full")
    places = model.fit_transform(rows)
    shares = model.explained_variance_ratio_
    figure = new_figure(*(f"axis {axis + 1} ({share:.0%} of the variance)" for axis, share in enumerate(shares)))
    path = trials if len(trials) <= MAX_PATH else records(trials)
    _draw_path(figure, [trials.index(trial) for trial in path], places)
    _draw_levels(figure, trials, places, shown(run.score_name))
    scores = scores_of(trials)
    best = trials[int(np.argmax(scores))]
    say = "every proposal" if path is trials else "each new best"
    return Panel(
        name=name,
        title=title,
        finding=f"{len(trials)} candidates on two axes that hold {shares.sum():.0%} of the variance of their choices; "
        f"the best is #{best.number}, at level {best.level}.",
        caption="Principal axes of the choices, one-hot or scaled, a layer that is absent being a choice of its own. "
        f"Brighter is better; shapes are levels; the grey line goes through {say}, in order; the ring is the best."
        f"{thinning}",
        figure=figure,
    )


def _draw_path(figure: object, order: Sequence[int], places: Rows) -> None:
    figure.add_scatter(  # type: ignore[attr-defined]
        x=places[order, 0].tolist(),
        y=places[order, 1].tolist(),
        mode="lines",
        name="path",
        line={"color": GREY, "width": 1},
        opacity=0.5,
        hoverinfo="skip",
    )


def _draw_levels(figure: object, trials: Sequence[Trial], places: Rows, score_name: str) -> None:
    scores = np.array(scores_of(trials))
    bounds = {"cmin": float(scores.min()), "cmax": float(scores.max()) if np.ptp(scores) else float(scores.min()) + 1}
    levels = sorted({trial.level for trial in trials})
    for level in levels:
        chosen = [index for index, trial in enumerate(trials) if trial.level == level]
        marker = {"color": scores[chosen].tolist(), "coloraxis": "coloraxis", "size": 10, "line": OUTLINE}
        figure.add_scatter(  # type: ignore[attr-defined]
            x=places[chosen, 0].tolist(),
            y=places[chosen, 1].tolist(),
            mode="markers",
            name=f"level {level}",
            marker=marker | {"symbol": LEVEL_SHAPES[(level - 1) % len(LEVEL_SHAPES)]},
            text=[told(trials[index]) for index in chosen],
            hoverinfo="text",
        )
    best = int(np.argmax(scores))
    figure.add_scatter(  # type: ignore[attr-defined]
        x=[float(places[best, 0])],
        y=[float(places[best, 1])],
        mode="markers",
        name="best",
        marker={"symbol": "circle-open", "size": 20, "color": "#D55E00", "line": {"width": 3}},
        hoverinfo="skip",
    )
    bar = {"title": {"text": score_name}, "thickness": 12}
    figure.update_layout(coloraxis={"colorscale": "Cividis", "colorbar": bar, **bounds})  # type: ignore[attr-defined]
