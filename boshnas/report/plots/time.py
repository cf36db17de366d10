"""Where the time went, and what failed."""

from collections.abc import Sequence
from typing import Any

from boshnas.report.facts import Facts, facts
from boshnas.report.plots.panel import BLUE, GREY, VERMILION, Panel, new_figure, shown
from boshnas.report.words import readable_time
from boshnas.saved_run import Run

MAX_STAGES = 20


def stages(run: Run) -> Panel:
    """Hours of all evaluations together, by stage."""
    name, title = "stages", "Time by stage"
    known = facts(run)
    if not known.evaluation_hours:
        return Panel(name=name, title=title, finding="No evaluation reported the time of its stages.")
    scale, unit = _unit(known)
    ordered = sorted(known.stage_hours.items(), key=lambda item: -item[1])
    rows = [(stage, scale * hours) for stage, hours in ordered[:MAX_STAGES]]
    if rest := ordered[MAX_STAGES:]:
        rows.append((f"{len(rest)} others", scale * sum(hours for _, hours in rest)))
    figure = _bars(unit, [stage for stage, _ in rows])
    figure.add_bar(
        x=[value for _, value in rows],
        y=list(range(len(rows))),
        orientation="h",
        marker={"color": BLUE, "line": {"color": GREY, "width": 1}},
        text=[f"{hours / known.evaluation_hours:.0%}" for hours in (value / scale for _, value in rows)],
        textposition="auto",
        hovertemplate="%{x:.3g} (%{text})<extra></extra>",
        showlegend=False,
    )
    share = ordered[0][1] / known.evaluation_hours
    total = scale * known.evaluation_hours
    return Panel(
        name=name,
        title=title,
        finding=f"{ordered[0][0]} took {share:.0%} of {total:.3g} {unit}.",
        caption="Wall-clock time of the stages, over all evaluations that reported it, those side by side added up. "
        + (
            "The run's settings name no GPUs, so that hours of evaluation are counted."
            if known.gpus_each is None
            else f"Each evaluation had {known.gpus_each:g} GPUs by the run's settings."
        ),
        figure=figure,
    )


def failures(run: Run) -> Panel:
    """Failed evaluations and attempts by cause."""
    name, title = "failures", "Failures by cause"
    found = facts(run).failures
    if not found:
        return Panel(name=name, title=title, finding="No evaluation has failed.")
    figure = _bars("number", [cause.cause for cause in found])
    for label, numbers, color, pattern in (
        ("failed for good", [cause.num_final for cause in found], VERMILION, ""),
        ("tried again", [cause.num_retried for cause in found], BLUE, "/"),
    ):
        figure.add_bar(
            x=numbers,
            y=list(range(len(found))),
            orientation="h",
            name=label,
            marker={"color": color, "pattern": {"shape": pattern}, "line": {"color": GREY, "width": 1}},
            hovertemplate="%{x}<extra>" + label + "</extra>",
        )
    figure.update_layout(barmode="stack")
    num_final, num_retried = sum(one.num_final for one in found), sum(one.num_retried for one in found)
    return Panel(
        name=name,
        title=title,
        finding=f"{num_final} of {len(run.trials)} evaluations failed for good, {num_retried} attempts were followed "
        f"by another; the most frequent cause is: {found[0].cause}.",
        caption="The table below has the first message of each cause.",
        figure=figure,
    )


def _unit(known: Facts) -> tuple[float, str]:
    """What hours of evaluation are multiplied by so that they are easy to read, and what they are then."""
    gpus = known.gpus_each or 1.0
    scale, unit = readable_time(gpus * known.evaluation_hours)
    return gpus * scale, f"{unit} of evaluation" if known.gpus_each is None else f"GPU-{unit}"


def _bars(unit: str, labels: Sequence[str]) -> Any:
    figure = new_figure(unit, "", 130 + 30 * len(labels))
    ticks = [shown(label, 24) for label in labels]
    figure.update_yaxes(tickvals=list(range(len(labels))), ticktext=ticks, autorange="reversed", showgrid=False)
    return figure
