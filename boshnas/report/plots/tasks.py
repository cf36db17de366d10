"""Scores by task of the best candidates."""

import math
from collections.abc import Sequence
from statistics import pstdev

from boshnas.ranking import results_of
from boshnas.report.facts import NUM_TOP
from boshnas.report.plots.panel import Panel, finished, new_figure, shown
from boshnas.saved_run import Run
from boshnas.trial import Trial
from boshnas.wording import number

MAX_TASKS = 30
_LONG_NAME = 8
# The brighter half of cividis: black numbers can be read on all of it.
_COLORS = [[0.0, "#fee838"], [0.5, "#c4b56c"], [1.0, "#8f8c78"]]


def tasks(run: Run) -> Panel:
    """Score on each task of the ten best."""
    name, title = "tasks", "The best ten, task by task"
    top = results_of(finished(run.trials), run.objective)[:NUM_TOP]
    names = list(dict.fromkeys(task for trial in top for task in trial.task_scores))
    if not names:
        return Panel(name=name, title=title, finding="No evaluation reported scores by task.")
    drawn = names[:MAX_TASKS]
    best = {task: max(trial.task_scores.get(task, -math.inf) for trial in top) for task in drawn}
    gaps = [[best[task] - trial.task_scores.get(task, math.nan) for task in drawn] for trial in top]
    figure = new_figure("", "evaluation, best first")
    columns, rows = list(range(len(drawn))), list(range(len(top)))
    figure.add_heatmap(
        x=columns,
        y=rows,
        z=gaps,
        text=[
            [f"{trial.task_scores[task]:.1f}" if task in trial.task_scores else "" for task in drawn] for trial in top
        ],
        texttemplate="%{text}",
        textfont={"color": "#000000", "size": 11},
        customdata=[[f"#{trial.number}, {shown(task)}" for task in drawn] for trial in top],
        hovertemplate="%{customdata}: %{text}<br>%{z:.2f} below the best<extra></extra>",
        colorscale=_COLORS,
        zmin=0.0,
        zmax=max(gap for row in gaps for gap in row if not math.isnan(gap)) or 1.0,
        showscale=False,
        xgap=1,
        ygap=1,
    )
    figure.update_xaxes(
        tickvals=columns,
        ticktext=[shown(task, 20) for task in drawn],
        tickangle=-90 if max(map(len, drawn)) > _LONG_NAME else None,
        showgrid=False,
        side="top",
    )
    figure.update_yaxes(
        tickvals=rows, ticktext=[f"#{trial.number}" for trial in top], autorange="reversed", showgrid=False
    )
    left_out = f" {len(names) - MAX_TASKS} further tasks are left out." if len(names) > MAX_TASKS else ""
    return Panel(
        name=name,
        title=title,
        finding=_finding(names, top),
        caption="Numbers are scores; the colour says how far each is below the best of these on the same task: the "
        f"brightest leads, dark grey is furthest behind.{left_out}",
        figure=figure,
    )


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
    return f"The {len(top)} best differ most on {task}, with a standard deviation of {number(spreads[task])}."
