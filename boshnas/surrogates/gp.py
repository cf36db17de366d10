"""Exact Gaussian process: Matérn-5/2, one lengthscale a feature, priors that hold in dozens of dimensions.

Symbols: ℓ lengthscales (d,), v noise variance, K covariance of the latent function, L its Cholesky factor with noise,
α = (K + V)⁻¹(y − c), all in units of the standardised objective.
"""

import logging
import math

import numpy as np
import torch
from gpytorch.priors import LogNormalPrior
from numpy.typing import NDArray
from scipy.optimize import minimize

from boshnas.surrogates.base import Moments, Surrogate

_NOISE_BOUNDS = (1e-4, 10.0)
_LENGTHSCALE_BOUNDS = (1e-2, 1e4)
_KNOWN_NOISE_FLOOR = 1e-6

logger = logging.getLogger(__name__)


def matern52(X1: torch.Tensor, X2: torch.Tensor, lengthscale: torch.Tensor) -> torch.Tensor:
    """Matérn-5/2 correlation (1 + √5 r + 5r²/3)·exp(−√5 r), r the distance in lengthscales.

    Args:
        X1: Shape (n, d).
        X2: Shape (m, d).
        lengthscale: ℓ, shape (d,), > 0.

    Returns:
        Correlations, shape (n, m), twice differentiable also where rows coincide.

    Reference:
        Rasmussen and Williams 2006, equation 4.17.
    """
    A, B = X1 / lengthscale, X2 / lengthscale
    squared = (A.square().sum(1)[:, None] + B.square().sum(1) - 2 * A @ B.T).clamp_min(0)
    # Autograd through √0 divides zero by zero; 1e-10 moves the correlation by less than 1e-10.
    root = math.sqrt(5) * (squared + 1e-10).sqrt()
    correlation: torch.Tensor = (1 + root + root.square() / 3) * torch.exp(-root)
    return correlation


class GPSurrogate(Surrogate):
    """Exact GP: epistemic std is the latent function's, aleatoric std the measurement's.

    Features are scaled to [0, 1] and the objective to unit variance, so the signal variance is fixed at 1. Lengthscales
    have the dimension-scaled prior LogNormal(√2 + ½ log d, √3) and the noise variance LogNormal(−4, 1); both are set by
    L-BFGS on the log posterior, the constant mean in closed form. Where a row's noise is known it is used as it is.
    The linear algebra is written out: at some hundred rows gpytorch's lazy operators cost more than the arithmetic
    (a test holds both to the same numbers).

    Args:
        max_steps: Bound on L-BFGS iterations.
        random_state: Taken as every surrogate takes it; the fit is deterministic.

    Reference:
        Hvarfner, Hellsten, Nardi 2024, arXiv 2402.02229, section 4; Rasmussen and Williams 2006, algorithm 2.1.
    """

    def __init__(self, max_steps: int = 50, random_state: int | None = None) -> None:
        self.max_steps = max_steps
        self.random_state = random_state

    def _set_scales(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        super()._set_scales(X, y)
        low, span = X.min(axis=0), np.ptp(X, axis=0)
        self.x_offset_, self.x_scale_ = low, np.where(span <= 1e-12 * np.abs(X).max(axis=0), 1.0, span)

    def _fit(self, X: torch.Tensor, y: torch.Tensor, noise_std: torch.Tensor | None) -> None:
        unknown = torch.ones_like(y) if noise_std is None else noise_std.isnan().to(y)
        known = torch.zeros_like(y) if noise_std is None else noise_std.nan_to_num(0.0).square()
        known = (1 - unknown) * known.clamp_min(_KNOWN_NOISE_FLOOR)
        num_features = X.shape[1]
        center = math.sqrt(2) + 0.5 * math.log(num_features)
        prior = LogNormalPrior(center, math.sqrt(3)), LogNormalPrior(-4.0, 1.0)

        def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            free = torch.tensor(theta, requires_grad=True)
            lengthscale, noise = free[:-1].exp(), free[-1].exp()
            K = matern52(X, X, lengthscale) + torch.diag(known + unknown * noise)
            value, slope = _negative_log_likelihood(K.detach(), y)
            log_prior = prior[0].log_prob(lengthscale).sum() + prior[1].log_prob(noise)
            # slope is d value / d K: its inner product with K has the gradient that backward through Cholesky has.
            ((slope * K).sum() - log_prior).backward()
            assert free.grad is not None
            return value - float(log_prior.detach()), free.grad.numpy()

        start = np.append(np.full(num_features, center - 3.0), -4.0)  # the priors' modes, nearly
        bounds = [tuple(np.log(_LENGTHSCALE_BOUNDS))] * num_features + [tuple(np.log(_NOISE_BOUNDS))]
        best = minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": self.max_steps}
        )
        theta = torch.tensor(best.x if np.isfinite(best.x).all() else start)
        self.lengthscale_, self.noise_ = theta[:-1].exp(), float(theta[-1].exp())
        self._condition(X, y, known + unknown * self.noise_)
        if not unknown.any():  # a new measurement is as noisy as the known ones
            self.noise_ = float(known.mean())

    def _condition(self, X: torch.Tensor, y: torch.Tensor, noise: torch.Tensor) -> None:
        L = _cholesky(matern52(X, X, self.lengthscale_) + torch.diag(noise))
        self.inverse_factor_ = torch.linalg.solve_triangular(L, torch.eye(len(y), dtype=y.dtype), upper=False)
        white, ones = self.inverse_factor_ @ y, self.inverse_factor_.sum(1)
        self.constant_ = float(ones @ white / (ones @ ones))
        self.alpha_ = self.inverse_factor_.T @ (white - self.constant_ * ones)
        self.rows_ = X

    def _predict(self, X: torch.Tensor) -> Moments:
        K = matern52(X, self.rows_, self.lengthscale_)
        variance = 1 - (K @ self.inverse_factor_.T).square().sum(1)
        mean = self.constant_ + K @ self.alpha_
        return mean, variance.clamp_min(1e-10).sqrt(), torch.full_like(mean, math.sqrt(self.noise_))


def _negative_log_likelihood(K: torch.Tensor, y: torch.Tensor) -> tuple[float, torch.Tensor]:
    """−log p(y) at the best constant mean, and its derivative in K: ½(K⁻¹ − ααᵀ), shape (n, n)."""
    L = _cholesky(K)
    inverse = torch.cholesky_inverse(L)
    constant = inverse.sum(0) @ y / inverse.sum()
    alpha = inverse @ (y - constant)
    value = 0.5 * (y - constant) @ alpha + L.diagonal().log().sum() + 0.5 * len(y) * math.log(2 * math.pi)
    return float(value), 0.5 * (inverse - torch.outer(alpha, alpha))


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
