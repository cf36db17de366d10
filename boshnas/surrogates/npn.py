"""Natural-parameter network f: a network whose every activation is a Gaussian.

Symbols: μ mean and s variance of an activation, W_μ, b_μ and W_s, b_s means and variances of the weights,
M networks trained at once (shape M first), n rows.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn import functional as F

from boshnas.posterior import Posterior
from boshnas.surrogates.base import Moments, Surrogate, kept_rows
from boshnas.surrogates.training import Shape, adam, pack, unpack

_VARIANCE_FLOOR = 1e-4  # of the standardised objective: no row is trusted beyond 1 % of the spread
_PRIOR_VARIANCE = 0.5  # of the noise, in units of the objective's variance,
_PRIOR_ROWS = 10.0  # told by so many pseudo-observations: else few rows are fitted with no noise at all
_INITIAL_VARIANCE = 0.05  # of a hidden activation whose inputs are of order 1
_GAIN = 5.0  # of raw variances: they have orders of magnitude to travel, in steps as small as the means'


def npn_linear(
    mean: torch.Tensor,
    variance: torch.Tensor | None,
    W_mu: torch.Tensor,
    b_mu: torch.Tensor,
    W_s: torch.Tensor,
    b_s: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of xW + b where x, W and b are independent Gaussians.

    μ' = μW_μ + b_μ,  s' = sW_s + s(W_μ∘W_μ) + (μ∘μ)W_s + b_s.

    Args:
        mean: μ, shape (..., n, i).
        variance: s, same shape, >= 0; None for an exact input.
        W_mu: Shape (..., i, o).
        b_mu: Shape (..., 1, o).
        W_s: Shape (..., i, o), >= 0.
        b_s: Shape (..., 1, o), >= 0.

    Returns:
        μ' and s', shape (..., n, o).

    Reference:
        Wang, Shi, Yeung 2016, arXiv 1611.00448, equations 1 and 2.
    """
    out = mean.square() @ W_s + b_s
    if variance is not None:
        out = out + variance @ (W_s + W_mu.square())
    return mean @ W_mu + b_mu, out


