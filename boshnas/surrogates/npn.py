"""Natural-parameter network f: an ensemble of networks whose every activation is a Gaussian.

Symbols: μ and σ² mean and variance of a prediction, M networks trained at once, n rows.
"""

from typing import NamedTuple, Self

import torch

from boshnas.errors import InputError
from boshnas.surrogates import gaussian_network
from boshnas.surrogates.base import Draw, Moments, Surrogate
from boshnas.surrogates.repeats import Measurements
from boshnas.surrogates.training import adam

_VARIANCE_FLOOR = 1e-4  # of the standardised objective: no row is trusted beyond 1 % of the spread
_PRIOR_VARIANCE = 0.5  # of the noise, in units of the objective's variance,
_PRIOR_ROWS = 10.0  # told by so many pseudo-observations: else few rows are fitted with no noise at all


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
        kept = self.folds_ != torch.arange(self.num_members)[:, None]
        kept |= ~kept.any(1, keepdim=True)  # a single row is left to everybody
        start, num_steps = getattr(self, "weights_", None), max(1, self.num_steps // 4)
        size = data.X.shape[1], self.hidden_size
        shape = self.num_members, 2, gaussian_network.num_weights(*size)
        if not self.warm_start or start is None or start.shape != shape:
            start, num_steps = gaussian_network.initial(*size, self.num_members, generator), self.num_steps
        X, likelihood = data.X.to(start), _Likelihood.of(data, kept.to(start))
        decay = self.weight_decay * gaussian_network.is_weight(*size) / kept.sum(1)[:, None]

        def gradient(weights: torch.Tensor) -> torch.Tensor:
            slopes = gaussian_network.gradient(weights, X, self.hidden_size, likelihood.slopes)
            slopes[:, 0] += decay * weights[:, 0]
            return slopes

        self.weights_ = adam(gradient, start, num_steps=num_steps, learning_rate=self.learning_rate)
        mean, variance = self._forward(X)
        each = torch.arange(len(data))
        self.held_out_ = mean[self.folds_, each].double(), variance[self.folds_, each].double()

    def _predict(self, X: torch.Tensor) -> Moments:
        mean, variance = self._forward(X)
        center = mean.mean(0)
        disagreement = (mean - center).square().mean(0)
        return center, disagreement.clamp_min(1e-12).sqrt(), variance.mean(0).sqrt()

    def _predict_pool(self, X: torch.Tensor) -> Moments:
        """In single precision, in which it was trained too."""
        mean, epistemic, aleatoric = self._predict(X.float())
        return mean.double(), epistemic.double(), aleatoric.double()

    def _draw(self, generator: torch.Generator) -> Draw:
        """One member's mean."""
        member = int(torch.randint(self.num_members, (1,), generator=generator))
        weights = self.weights_[member : member + 1]
        return lambda X: gaussian_network.forward(weights, X, self.hidden_size)[0][0]

    def _forward(self, X: torch.Tensor) -> gaussian_network.Moments:
        """Mean and variance (M, n) of every member at scaled rows, in their precision."""
        mean, variance = gaussian_network.forward(self.weights_, X, self.hidden_size)
        return mean, variance + _VARIANCE_FLOOR


class _Likelihood(NamedTuple):
    """Negative log posterior of predictions, a row and summed over members, up to a constant.

    ½ Σ (known + unknown/σ²)(y − μ)² + spread/σ² + weight log σ²

    Attributes:
        y: Shape (n,).
        known: Precision of rows whose noise is known, which weighs them; shape (M, n), 0 where a member does not look.
        unknown: Number of measurements behind the others; same shape.
        spread: What the variance learns from besides: known noise, scatter of repeats, prior; same shape.
        weight: Of the logarithm; same shape.
    """

    y: torch.Tensor
    known: torch.Tensor
    unknown: torch.Tensor
    spread: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def of(cls, data: Measurements, kept: torch.Tensor) -> Self:
        """Where kept (M, n) is 1 a member looks at a row; all sums are divided by how many it looks at."""
        num_kept = kept.sum(1, keepdim=True)
        is_known, variance, count = data.known.to(kept), data.variance.nan_to_num(1.0).to(kept), data.count.to(kept)
        prior = _PRIOR_ROWS * (1 - is_known) / num_kept
        spread = is_known * variance + (1 - is_known) * data.scatter.to(kept) + prior * _PRIOR_VARIANCE
        weight = torch.where(data.known, 1.0, count) + prior
        share = kept / num_kept
        return cls(
            data.y.to(kept),
            share * is_known / variance,
            share * (1 - is_known) * count,
            share * spread,
            share * weight,
        )

    def slopes(self, mean: torch.Tensor, variance: torch.Tensor) -> gaussian_network.Moments:
        """Derivatives in mean and variance of the predictions, each (M, n)."""
        precision = 1 / (variance + _VARIANCE_FLOOR)
        residual = mean - self.y
        to_mean = (self.known + self.unknown * precision) * residual
        explained = (self.unknown * residual.square() + self.spread) * precision
        return to_mean, 0.5 * precision * (self.weight - explained)


def _folds(num_rows: int, num_folds: int, generator: torch.Generator) -> torch.Tensor:
    """Fold of each row, shape (n,): equally many rows a fold, and a row keeps its fold when others follow."""
    deals = [torch.randperm(num_folds, generator=generator) for _ in range(-(-num_rows // num_folds))]
    return torch.cat(deals)[:num_rows]
