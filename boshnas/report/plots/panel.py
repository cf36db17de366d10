"""What every figure of a report has, and how it looks: told apart in light and dark and by all readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from boshnas.objective import Objective
from boshnas.report.words import parameters
from boshnas.trial import Decision, Trial
from boshnas.wording import number

MAX_POINTS = 2_000
HEIGHT = 420
_FEW_POINTS = 200

# Okabe and Ito's colours that stand out from white and from black alike; shapes say the same as colours.
BLUE, VERMILION, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#B5638F", "#808080"
DECISIONS: dict[Decision, tuple[str, str]] = {
    Decision.RANDOM: (GREY, "circle"),
    Decision.OPTIMISE: (BLUE, "diamond"),
    Decision.UNCERTAINTY: (GREEN, "square"),
    Decision.DIVERSITY: (PURPLE, "triangle-up"),
    Decision.REPLICATE: (VERMILION, "x"),
    Decision.BASELINE: (VERMILION, "star"),
}
"""Colour and shape of each reason for an evaluation."""

LEVEL_SHAPES = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon")
"""Of the levels from 1; further ones begin again."""

OUTLINE = {"color": GREY, "width": 1}
"""Of every marker: the ends of a colour scale are close to one of the two backgrounds."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A figure with its words.

    Attributes:
        name: Key, in small letters.
        title: Heading.
        finding: What it shows, or why there is none, in a sentence or two.
        caption: How to read it.
        figure: A plotly figure; None where it cannot be drawn.
    """

    name: str
    title: str
    finding: str
    caption: str = ""
    figure: Any = None


def template(*, dark: bool) -> go.layout.Template:
    """What differs between the light look and the dark one; of a figure, all else is the same."""
    ink, grid, ground = ("#e6e6e6", "#3d444b", "#1b2127") if dark else ("#1f2328", "#d9dee3", "#ffffff")
    axis = {
        "gridcolor": grid,
        "zerolinecolor": grid,
        "linecolor": GREY,
        "showline": True,
        "ticks": "outside",
        "title": {"font": {"size": 13}},
    }
    return go.layout.Template(
        layout={
            "font": {"color": ink, "family": "system-ui, sans-serif", "size": 13},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hoverlabel": {"bgcolor": ground, "font": {"color": ink}, "align": "left"},
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def new_figure(x: str, y: str, height: int = HEIGHT) -> Any:
    """An empty figure with the titles of its axes, and its legend above."""
    return go.Figure(
        layout={
            "template": template(dark=False),
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 24, "b": 8},
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
            "hovermode": "closest",
            "xaxis": {"title": {"text": x}, "automargin": True},
            "yaxis": {"title": {"text": y}, "automargin": True},
        }
    )


def point_size(num_points: int) -> int:
    """Of a marker, in pixels: many are small, so that they can be told apart."""
    return 9 if num_points <= _FEW_POINTS else 6


def shown(text: object, most: int = 60) -> str:
    """A text of the user's within a figure: plotly reads tags and formulas in it, so they are escaped; cut if long."""
    whole = " ".join(str(text).split())
    return escape(whole if len(whole) <= most else f"{whole[: most - 1]}…", quote=False).replace("$", "&#36;")


def told(trial: Trial) -> str:
    """What the pointer shows of a trial."""
    score = "" if trial.score is None else f"<br>score {number(trial.score)}"
    params = "" if trial.params is None else f"<br>{parameters(trial.params)} parameters"
    level = f"level {trial.level}, " if trial.level else ""
    return f"#{trial.number} {shown(trial.id)}{score}{params}<br>{level}{trial.proposal.decision.value}"


def finished(trials: Sequence[Trial]) -> list[Trial]:
    """Those with a score, baselines left out, in order of proposal."""
    return [t for t in trials if t.score is not None and t.proposal.decision is not Decision.BASELINE]


def scores_of(trials: Sequence[Trial]) -> list[float]:
    """Their scores; all must have one."""
    return [trial.score for trial in trials if trial.score is not None]


def records(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """Those that were better than all before them; all must have a score."""
    best: list[Trial] = []
    for trial in trials:
        if not best or worth(trial, objective) > worth(best[-1], objective):
            best.append(trial)
    return best


def worth(trial: Trial, objective: Objective) -> float:
    """Score of a finished trial, turned so that more is better."""
    return objective.utility(trial.score or 0.0)


def thinned(trials: Sequence[Trial], objective: Objective, most: int = MAX_POINTS) -> tuple[list[Trial], str]:
    """So many trials at most, in their order, and a sentence on what was left out.

    The best tenth of what is kept is the best of all; the others stand at equal distances.
    """
    if len(trials) <= most:
        return list(trials), ""
    ranked = sorted(range(len(trials)), key=lambda index: -worth(trials[index], objective))
    kept = set(ranked[: most // 10])
    others = [index for index in range(len(trials)) if index not in kept]
    num_others = most - len(kept)
    kept |= {others[place * len(others) // num_others] for place in range(num_others)}
    sentence = f" {most:,} of {len(trials):,} points are drawn: the best {most // 10:,}, and others at equal distances."
    return [trials[index] for index in sorted(kept)], sentence
