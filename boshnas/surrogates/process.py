"""A Gaussian process conditioned on measurements; see `kernel` and `evidence`.

Symbols: K covariance of the n measured rows, V their noise (diagonal), L Cholesky factor of K + V, c constant mean,
α = (K + V)⁻¹(y − c).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from boshnas.surrogates.evidence import fit_hyperparameters
from boshnas.surrogates.kernel import Kernel
from boshnas.surrogates.repeats import Measurements

MAX_FITTED_ROWS = 400  # that hyperparameters are fitted to

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Process:
    """What is believed of the latent function.

    Attributes:
        theta: Hyperparameters as `evidence` packs them.
        kernel: Of these.
        noise: Variance of one measurement of unknown noise.
        rows: Measured, shape (n, d).
        variances: Diagonal of V, shape (n,).
        inverse_factor: L⁻¹, shape (n, n).
        constant: c.
        alpha: α, shape (n,).
        held_out: Mean and variance of each measured mean, noise included, as predicted from the other rows, (n,) each.

    Reference:
        Rasmussen and Williams 2006, algorithm 2.1 and equation 5.12 (leaving one row out).
    """

    theta: NDArray[np.float64]
    kernel: Kernel
    noise: float
    rows: torch.Tensor
    variances: torch.Tensor
    inverse_factor: torch.Tensor
    constant: float
    alpha: torch.Tensor
    held_out: tuple[torch.Tensor, torch.Tensor]

    @classmethod
    def fit(
        cls,
        data: Measurements,
        groups: Sequence[int] | None,
        *,
        max_steps: int,
        start: NDArray[np.float64] | None,
        generator: torch.Generator,
    ) -> Self:
        """Hyperparameters from at most 400 rows, drawn at random, then conditioned on all.

        Args:
            data: n rows, scaled so that about 1 is far.
            groups: Group of each column; None: each its own.
            max_steps: Bound on L-BFGS iterations.
            start: θ to begin at; None: near the priors' modes.
            generator: Draws the rows.
        """
        found = fit_hyperparameters(data.at_most(MAX_FITTED_ROWS, generator), groups, max_steps=max_steps, start=start)
        return cls.condition(data, found.theta, found.kernel, found.noise)

    @classmethod
    def condition(cls, data: Measurements, theta: NDArray[np.float64], kernel: Kernel, noise: float) -> Self:
        """The process of given hyperparameters."""
        variances = torch.where(data.known, data.variance, noise / data.count)
        L = _cholesky(kernel(data.X, data.X) + torch.diag(variances))
        inverse_factor = torch.linalg.solve_triangular(L, torch.eye(len(data), dtype=L.dtype), upper=False)
        white, ones = inverse_factor @ data.y, inverse_factor.sum(1)
        constant = float(ones @ white / (ones @ ones))
        alpha = inverse_factor.T @ (white - constant * ones)
        left_out = 1 / inverse_factor.square().sum(0)
        held_out = data.y - alpha * left_out, left_out
        return cls(theta, kernel, noise, data.X, variances, inverse_factor, constant, alpha, held_out)

    def moments(self, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of the latent function at rows (n, d), shape (n,) each."""
        K = self.kernel(X, self.rows)
        variance = self.kernel.diagonal(X) - (K @ self.inverse_factor.T).square().sum(1)
        return self.constant + K @ self.alpha, variance.clamp_min(1e-10)

    def draw(self, generator: torch.Generator) -> Callable[[torch.Tensor], torch.Tensor]:
        """One function of the posterior, at any rows (n, d), shape (n,).

        A function of the prior, plus what takes it through one draw of the measurements:
        f(x) + k(x, rows)(K + V)⁻¹(y − c − f(rows) − ε).

        Reference:
            Wilson et al. 2020, arXiv 2002.09309, equation 14.
        """
        prior = self.kernel.draw(generator)
        L_inverse = self.inverse_factor
        noise = self.variances.sqrt() * torch.randn(len(self.rows), dtype=self.rows.dtype, generator=generator)
        # α is (K + V)⁻¹(y − c) already.
        correction = self.alpha - L_inverse.T @ (L_inverse @ (prior(self.rows) + noise))
        return lambda X: self.constant + prior(X) + self.kernel(X, self.rows) @ correction


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