def relu_moments(mean: torch.Tensor, variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of max(x, 0) where x ~ N(mean, variance); smooth for variance > 0.

    With α = μ/√s: E = μΦ(α) + √s φ(α),  E₂ = (μ² + s)Φ(α) + μ√s φ(α),  variance = E₂ − E².

    Args:
        mean: μ, any shape.
        variance: s, same shape, > 0.

    Returns:
        Both moments, same shape.

    Reference:
        Frey and Hinton 1999, Neural Computation 11(1), appendix.
    """
    std = variance.sqrt()
    alpha = mean / std
    cdf = torch.special.ndtr(alpha)
    density = std * torch.exp(-0.5 * alpha.square()) / math.sqrt(2 * math.pi)
    first = mean * cdf + density
    second = (mean.square() + variance) * cdf + mean * density
    return first, (second - first.square()).clamp_min(1e-12)


class NPNSurrogate(Surrogate):
    """Natural-parameter network: expected objective and aleatoric noise, both functions of x.

    Trained full batch on the heteroscedastic negative log-likelihood ½[(y − μ)²/s + log s]. Where a row's noise v is
    known, ½[(y − μ)²/v] + ½[v/s + log s]: v weighs the row and teaches s; where not, ten pseudo-observations of a
    noise variance of half the objective's keep s from vanishing on few rows. Its epistemic std is 0.

    Args:
        hidden_size: Width of both hidden layers.
        num_steps: Of Adam.
        learning_rate: At the first step.
        weight_decay: Gaussian prior on W_μ, as one pseudo-observation count shared by all rows.
        random_state: Seed of the first weights; None for a fresh one.

    Reference:
        Wang, Shi, Yeung 2016, arXiv 1611.00448.
    """

    def __init__(
        self,
        hidden_size: int = 32,
        num_steps: int = 150,
        learning_rate: float = 0.03,
        weight_decay: float = 1.0,
        random_state: int | None = None,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_steps = num_steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def cross_fit(
        self, X: ArrayLike, y: ArrayLike, folds: NDArray[np.intp], noise_std: ArrayLike | None = None
    ) -> Posterior:
        """As `Surrogate.cross_fit`, all networks trained in one batch (scales are those of all rows)."""
        Z, target, noise = self._standardised(X, y, noise_std)
        kept = kept_rows(folds)
        weights = self._train(Z, target, noise, kept)
        self.weights_ = weights[:1]
        mean, variance = _forward(weights, Z, self.hidden_size)
        own = 1 - kept
        moments = (own * mean).sum(0), torch.zeros_like(target), (own * variance.sqrt()).sum(0)
        return Posterior(*(part.numpy() for part in self._in_own_unit(*moments)))

    def _fit(self, X: torch.Tensor, y: torch.Tensor, noise_std: torch.Tensor | None) -> None:
        self.weights_ = self._train(X, y, noise_std, torch.ones(1, len(y), dtype=torch.float64))

    def _predict(self, X: torch.Tensor) -> Moments:
        mean, variance = _forward(self.weights_, X, self.hidden_size)
        return mean[0], torch.zeros_like(mean[0]), variance[0].sqrt()

    def _train(
        self, X: torch.Tensor, y: torch.Tensor, noise_std: torch.Tensor | None, kept: torch.Tensor
    ) -> torch.Tensor:
        """Weights (M, P) of M networks, the m-th trained on the rows where kept (M, n) is 1."""
        known, noise = torch.zeros_like(y, dtype=torch.bool), torch.ones_like(y)
        if noise_std is not None:
            known = ~noise_std.isnan()
            noise = noise_std.nan_to_num(1.0).square().clamp_min(_VARIANCE_FLOOR)
        num_kept = kept.sum(1)
        shapes = _shapes(X.shape[1], self.hidden_size)

        def loss(weights: torch.Tensor) -> torch.Tensor:
            mean, variance = _forward(weights, X, self.hidden_size)
            squares = (y - mean).square()
            error = torch.where(known, squares / noise + noise / variance, squares / variance)
            prior = (_PRIOR_VARIANCE / variance + variance.log()) * (~known / num_kept[:, None])
            decay = sum(W.square().sum((1, 2)) for W in unpack(weights, shapes)[::4])
            total = ((error + variance.log() + _PRIOR_ROWS * prior) * kept).sum(1)
            return (0.5 * (total + self.weight_decay * decay) / num_kept).sum()

        start = pack(_initial(X.shape[1], self.hidden_size, self._generator()), len(kept))
        return adam(loss, start, num_steps=self.num_steps, learning_rate=self.learning_rate)


def _raw(variance: float) -> float:
    """What softplus(_GAIN · raw) turns into the variance."""
    return math.log(math.expm1(variance)) / _GAIN


def _shapes(num_features: int, hidden_size: int) -> list[Shape]:
    sizes = [num_features, hidden_size, hidden_size, 1]
    return [shape for i, o in zip(sizes, sizes[1:], strict=False) for shape in ((i, o), (1, o), (i, o), (1, o))]


def _initial(num_features: int, hidden_size: int, generator: torch.Generator) -> list[torch.Tensor]:
    """W_μ by He's rule, b_μ 0; the raw W_s and b_s so that softplus gives small variances."""
    arrays: list[torch.Tensor] = []
    shapes = _shapes(num_features, hidden_size)
    for layer in range(0, len(shapes), 4):
        fan_in, fan_out = shapes[layer]
        last = fan_out == 1
        W_mu = torch.randn(fan_in, fan_out, dtype=torch.float64, generator=generator)
        arrays += [
            W_mu * math.sqrt((1.0 if last else 2.0) / fan_in),
            torch.zeros(1, fan_out, dtype=torch.float64),
            torch.full((fan_in, fan_out), _raw(_INITIAL_VARIANCE / fan_in), dtype=torch.float64),
            torch.full((1, fan_out), _raw(0.5 if last else _INITIAL_VARIANCE), dtype=torch.float64),
        ]
    return arrays


def _forward(weights: torch.Tensor, X: torch.Tensor, hidden_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance (M, n) of M networks at X (n, d)."""
    arrays: Sequence[torch.Tensor] = unpack(weights, _shapes(X.shape[1], hidden_size))
    mean, variance = X, None
    for layer in range(0, len(arrays), 4):
        W_mu, b_mu, raw_W_s, raw_b_s = arrays[layer : layer + 4]
        if variance is not None:
            mean, variance = relu_moments(mean, variance)
        mean, variance = npn_linear(
            mean, variance, W_mu, b_mu, F.softplus(_GAIN * raw_W_s), F.softplus(_GAIN * raw_b_s)
        )
    assert variance is not None
    return mean.squeeze(-1), variance.squeeze(-1) + _VARIANCE_FLOOR
