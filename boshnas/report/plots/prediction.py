"""What the surrogate foresaw, beside what was measured.

Symbols: m trials that were predicted and have finished.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm, spearmanr

from boshnas.report.plots.panel import (
    BLUE,
    GREY,
    OUTLINE,
    Panel,
    finished,
    new_figure,
    shown,
    thinned,
    told,
)
from boshnas.saved_run import Run
from boshnas.trial import Trial
from boshnas.wording import number

MIN_PREDICTED = 5
MAX_BARS = 300
_SHARES = np.arange(0.05, 1.0, 0.05)
_BAND = 0.95

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Of the finished trials that a surrogate was asked about; every array has shape (m,).

    Attributes:
        trials: In order of proposal.
        mean: Predicted score.
        epistemic_std: What more data would take away.
        total_std: With the noise of a measurement.
        measured: Score.
    """

    trials: Sequence[Trial]
    mean: Values
    epistemic_std: Values
    total_std: Values
    measured: Values

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> "Predictions":
        """Those of some finished trials."""
        asked = [trial for trial in trials if trial.proposal.mean is not None]
        epistemic = np.array([trial.proposal.epistemic_std or 0.0 for trial in asked])
        aleatoric = np.array([trial.proposal.aleatoric_std or 0.0 for trial in asked])
        return cls(
            trials=asked,
            mean=np.array([trial.proposal.mean for trial in asked], dtype=np.float64),
            epistemic_std=epistemic,
            total_std=np.hypot(epistemic, aleatoric),
            measured=np.array([trial.score for trial in asked], dtype=np.float64),
        )

    @property
    def rank_correlation(self) -> float:
        """Spearman's, between foreseen and measured; NaN where either is constant."""
        if len(self.trials) < 2 or np.ptp(self.mean) == 0 or np.ptp(self.measured) == 0:
            return float("nan")
        return float(spearmanr(self.mean, self.measured).statistic)


def coverage(predictions: Predictions, shares: Values) -> Values:
    """Share of the measurements within each central interval; shape of `shares`, each in (0, 1).

    A prediction without any uncertainty holds a measurement where the two are equal.
    """
    distance = np.abs(predictions.measured - predictions.mean)
    halves = norm.ppf((1 + shares) / 2)[:, None] * predictions.total_std
    result: Values = (distance <= halves).mean(axis=1)
    return result


def predicted(run: Run) -> Panel:
    """Predicted against measured, with both uncertainties."""
    name, title = "predicted", "Predicted against measured"
    trials = finished(run.trials)
    found = Predictions.of(trials)
    if not found.trials:
        return Panel(name=name, title=title, finding="No finished evaluation was predicted by a surrogate.")
    points, thinning = thinned(found.trials, run.objective, MAX_BARS)
    drawn = Predictions.of(points)
    figure = new_figure(f"predicted {shown(run.score_name)}", f"measured {shown(run.score_name)}")
    both = np.concatenate([drawn.mean, drawn.measured])
    ends = [float(both.min()), float(both.max())]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="equal", line={"color": GREY, "dash": "dash"}, hoverinfo="skip"
    )
    for label, std, width, color in (
        ("± 1 total std", drawn.total_std, 1, GREY),
        ("± 1 epistemic std", drawn.epistemic_std, 4, BLUE),
    ):
        figure.add_scatter(
            x=drawn.mean.tolist(),
            y=drawn.measured.tolist(),
            mode="markers",
            marker={"size": 7, "color": color, "line": OUTLINE},
            error_x={"type": "data", "array": std.tolist(), "thickness": width, "width": 0, "color": color},
            text=[_told(trial) for trial in points],
            hoverinfo="text",
            legendgroup=label,
            showlegend=False,
        )
        # The legend would show the points of both alike.
        bar = {"color": color, "width": width}
        figure.add_scatter(x=[None], y=[None], mode="lines", name=label, legendgroup=label, line=bar)
    correlation = found.rank_correlation
    told_correlation = "cannot be told" if np.isnan(correlation) else f"is {correlation:.2f}"
    error = float(np.abs(found.measured - found.mean).mean())
    return Panel(
        name=name,
        title=title,
        finding=f"Over {len(found.trials)} predicted evaluations the rank correlation (Spearman) {told_correlation}; "
        f"predictions are off by {number(error)} on average.",
        caption="Foreseen at the time of the proposal. Thick bars: epistemic uncertainty, which more evaluations take "
        "away; thin bars: total, with the noise of a measurement. The search proposes what promises most, so that "
        f"these points are no fair sample of the space.{thinning}",
        figure=figure,
    )


def calibration(run: Run) -> Panel:
    """Share of the measurements within the central interval of each probability."""
    name, title = "calibration", "Calibration of the uncertainty"
    found = Predictions.of(finished(run.trials))
    m = len(found.trials)
    if m < MIN_PREDICTED:
        sentence = f"It needs at least {MIN_PREDICTED} finished evaluations with a prediction; there are {m}."
        return Panel(name=name, title=title, finding=sentence)
    held = coverage(found, _SHARES)
    tail = (1 - _BAND) / 2
    low, high = binom.ppf(tail, m, _SHARES) / m, binom.ppf(1 - tail, m, _SHARES) / m
    figure = new_figure("central interval", "share of measurements in it")
    figure.update_xaxes(range=[-0.02, 1.02], dtick=0.2, tickformat=".0%")
    figure.update_yaxes(range=[-0.02, 1.02], dtick=0.2, tickformat=".0%")
    shares = _SHARES.tolist()
    figure.add_scatter(
        x=[*shares, *shares[::-1]],
        y=[*high.tolist(), *low.tolist()[::-1]],
        fill="toself",
        fillcolor="rgba(128,128,128,0.25)",
        mode="none",
        name="95 % of calibrated surrogates",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="calibrated", line={"color": GREY, "dash": "dash"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=shares,
        y=held.tolist(),
        mode="lines+markers",
        name="this run",
        line={"color": BLUE, "width": 2.5},
        marker={"size": 7},
        hovertemplate="the %{x:.0%} interval held %{y:.0%}<extra></extra>",
    )
    return Panel(
        name=name,
        title=title,
        finding=_calibration_finding(held, low, high, m),
        caption="Normal intervals of mean and total std as foreseen at the proposal. Below the diagonal the surrogate "
        f"is too sure, above it too careful. The band is that of {m} independent draws at each probability by itself.",
        figure=figure,
    )


def _calibration_finding(held: Values, low: Values, high: Values, m: int) -> str:
    at_90 = held[int(np.argmin(np.abs(_SHARES - 0.9)))]
    num_below, num_above = int((held < low - 1e-9).sum()), int((held > high + 1e-9).sum())
    verdict = "within what chance allows throughout"
    if num_below or num_above:
        verdict = "too sure" if num_below > num_above else "too careful"
        verdict = f"at {num_below + num_above} of {len(held)} probabilities outside the band, mostly {verdict}"
    return f"The central 90 % interval held {at_90:.0%} of {m} measurements; the curve is {verdict}."


def _told(trial: Trial) -> str:
    proposal = trial.proposal
    foreseen = (proposal.mean, proposal.epistemic_std, proposal.aleatoric_std)
    mean, epistemic, aleatoric = (number(value or 0.0) for value in foreseen)
    return f"{told(trial)}<br>predicted {mean}, epistemic std {epistemic}, aleatoric std {aleatoric}"
