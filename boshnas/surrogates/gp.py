"""Exact Gaussian process over mixed features; see `kernel` and `evidence`.

Symbols: K covariance of the n measured rows, V their noise (diagonal), L Cholesky factor of K + V, c constant mean,
α = (K + V)⁻¹(y − c), all in units of the warped objective.
"""

import logging
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from boshnas.errors import InputError
from boshnas.surrogates.base import Moments, Surrogate
from boshnas.surrogates.evidence import fit_hyperparameters
from boshnas.surrogates.repeats import Measurements

MAX_FITTED_ROWS = 400  # that hyperparameters are fitted to

logger = logging.getLogger(__name__)


class GPSurrogate(Surrogate):
    """Exact GP: epistemic std is the latent function's, aleatoric std the measurement's, the same everywhere.

    A Matérn-5/2 kernel with one lengthscale a group of columns plus a linear one; hyperparameters at their greatest log
    posterior, the constant mean in closed form. Lengthscales have the dimension-scaled prior, log ℓ ~ N(√2 + ½ log G,
    3). Rows measured several times, and rows whose noise is known, have the noise of their mean. The linear algebra is
    written out: at some hundred rows gpytorch's lazy operators cost more than the arithmetic (a test holds both to the
    same numbers).

    Beyond 400 distinct rows the hyperparameters are fitted to 400 of them at random.

    Args:
        groups: Group of each column, shape (d,), see `boshnas.Pool`; features are then taken as they are, in about
            [0, 1]. None: each column is its own group, scaled to [0, 1].
        max_steps: Bound on L-BFGS iterations; a third of them where it starts from an earlier fit.
        warm_start: Whether `fit` starts from the hyperparameters of the fit before.
        random_state: Draws the rows, where there are too many.

    Reference:
        Rasmussen and Williams 2006, algorithm 2.1; Hvarfner, Hellsten, Nardi 2024, arXiv 2402.02229, section 4.
    """

    def __init__(
        self,
        groups: Sequence[int] | None = None,
        max_steps: int = 40,
        warm_start: bool = False,
        random_state: int | None = None,
    ) -> None:
        self.groups = groups
        self.max_steps = max_steps
        self.warm_start = warm_start
        self.random_state = random_state

    def _set_scales(self, X: NDArray[np.float64]) -> None:
        num_features = X.shape[1]
        if self.groups is not None:
            if len(self.groups) != num_features:
                raise InputError(
                    f"GPSurrogate: groups must have one number a column ({num_features}), got {len(self.groups)}."
                )
            self.x_offset_, self.x_scale_ = np.zeros(num_features), np.ones(num_features)
            return
        span = np.ptp(X, axis=0)
        self.x_offset_ = X.min(axis=0)
        self.x_scale_ = np.where(span <= 1e-12 * np.abs(X).max(axis=0), 1.0, span)

    def _fit(self, data: Measurements) -> None:
        start = getattr(self, "theta_", None) if self.warm_start else None
        found = fit_hyperparameters(
            data.at_most(MAX_FITTED_ROWS, self._generator()),
            self.groups,
            max_steps=self.max_steps if start is None else max(1, self.max_steps // 3),
            start=start,
        )
        self.theta_, self.kernel_, self.noise_ = found.theta, found.kernel, found.noise
        self._condition(data)
        if data.known.all():  # a new measurement is as noisy as the known ones
            self.noise_ = float(data.variance.mean())

    def _condition(self, data: Measurements) -> None:
        noise = torch.where(data.known, data.variance, self.noise_ / data.count)
        L = _cholesky(self.kernel_(data.X, data.X) + torch.diag(noise))
        self.inverse_factor_ = torch.linalg.solve_triangular(L, torch.eye(len(data), dtype=L.dtype), upper=False)
        white, ones = self.inverse_factor_ @ data.y, self.inverse_factor_.sum(1)
        self.constant_ = float(ones @ white / (ones @ ones))
        self.alpha_ = self.inverse_factor_.T @ (white - self.constant_ * ones)
        self.rows_ = data.X
        # Left out one row at a time: variance 1/(K + V)⁻¹_ii, mean y_i − α_i · variance (equation 5.12).
        variance = 1 / self.inverse_factor_.square().sum(0)
        self.held_out_ = data.y - self.alpha_ * variance, variance

    def _predict(self, X: torch.Tensor) -> Moments:
        K = self.kernel_(X, self.rows_)
        variance = self.kernel_.diagonal(X) - (K @ self.inverse_factor_.T).square().sum(1)
        mean = self.constant_ + K @ self.alpha_
        return mean, variance.clamp_min(1e-10).sqrt(), torch.full_like(mean, math.sqrt(self.noise_))


def _cholesky(K: torch.Tensor) -> torch.Tensor:
    """Lower factor of K, with ever more jitter on the diagonal until it exists."""
    eye = torch.eye(len(K), dtype=K.dtype)
    for jitter in (0.0, 1e-8, 1e-6, 1e-4, 1e-2):
        L: torch.Tensor
        L, info = torch.linalg.cholesky_ex(K + jitter * eye)
        if int(info) == 0:
            return L
        logger.debug("covariance of %d rows is not positive definite with jitter %g", len(K), jitter)
    raise ValueError(f"GPSurrogate: covariance of {len(K)} rows must be positive definite. Check X for huge values.")
