"""Natural-parameter network f: a network whose every activation is a Gaussian.

Symbols: μ mean and s variance of an activation, W_μ, b_μ and W_s, b_s means and variances of the weights,
M networks trained at once (shape M first), n rows.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch.nn import functional as F

from boshnas.errors import InputError
from boshnas.surrogates.base import Draw, Moments, Surrogate
from boshnas.surrogates.repeats import Measurements
from boshnas.surrogates.training import Shape, adam, num_parameters, unpack

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
    """An ensemble of heteroscedastic networks: mean, noise that depends on x, and how far the members disagree.

    Trained on the Gaussian negative log-likelihood ½[(y − μ)²/σ² + log σ²]. The rows are dealt into as many folds as
    there are members, and each member learns without one of them: what it says of that fold is a prediction of rows it
    has not seen, so that one batch of trainings gives an ensemble and its cross-validation.

    Mean: the average of the members'. Aleatoric variance: the average of theirs. Epistemic variance: that of their
    means.

    Args:
        num_members: M, at least 2.
        hidden_size: Width of both hidden layers.
        num_steps: Of Adam, full batch; a quarter of them where it starts from an earlier fit.
        learning_rate: At the first step.
        weight_decay: Gaussian prior on W_μ, as one pseudo-observation count shared by all rows.
        warm_start: Whether `fit` starts from the weights of the fit before.
        random_state: Seed of the weights and folds; None for a fresh one.

    Reference:
        Wang, Shi, Yeung 2016, arXiv 1611.00448; Tuli, Dedhia, Tuli, Jha 2022, arXiv 2205.11656, section 3.3.
    """

    def __init__(
        self,
        num_members: int = 5,
        hidden_size: int = 32,
        num_steps: int = 150,
        learning_rate: float = 0.01,
        weight_decay: float = 1.0,
        warm_start: bool = False,
        random_state: int | None = None,
    ) -> None:
        self.num_members = num_members
        self.hidden_size = hidden_size
        self.num_steps = num_steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warm_start = warm_start
        self.random_state = random_state

    def _fit(self, data: Measurements) -> None:
        if self.num_members < 2:
            raise InputError(f"NPNSurrogate: num_members must be at least 2, got {self.num_members!r}.")
        generator = self._generator()
        self.folds_ = _folds(len(data), self.num_members, generator)
        kept = (self.folds_ != torch.arange(self.num_members)[:, None]).to(data.y)
        kept[kept.sum(1) == 0] = 1  # a single row is left to everybody
        shapes = _shapes(data.X.shape[1], self.hidden_size)
        start, num_steps = getattr(self, "weights_", None), max(1, self.num_steps // 4)
        if not self.warm_start or start is None or start.shape != (self.num_members, num_parameters(shapes)):
            start, num_steps = _initial(shapes, self.num_members, generator), self.num_steps
        loss = partial(self._loss, data=data, kept=kept, shapes=shapes)
        self.weights_ = adam(loss, start, num_steps=num_steps, learning_rate=self.learning_rate)
        with torch.no_grad():
            mean, variance = _forward(self.weights_, data.X, shapes)
        each = torch.arange(len(data))
        self.held_out_ = mean[self.folds_, each], variance[self.folds_, each]

    def _predict(self, X: torch.Tensor) -> Moments:
        mean, variance = _forward(self.weights_, X, _shapes(X.shape[1], self.hidden_size))
        center = mean.mean(0)
        disagreement = (mean - center).square().mean(0)
        return center, disagreement.clamp_min(1e-12).sqrt(), variance.mean(0).sqrt()

    def _draw(self, generator: torch.Generator) -> Draw:
        """One member's mean."""
        member = int(torch.randint(self.num_members, (1,), generator=generator))
        weights = self.weights_[member : member + 1]
        return lambda X: _forward(weights, X, _shapes(X.shape[1], self.hidden_size))[0][0]

    def _loss(
        self, weights: torch.Tensor, *, data: Measurements, kept: torch.Tensor, shapes: Sequence[Shape]
    ) -> torch.Tensor:
        """Negative log posterior a row, summed over the members; kept (M, n) is 1 where a member sees a row."""
        mean, variance = _forward(weights, data.X, shapes)
        noise = data.variance.nan_to_num(1.0)
        squares = (data.y - mean).square()
        # Where the noise is known it weighs the row, and the variance learns it.
        known = squares / noise + noise / variance + variance.log()
        unknown = (data.count * squares + data.scatter) / variance + data.count * variance.log()
        num_kept = kept.sum(1)
        prior = (_PRIOR_VARIANCE / variance + variance.log()) * (~data.known / num_kept[:, None])
        total = ((torch.where(data.known, known, unknown) + _PRIOR_ROWS * prior) * kept).sum(1)
        decay = sum(W.square().sum((1, 2)) for W in unpack(weights, shapes)[::4])
        return (0.5 * (total + self.weight_decay * decay) / num_kept).sum()


def _folds(num_rows: int, num_folds: int, generator: torch.Generator) -> torch.Tensor:
    """Fold of each row, shape (n,): equally many rows a fold, and a row keeps its fold when others follow."""
    deals = [torch.randperm(num_folds, generator=generator) for _ in range(-(-num_rows // num_folds))]
    return torch.cat(deals)[:num_rows]


def _raw(variance: float) -> float:
    """What softplus(_GAIN · raw) turns into the variance."""
    return math.log(math.expm1(variance)) / _GAIN


def _shapes(num_features: int, hidden_size: int) -> list[Shape]:
    sizes = [num_features, hidden_size, hidden_size, 1]
    return [shape for i, o in zip(sizes, sizes[1:], strict=False) for shape in ((i, o), (1, o), (i, o), (1, o))]


def _initial(shapes: Sequence[Shape], num_members: int, generator: torch.Generator) -> torch.Tensor:
    """W_μ by He's rule, b_μ 0; the raw W_s and b_s so that softplus gives small variances. Shape (M, P)."""
    arrays: list[torch.Tensor] = []
    for layer in range(0, len(shapes), 4):
        fan_in, fan_out = shapes[layer]
        last = fan_out == 1
        W_mu = torch.randn(num_members, fan_in, fan_out, dtype=torch.float64, generator=generator)
        constants = torch.tensor([0.0, _raw(_INITIAL_VARIANCE / fan_in), _raw(0.5 if last else _INITIAL_VARIANCE)])
        b_mu, W_s, b_s = (
            value.to(W_mu).expand(num_members, *shape)
            for value, shape in zip(constants, shapes[layer + 1 : layer + 4], strict=True)
        )
        arrays += [W_mu * math.sqrt((1.0 if last else 2.0) / fan_in), b_mu, W_s, b_s]
    return torch.cat([array.reshape(num_members, -1) for array in arrays], dim=1)


def _forward(weights: torch.Tensor, X: torch.Tensor, shapes: Sequence[Shape]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance (M, n) of M networks at X (n, d)."""
    arrays: Sequence[torch.Tensor] = unpack(weights, shapes)
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
