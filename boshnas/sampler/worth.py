"""What a point of a study's search space is worth: acquisition, and the probability that the constraints hold.

Symbols: n points, d features, z the warped objective or constraint on which a surrogate learns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from boshnas import acquisition
from boshnas.ascent import RowFunction
from boshnas.fitter import prepared
from boshnas.policy import Policy
from boshnas.sampler.history import History
from boshnas.sampler.search_space import SearchSpace
from boshnas.surrogates import GPSurrogate, Surrogate
from boshnas.trial import Decision

Vector = NDArray[np.float64]

_EXACT = 0.001  # noise of measurements that count as exact, in standard deviations of the values
_MIN_GAIN = 5.0  # nats, before values count as noisy


@dataclass(frozen=True, kw_only=True)
class Appraiser:
    """Turns a study's history into a function to be maximised.

    Attributes:
        surrogate: Of the objective, not fitted; cloned.
        policy: How points are chosen.
        seed: Of the surrogates.
    """

    surrogate: Surrogate
    policy: Policy
    seed: int

    def value(self, space: SearchSpace, seen: History, decision: Decision, rng: np.random.Generator) -> RowFunction:
        """Log worth of features (n, d), shape (n,): log acquisition plus log probability of each constraint.

        The best value known is the best feasible one; where none is feasible the constraints alone count.

        Args:
            space: Gives the features.
            seen: At least two distinct points measured.
            decision: Optimise, or look where the uncertainty is greatest.
            rng: Draws a function, where the policy maximises one.

        Reference:
            Gardner, Kusner, Xu, Weinberger, Cunningham 2014, section 3 (expected constrained improvement).
        """
        limits = [self._log_feasibility(space, seen, name) for name in seen.constraints]
        eligible = seen.feasible & seen.complete
        eligible = eligible if eligible.any() else seen.feasible
        parts = limits
        if eligible.any():
            parts = [*limits, self._log_acquisition(space, seen, eligible, limits, decision, rng)]
        return lambda X: torch.stack([part(X) for part in parts]).sum(0)

    def _log_acquisition(
        self,
        space: SearchSpace,
        seen: History,
        eligible: NDArray[np.bool_],
        limits: Sequence[RowFunction],
        decision: Decision,
        rng: np.random.Generator,
    ) -> RowFunction:
        """Above the best of the eligible points and of what is believed of those in flight that will be feasible."""
        waiting = torch.tensor(space.features(seen.waiting))
        believed, failed = self._believed(space, seen)
        X = np.concatenate([space.features(rows) for rows in (seen.rows, seen.waiting, seen.failed)])
        y = np.concatenate([seen.utility, believed, failed])
        surrogate = self._blank(self.surrogate, space).fit(X, y, self._noise_std(space, X, y))
        with torch.no_grad():
            held = [limit(waiting).numpy() > math.log(0.5) for limit in limits]
            likely = np.logical_and.reduce([np.full(len(waiting), True), *held])
            rivals = np.concatenate([eligible, likely, np.full(len(failed), False)])
            means = surrogate.predict_warped(torch.tensor(X[rivals]))[0]
        best = float(surrogate.warp_(y[rivals]).max())
        return self.policy.value(decision, surrogate, best=best, best_mean=float(means.max()), rng=rng)

    def _believed(self, space: SearchSpace, seen: History) -> tuple[Vector, Vector]:
        """What counts as measured at points in flight, shape (m,), and at those that failed, (f,), at most the median.

        A GP says what is believed: it is fitted in a fraction of the time.
        """
        if len(seen.waiting) + len(seen.failed) == 0:
            return np.zeros(0), np.zeros(0)
        surrogate = self._blank(GPSurrogate(), space).fit(space.features(seen.rows), seen.utility)
        mean = surrogate.posterior(space.features(np.concatenate([seen.waiting, seen.failed]))).mean
        waiting, failed = np.split(mean, [len(seen.waiting)])
        return waiting, np.minimum(failed, np.median(seen.utility))

    def _log_feasibility(self, space: SearchSpace, seen: History, name: str) -> RowFunction:
        """Log Φ((μ − σ − z(0))/σ) of the negated constraint, which is feasible at 0 and above.

        One deviation of caution: optima lie on limits, where without it every other suggestion breaks one.
        """
        margin = -seen.constraints[name]
        known = np.isfinite(margin)
        X, y = space.features(seen.rows[known]), margin[known]
        surrogate = self._blank(GPSurrogate(), space).fit(X, y, self._noise_std(space, X, y))
        limit = float(surrogate.warp_(np.zeros(1))[0])

        def log_probability(X: torch.Tensor) -> torch.Tensor:
            mean, epistemic_std, aleatoric_std = surrogate.predict_warped(X)
            return acquisition.log_pi(mean - epistemic_std, epistemic_std, aleatoric_std, best=limit)

        return log_probability

    def _noise_std(self, space: SearchSpace, X: NDArray[np.float64], y: NDArray[np.float64]) -> Vector | None:
        """A thousandth of the spread, unless a GP with noise predicts held-out values clearly better: then None.

        A few points of a rough function look like a smooth one and noise; a search that believes it gets stuck.
        """
        exact = np.full(len(y), _EXACT * y.std())
        quiet = self._blank(GPSurrogate(), space).fit(X, y, exact)
        noisy = self._blank(GPSurrogate(), space).fit(X, y)
        return None if _held_out_log_density(noisy) > _held_out_log_density(quiet) + _MIN_GAIN else exact

    def _blank(self, surrogate: Surrogate, space: SearchSpace) -> Surrogate:
        return prepared(surrogate, space.groups, self.seed)


def _held_out_log_density(surrogate: GPSurrogate) -> float:
    """Of the values, each predicted from the others (Rasmussen and Williams 2006, equation 5.10), up to a constant."""
    variance = surrogate.held_out_[1]
    residual = surrogate.process_.alpha * variance
    return -0.5 * float((residual.square() / variance + variance.log()).sum())
