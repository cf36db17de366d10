"""Networks whose every weight and activation is a Gaussian, many at once: moments forward, gradients backward.

Symbols: μ and s mean and variance of an activation, W_μ, b_μ and W_s, b_s means and variances of the weights,
M networks (first axis), n rows, d features, h hidden size, Q weights of one network.

The weights of M networks are one array (M, 2, Q): means, then raw variances, of which softplus(5·raw) makes variances.
The backward pass is written out: for arrays this small, recording the operations costs more than doing them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F

from boshnas.surrogates.training import Shape, num_parameters, unpack

_GAIN = 5.0  # of raw variances: they have orders of magnitude to travel, in steps as small as the means'
_INITIAL_VARIANCE = 0.05  # of a hidden activation whose inputs are of order 1
_INITIAL_NOISE = 0.5  # of the output

Moments = tuple[torch.Tensor, torch.Tensor]
"""Mean and variance of the outputs, each (M, n)."""


class Linear(NamedTuple):
    """One layer's weights: W (M, i, o) and b (M, 1, o)."""

    W: torch.Tensor
    b: torch.Tensor


class Rectified(NamedTuple):
    """max(x, 0) where x ~ N(μ, s), α = μ/√s.

    Attributes:
        first: E = μΦ(α) + √s φ(α).
        second: E₂ = (μ² + s)Φ(α) + μ√s φ(α) = μE + sΦ(α).
        variance: E₂ − E².
        cdf: Φ(α).
        density: √s φ(α).
    """

    first: torch.Tensor
    second: torch.Tensor
    variance: torch.Tensor
    cdf: torch.Tensor
    density: torch.Tensor


def rectified(mean: torch.Tensor, variance: torch.Tensor) -> Rectified:
    """Moments of a rectified Gaussian; smooth for variance > 0.

    Args:
        mean: μ, any shape.
        variance: s, same shape, > 0.

    Reference:
        Frey and Hinton 1999, Neural Computation 11(1), appendix.
    """
    std = variance.sqrt()
    scaled = mean / std * math.sqrt(0.5)
    cdf = 0.5 + 0.5 * torch.erf(scaled)
    density = std * torch.exp(-scaled.square()) * (1 / math.sqrt(2 * math.pi))
    first = mean * cdf + density
    second = mean * first + variance * cdf
    return Rectified(first, second, (second - first.square()).clamp_min(1e-12), cdf, density)


def initial(num_features: int, hidden_size: int, num_networks: int, generator: torch.Generator) -> torch.Tensor:
    """Weights (M, 2, Q) to begin at: W_μ by He's rule, b_μ 0, small variances."""
    means, variances = [], []
    for fan_in, fan_out in _sizes(num_features, hidden_size):
        last = fan_out == 1
        W = torch.randn(num_networks, fan_in * fan_out, generator=generator) * math.sqrt((1 if last else 2) / fan_in)
        means += [W, torch.zeros(num_networks, fan_out)]
        raw = _raw(_INITIAL_VARIANCE / fan_in), _raw(_INITIAL_NOISE if last else _INITIAL_VARIANCE)
        variances += [
            torch.full((num_networks, size), value) for size, value in zip((W.shape[1], fan_out), raw, strict=True)
        ]
    return torch.stack([torch.cat(means, dim=1), torch.cat(variances, dim=1)], dim=1)


def forward(weights: torch.Tensor, X: torch.Tensor, hidden_size: int) -> Moments:
    """What M networks say of rows.

    With Gaussian input, μ' = μW_μ + b_μ and s' = sW_s + s(W_μ∘W_μ) + (μ∘μ)W_s + b_s; the rows themselves are exact.

    Args:
        weights: Shape (M, 2, Q).
        X: Rows (n, d), of the precision that is wanted; may be differentiated twice.
        hidden_size: h.

    Reference:
        Wang, Shi, Yeung 2016, arXiv 1611.00448, equations 1 and 2.
    """
    means, variances = _layers(weights.to(X), X.shape[1], hidden_size)
    mean, variance = _first(means[0], variances[0], X, X.square())
    for mu, s in zip(means[1:], variances[1:], strict=True):
        mean, variance = _next(mu, s, rectified(mean, variance))
    return mean[..., 0], variance[..., 0]


