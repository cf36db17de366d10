"""Scores by task of the best candidates."""

from collections.abc import Sequence
from statistics import pstdev

from boshnas.ranking import results_of
from boshnas.report.facts import NUM_TOP
from boshnas.report.figures.panel import Panel, finished, new_figure, shown
from boshnas.saved_run import Run
from boshnas.trial import Trial

MAX_TASKS = 30
_ROW_HEIGHT = 30
_FRAME_HEIGHT = 130


def tasks(run: Run) -> Panel:
    """Score on each task of the ten best."""
    name, title = "tasks", "The best ten, task by task"
    top = results_of(finished(run.trials))[:NUM_TOP]
    names = list(dict.fromkeys(task for trial in top for task in trial.task_scores))
    if not names:
        return Panel(name=name, title=title, finding="No evaluation reported scores by task.")
    drawn = names[:MAX_TASKS]
    gaps = [_gaps(task, top) for task in drawn]
    figure = new_figure("evaluation, best first", "", _FRAME_HEIGHT + _ROW_HEIGHT * len(drawn))
    places = list(range(len(drawn)))
    figure.add_heatmap(
        x=[f"#{trial.number}" for trial in top],
        y=places,
        z=gaps,
        text=[["" if gap is None else f"{t.task_scores[task]:.1f}" for gap, t in zip(row, top, strict=True)]
              for task, row in zip(drawn, gaps, strict=True)],
        texttemplate="%{text}",
        customdata=[[shown(task)] * len(top) for task in drawn],
        hovertemplate="%{customdata}<br>%{x}: %{text}, %{z:.2f} below the best<extra></extra>",
        colorscale="Cividis",
        reversescale=True,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "below<br>the best"}, "thickness": 10},
    )
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(
        tickvals=places, ticktext=[shown(task, 20) for task in drawn], autorange="reversed", showgrid=False
    )
    left_out = f" {len(names) - MAX_TASKS} further tasks are left out." if len(names) > MAX_TASKS else ""
    return Panel(
        name=name,
        title=title,
        finding=_finding(names, top),
        caption="Numbers are scores; the colour says how far each is below the best of these on the same task, so that "
        f"yellow leads.{left_out}",
        figure=figure,
    )


def _gaps(task: str, top: Sequence[Trial]) -> list[float | None]:
    """How far each is below the best on a task; None where it has no score there."""
    scores = [trial.task_scores.get(task) for trial in top]
    best = max(score for score in scores if score is not None)
    return [None if score is None else best - score for score in scores]


def _finding(names: Sequence[str], top: Sequence[Trial]) -> str:
    spreads = {}
    for task in names:
        scores = [trial.task_scores[task] for trial in top if task in trial.task_scores]
        spreads[task] = pstdev(scores)
    if len(top) == 1:
        return f"One evaluation has finished, with scores on {len(names)} tasks."
    if max(spreads.values()) == 0:
        return f"The {len(top)} best score the same on every task."
    task = max(spreads, key=lambda task: spreads[task])
    return f"The {len(top)} best differ most on {task}, with a standard deviation of {spreads[task]:.2f}."
