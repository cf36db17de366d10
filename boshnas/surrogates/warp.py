"""Low values drawn together, so that how bad the bad ones are does not decide what is believed of the good ones.

Symbols: y objective (to be maximised), c its median, s its spread above the median, λ strength, z the warped and
standardised objective on which surrogates learn.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

_STRENGTHS = (0.0, 0.5, 1.0, 2.0)
_NUM_NODES = 12
_NODES, _WEIGHTS = (torch.tensor(part) for part in np.polynomial.hermite_e.hermegauss(_NUM_NODES))
_BELOW_WORST = 1.0  # standard units: nothing is believed to lie further below the worst value seen


@dataclass(frozen=True)
class Warp:
    """The objective as surrogates see it, and the way back.

    With u = (y − c)/s:  w(y) = u for u >= 0, asinh(λu)/λ below;  z = (w(y) − offset)/spread. w is twice differentiable.
    λ is the strength of a few under which the warped values are likeliest to be normal, as Box and Cox choose theirs;
    λ = 0 changes nothing.

    Attributes:
        center: c.
        scale: s, > 0.
        strength: λ, >= 0.
        offset: Mean of w over the values of `fit`.
        spread: Its standard deviation; 1 where they are constant.
        lowest: z below which nothing is believed to lie.

    Reference:
        Box and Cox 1964, section 3; Snelson, Rasmussen, Ghahramani 2004 (warped Gaussian processes), equation 8.
    """

    center: float
    scale: float
    strength: float
    offset: float
    spread: float
    lowest: float

    @classmethod
    def fit(cls, y: NDArray[np.float64]) -> Self:
        """The warp of some values, shape (n,), finite."""
        center = float(np.median(y))
        scale = float(np.quantile(y, 0.9) - center)
        if scale <= 1e-12 * max(1.0, float(np.abs(y).max())):
            scale = spread_of(y)
        u = (y - center) / scale
        strength = max(_STRENGTHS, key=lambda value: _log_likelihood(u, value))
        w = _warped(u, strength)
        offset, spread = float(w.mean()), spread_of(w)
        return cls(center, scale, strength, offset, spread, float((w.min() - offset) / spread) - _BELOW_WORST)

    def __call__(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Z of some values, shape (n,)."""
        return (_warped((y - self.center) / self.scale, self.strength) - self.offset) / self.spread

    def slope(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """dz/dy, shape (n,): turns a small deviation of y into one of z."""
        low = np.minimum((y - self.center) / self.scale, 0.0)
        return 1 / (np.sqrt(1 + (self.strength * low) ** 2) * self.scale * self.spread)

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """Values in the objective's own unit, same shape as z."""
        w = self.offset + self.spread * z.clamp_min(self.lowest)
        if self.strength > 0:
            w = torch.where(w < 0, torch.sinh(self.strength * w.clamp_max(0)) / self.strength, w)
        return self.center + self.scale * w

    def moments(self, mean: torch.Tensor, std: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of y where z is normal, by Gauss-Hermite quadrature.

        Args:
            mean: Of z, shape (n,).
            std: Of z, shape (n,), > 0.

        Returns:
            Both moments of y, shape (n,), differentiable.
        """
        if self.strength == 0:
            unit = self.scale * self.spread
            return self.center + self.scale * self.offset + unit * mean, unit * std
        weights = (_WEIGHTS / _WEIGHTS.sum()).to(mean)
        values = self.inverse(mean[:, None] + std[:, None] * _NODES.to(mean))
        first = values @ weights
        variance = (values - first[:, None]).square() @ weights
        return first, variance.clamp_min(1e-24 * self.scale**2).sqrt()


def spread_of(values: NDArray[np.float64]) -> float:
    """Standard deviation; 1 where the values are constant up to rounding."""
    std = float(values.std())
    return 1.0 if std <= 1e-12 * float(np.abs(values).max()) else std


def _warped(u: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    if strength == 0:
        return u
    return np.where(u < 0, np.arcsinh(strength * np.minimum(u, 0.0)) / strength, u)


def _log_likelihood(u: NDArray[np.float64], strength: float) -> float:
    """Of u, shape (n,), where its warped values are normal with the best mean and variance; up to a constant."""
    low = strength * np.minimum(u, 0.0)
    return -len(u) * math.log(spread_of(_warped(u, strength))) - 0.5 * float(np.log1p(low**2).sum())
