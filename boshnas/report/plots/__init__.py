"""The figures of a report, one family a file, each a function of a run."""

from typing import Any

from boshnas.report.plots.choices import choices
from boshnas.report.plots.embedding import embedding
from boshnas.report.plots.panel import Panel, template
from boshnas.report.plots.prediction import calibration, predicted
from boshnas.report.plots.progress import by_evaluations, by_hours
from boshnas.report.plots.size import size
from boshnas.report.plots.tasks import tasks
from boshnas.report.plots.time import failures, stages
from boshnas.saved_run import Run

__all__ = ["Panel", "figures", "panels", "template"]

_FAMILY = (
    by_evaluations,
    by_hours,
    size,
    tasks,
    embedding,
    choices,
    predicted,
    calibration,
    stages,
    failures,
)


def panels(run: Run) -> dict[str, Panel]:
    """Every figure of a run with its words, by name; of those that cannot be drawn, why."""
    return {panel.name: panel for panel in (draw(run) for draw in _FAMILY)}


def figures(run: Run) -> dict[str, Any]:
    """The plotly figures of a run that can be drawn, by name, each with its title.

    Names: `best_by_evaluations`, `best_by_hours`, `size`, `tasks`, `map`, `choices`, `predicted`, `calibration`,
    `stages`, `failures`.
    """
    drawn = {name: panel for name, panel in panels(run).items() if panel.figure is not None}
    return {
        name: panel.figure.update_layout(title={"text": panel.title}, margin={"t": 90}) for name, panel in drawn.items()
    }
