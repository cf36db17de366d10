"""How well hyperparameters explain the measurements: log posterior of a Gaussian process and its gradient.

Symbols: θ = (log ℓ (G,), log m, log a, log v), v noise variance of one measurement, K covariance of the rows' means,
c their constant mean, α = K⁻¹(y − c). The kernel is that of `kernel`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from boshnas.surrogates.kernel import Kernel, group_numbers, mean_squared_norm, prior_lengthscale
from boshnas.surrogates.repeats import Measurements

Vector = NDArray[np.float64]

NOISE_FLOOR = 1e-4  # of the warped objective: no row is trusted beyond 1 % of the spread
_LENGTHSCALE_BOUNDS = (-4.0, 8.0)
_VARIANCE_BOUNDS = ((-5.0, 3.0), (-8.0, 3.0), (-9.0, 2.0))
_VARIANCE_PRIORS = ((0.0, 1.0), (0.0, 2.0), (-4.0, 1.5))  # mean and variance of log m, log a, log v
_LENGTHSCALE_PRIOR_VARIANCE = 3.0
_JITTER = 1e-8


@dataclass(frozen=True)
class Hyperparameters:
    """θ at the maximum, and what it was found for."""

    theta: Vector
    kernel: Kernel
    noise: float


def fit_hyperparameters(
    data: Measurements, groups: Sequence[int] | None, *, max_steps: int, start: Vector | None = None
) -> Hyperparameters:
    """The hyperparameters of greatest log posterior, by L-BFGS.

    Args:
        data: n rows, scaled so that about 1 is far.
        groups: Group of each column; None: each its own.
        max_steps: Bound on the iterations.
        start: θ to begin at, of an earlier fit; None: near the priors' modes.

    Returns:
        What was found; the start where the search failed.
    """
    evidence = _Evidence(data, groups)
    size = evidence.num_groups + 3
    if start is None or len(start) != size:
        start = np.append(np.full(evidence.num_groups, evidence.center - 1.0), (0.0, 0.0, -3.0))
    bounds = [_LENGTHSCALE_BOUNDS] * evidence.num_groups + list(_VARIANCE_BOUNDS)
    found = minimize(evidence, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": max_steps})
    theta = found.x if np.isfinite(found.x).all() else start
    return Hyperparameters(theta, evidence.kernel(theta), NOISE_FLOOR + math.exp(theta[-1]))


class _Evidence:
    """−log posterior of θ, up to a constant, with its gradient."""

    def __init__(self, data: Measurements, groups: Sequence[int] | None) -> None:
        self._X, self._y = data.X.numpy(), data.y.numpy()
        self._group = group_numbers(groups, self._X.shape[1])
        self.num_groups = int(self._group.max()) + 1
        self.center = prior_lengthscale(self.num_groups)
        self._origin = self._X.mean(0)
        self._centered = self._X - self._origin
        self._norm = mean_squared_norm(self._centered)
        self._linear = self._centered @ self._centered.T / self._norm
        self._known = data.known.numpy()
        self._variance = np.where(self._known, data.variance.numpy(), 0.0)
        self._per_noise = np.where(self._known, 0.0, 1 / data.count.numpy())  # dK_ii/dv
        self._num_repeats = float((data.count.numpy() - 1).sum())
        self._scatter = float(data.scatter.sum())

    def kernel(self, theta: Vector) -> Kernel:
        lengthscale = np.exp(-theta[: self.num_groups])[self._group]
        m, a = math.exp(theta[-3]), math.exp(theta[-2])
        return Kernel(torch.tensor(lengthscale), m, a, torch.tensor(self._origin), self._norm)

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        m, a = np.exp(theta[-3:-1])
        noise = NOISE_FLOOR + math.exp(theta[-1])
        squared_weight = np.exp(-2 * theta[: self.num_groups])
        correlation, slope = self._matern(squared_weight)
        K = m * correlation + a * self._linear
        K[np.diag_indices_from(K)] += self._variance + self._per_noise * noise + _JITTER
        try:
            value, S = _negative_log_likelihood(K, self._y)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        gradient = np.empty_like(theta)
        gradient[: self.num_groups] = -2 * squared_weight * self._distance_gradient(m * S * slope)
        gradient[-3], gradient[-2] = m * (S * correlation).sum(), a * (S * self._linear).sum()
        gradient[-1] = (S.diagonal() * self._per_noise).sum()
        # Repeats around their mean: Σ over rows of ½[(k − 1) log v + scatter/v].
        value += 0.5 * (self._num_repeats * math.log(noise) + self._scatter / noise)
        gradient[-1] += 0.5 * (self._num_repeats / noise - self._scatter / noise**2)
        gradient[-1] *= noise - NOISE_FLOOR
        prior, prior_gradient = self._prior(theta)
        return value + prior, gradient + prior_gradient

    def _matern(self, squared_weight: Vector) -> tuple[Vector, Vector]:
        """Correlation (n, n) and its derivative in r², −5/6 (1 + √5 r) exp(−√5 r)."""
        A = self._X * np.sqrt(squared_weight)[self._group]
        norms = (A**2).sum(1)
        root = np.sqrt(5 * np.maximum(norms[:, None] + norms - 2 * A @ A.T, 0) + 1e-10)
        decay = np.exp(-root)
        return (1 + root + root**2 / 3) * decay, -5 / 6 * (1 + root) * decay

    def _distance_gradient(self, T: Vector) -> Vector:
        """Σ_ij T_ij ‖x_ig − x_jg‖² of each group g, T symmetric (n, n); without a tensor (n, n, d)."""
        X = self._X
        columns = 2 * (T.sum(1)[:, None] * X**2 - X * (T @ X)).sum(0)
        return np.bincount(self._group, columns, self.num_groups).astype(np.float64)

    def _prior(self, theta: Vector) -> tuple[float, Vector]:
        means, variances = zip(*_VARIANCE_PRIORS, strict=True)
        mean = np.append(np.full(self.num_groups, self.center), means)
        variance = np.append(np.full(self.num_groups, _LENGTHSCALE_PRIOR_VARIANCE), variances)
        away = theta - mean
        return float((away**2 / variance).sum() / 2), away / variance


def _negative_log_likelihood(K: Vector, y: Vector) -> tuple[float, Vector]:
    """−log p(y) at the best constant mean, and its derivative in K: ½(K⁻¹ − ααᵀ), shape (n, n)."""
    L = cholesky(K, lower=True, check_finite=False)
    inverse, _ = dpotri(L, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    ones = inverse.sum(0)
    residual = y - ones @ y / ones.sum()
    alpha = cho_solve((L, True), residual, check_finite=False)
    value = 0.5 * residual @ alpha + np.log(L.diagonal()).sum()
    return float(value), 0.5 * (inverse - np.outer(alpha, alpha))