def gradient(
    weights: torch.Tensor, X: torch.Tensor, hidden_size: int, slopes: Callable[[torch.Tensor, torch.Tensor], Moments]
) -> torch.Tensor:
    """Derivative of a loss in the weights, shape (M, 2, Q).

    Args:
        weights: Shape (M, 2, Q).
        X: Rows (n, d), of the weights' precision.
        hidden_size: h.
        slopes: Maps mean and variance of the outputs, each (M, n), to the loss's derivatives in them.
    """
    means, variances = _layers(weights, X.shape[1], hidden_size)
    mean, variance = _first(means[0], variances[0], X, X.square())
    hidden = []
    for mu, s in zip(means[1:], variances[1:], strict=True):
        hidden.append(((mean, variance), rectified(mean, variance)))
        mean, variance = _next(mu, s, hidden[-1][1])
    to_mean, to_variance = (slope[..., None] for slope in slopes(mean[..., 0], variance[..., 0]))
    parts: list[tuple[torch.Tensor, ...]] = []
    for layer in range(len(hidden), 0, -1):
        (mean, variance), unit = hidden[layer - 1]
        W, W_s = means[layer].W, variances[layer].W
        through = unit.variance.mT @ to_variance  # of the squared means of the weights
        parts.append(
            (
                unit.first.mT @ to_mean + 2 * W * through,
                to_mean.sum(1),
                unit.second.mT @ to_variance,
                to_variance.sum(1),
            )
        )
        of_variance = to_variance @ W.square().mT
        of_second = (to_variance @ W_s.mT).add_(of_variance)
        of_first = (to_mean @ W.mT).addcmul_(of_variance, unit.first, value=-2)
        # dE = Φ dμ + √s φ/2s ds,  dE₂ = 2E dμ + Φ ds
        to_mean = (of_first * unit.cdf).addcmul_(of_second, unit.first, value=2)
        to_variance = (of_first * unit.density).div_(2 * variance).addcmul_(of_second, unit.cdf)
    parts.append((X.T @ to_mean, to_mean.sum(1), X.square().T @ to_variance, to_variance.sum(1)))
    flat = [[part.flatten(1) for part in layer] for layer in reversed(parts)]
    of_means = torch.cat([part for layer in flat for part in layer[:2]], dim=1)
    of_variances = torch.cat([part for layer in flat for part in layer[2:]], dim=1)
    # softplus' = sigmoid
    return torch.stack([of_means, of_variances * torch.sigmoid(_GAIN * weights[:, 1]) * _GAIN], dim=1)


def num_weights(num_features: int, hidden_size: int) -> int:
    """Q."""
    return num_parameters(_shapes(num_features, hidden_size))


def is_weight(num_features: int, hidden_size: int) -> torch.Tensor:
    """True where a parameter is of a W, not of a b, shape (Q,)."""
    flags = [
        torch.full((size,), value)
        for i, o in _sizes(num_features, hidden_size)
        for size, value in ((i * o, True), (o, False))
    ]
    return torch.cat(flags)


def _first(mu: Linear, s: Linear, X: torch.Tensor, squares: torch.Tensor) -> Moments:
    return X @ mu.W + mu.b, squares @ s.W + s.b


def _next(mu: Linear, s: Linear, unit: Rectified) -> Moments:
    mean = torch.baddbmm(mu.b, unit.first, mu.W)
    # sW_s + (μ∘μ)W_s = E₂W_s
    variance = torch.baddbmm(torch.baddbmm(s.b, unit.second, s.W), unit.variance, mu.W.square())
    return mean, variance


def _layers(weights: torch.Tensor, num_features: int, hidden_size: int) -> tuple[list[Linear], list[Linear]]:
    """Means and variances of each layer's weights, views of the flat arrays."""
    shapes = _shapes(num_features, hidden_size)
    means, variances = (unpack(flat, shapes) for flat in (weights[:, 0], F.softplus(_GAIN * weights[:, 1])))
    return list(map(Linear, means[::2], means[1::2])), list(map(Linear, variances[::2], variances[1::2]))


def _shapes(num_features: int, hidden_size: int) -> list[Shape]:
    """Of W and b of each layer in turn."""
    return [shape for i, o in _sizes(num_features, hidden_size) for shape in ((i, o), (1, o))]


def _sizes(num_features: int, hidden_size: int) -> list[tuple[int, int]]:
    return [(num_features, hidden_size), (hidden_size, hidden_size), (hidden_size, 1)]


def _raw(variance: float) -> float:
    """What softplus(5·raw) turns into the variance."""
    return math.log(math.expm1(variance)) / _GAIN
