"""Covariance of the latent function: main effects and everything beyond them.

Symbols: G groups of columns, ℓ (G,) lengthscales, m and a variances of the two parts, o (d,) origin, q mean squared
distance of the rows to it.

    k(x, x') = m · matern52(r) + a · (x − o)·(x' − o)/q,    r² = Σ_g ‖x_g − x'_g‖²/ℓ_g²

Over one-hot columns that share a lengthscale the first part is a kernel of categories: all that differ are equally far
apart. The second part is Bayesian linear regression: additive effects of categories and sizes, inner products of graph
features. What is additive is learnt from few rows and extrapolates.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

_NUM_FREQUENCIES = 512


def matern52(squared_distance: torch.Tensor) -> torch.Tensor:
    """Matérn-5/2 correlation (1 + √5 r + 5r²/3)·exp(−√5 r) of squared distances r², any shape.

    Twice differentiable also at 0: 1e-10 is added to 5r², which moves the correlation by less than 1e-10.

    Reference:
        Rasmussen and Williams 2006, equation 4.17.
    """
    root = (5 * squared_distance + 1e-10).sqrt()
    return (1 + root + root.square() / 3) * torch.exp(-root)


@dataclass(frozen=True)
class Kernel:
    """k of fixed hyperparameters.

    Attributes:
        inverse_lengthscale: 1/ℓ of each column's group, shape (d,).
        matern_variance: m.
        linear_variance: a.
        origin: o, shape (d,).
        norm: q, > 0.
    """

    inverse_lengthscale: torch.Tensor
    matern_variance: float
    linear_variance: float
    origin: torch.Tensor
    norm: float

    def __call__(self, X1: torch.Tensor, X2: torch.Tensor) -> torch.Tensor:
        """Covariances of rows (n, d) and (m, d), shape (n, m)."""
        A, B = X1 * self.inverse_lengthscale, X2 * self.inverse_lengthscale
        squared = (A.square().sum(1)[:, None] + B.square().sum(1) - 2 * A @ B.T).clamp_min(0)
        linear = (X1 - self.origin) @ (X2 - self.origin).T
        return self.matern_variance * matern52(squared) + (self.linear_variance / self.norm) * linear

    def diagonal(self, X: torch.Tensor) -> torch.Tensor:
        """Variances of rows (n, d), shape (n,)."""
        return self.matern_variance + (self.linear_variance / self.norm) * (X - self.origin).square().sum(1)

    def draw(self, generator: torch.Generator) -> Callable[[torch.Tensor], torch.Tensor]:
        """One function of the prior, at any rows (n, d), shape (n,): random Fourier features for the first part.

        Reference:
            Rahimi and Recht 2007, algorithm 1; the spectral density of Matérn-5/2 is a multivariate t with 5 degrees of
            freedom (Rasmussen and Williams 2006, section 4.2).
        """
        num_features = len(self.origin)

        def normal(*size: int) -> torch.Tensor:
            return torch.randn(size, dtype=self.origin.dtype, generator=generator)

        frequency = normal(num_features, _NUM_FREQUENCIES) * (5 / normal(5, _NUM_FREQUENCIES).square().sum(0)).sqrt()
        phase = 2 * math.pi * torch.rand(_NUM_FREQUENCIES, dtype=self.origin.dtype, generator=generator)
        amplitude = math.sqrt(2 * self.matern_variance / _NUM_FREQUENCIES) * normal(_NUM_FREQUENCIES)
        slope = math.sqrt(self.linear_variance / self.norm) * normal(num_features)

        def function(X: torch.Tensor) -> torch.Tensor:
            waves = torch.cos((X * self.inverse_lengthscale) @ frequency + phase)
            values: torch.Tensor = waves @ amplitude + (X - self.origin) @ slope
            return values

        return function


def group_numbers(groups: Sequence[int] | None, num_features: int) -> NDArray[np.intp]:
    """Number of each column's group, from 0 without gaps, shape (d,); each column its own where none are given."""
    if groups is None:
        return np.arange(num_features)
    return np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)


def mean_squared_norm(centered: NDArray[np.float64]) -> float:
    """Q of rows that are centred already; 1 where they are all the same."""
    norm = float((centered**2).sum(1).mean())
    return norm if norm > 1e-12 else 1.0


def prior_lengthscale(num_groups: int) -> float:
    """Logarithm of the lengthscale to expect: it grows with the root of the number of groups.

    Reference:
        Hvarfner, Hellsten, Nardi 2024, arXiv 2402.02229, section 4.
    """
    return math.sqrt(2) + 0.5 * math.log(num_groups)
