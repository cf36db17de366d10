"""Noise that depends on x, learned from rows measured several times and rows whose noise is known.

Symbols: s² sample variance of a row's ν + 1 measurements, ψ digamma and ψ₁ trigamma function.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch

from boshnas.surrogates.process import Process
from boshnas.surrogates.repeats import Measurements

_MIN_ROWS = 10  # that tell their noise: fewer say no more than one number
_KNOWN_VARIANCE = 0.1  # of the logarithm of a variance that is called known
_TINY = 1e-10  # of the warped objective: measurements that agree exactly
_LOG_BOUNDS = (-30.0, 10.0)


@dataclass(frozen=True)
class NoiseModel:
    """A Gaussian process for the logarithm of the noise variance.

    For normal noise of variance σ², log s² − ψ(ν/2) + log(ν/2) has mean log σ² and variance ψ₁(ν/2): each row measured
    more than once is a noisy measurement of log σ² of known noise.

    Attributes:
        process: Over the standardised logarithms.
        offset: Their mean.
        scale: Their standard deviation.

    Reference:
        Kersting, Plagemann, Pfaff, Burgard 2007, section 3 (a process for the log noise); Bartlett and Kendall 1946
        (moments of log s²).
    """

    process: Process
    offset: float
    scale: float

    @classmethod
    def fit(
        cls, data: Measurements, groups: Sequence[int] | None, *, max_steps: int, generator: torch.Generator
    ) -> Self | None:
        """From measurements, scaled; None where fewer than 10 rows tell their noise."""
        half = (data.count - 1) / 2
        tells = data.known | (half > 0)
        if int(tells.sum()) < _MIN_ROWS:
            return None
        half = half.clamp_min(0.5)
        sample = (data.scatter / (2 * half)).clamp_min(_TINY).log() - torch.digamma(half) + half.log()
        logs = torch.where(data.known, data.variance.nan_to_num(1.0).log(), sample)[tells]
        noise = torch.where(data.known, _KNOWN_VARIANCE, torch.special.polygamma(1, half))[tells]
        offset, scale = float(logs.mean()), float(logs.std().clamp_min(1e-6))
        ones = torch.ones_like(logs)
        rows = Measurements(data.X[tells], (logs - offset) / scale, ones, torch.zeros_like(ones), noise / scale**2)
        return cls(Process.fit(rows, groups, max_steps=max_steps, start=None, generator=generator), offset, scale)

    def variance(self, X: torch.Tensor) -> torch.Tensor:
        """σ² of one measurement at rows (n, d), shape (n,)."""
        return (self.offset + self.scale * self.process.moments(X)[0]).clamp(*_LOG_BOUNDS).exp()

    def applied(self, data: Measurements) -> Measurements:
        """The same means, each with the noise that the model gives it; known noise stays as it is."""
        variance = torch.where(data.known, data.variance, self.variance(data.X) / data.count)
        return replace(data, variance=variance, count=torch.ones_like(variance), scatter=torch.zeros_like(variance))
