"""Networks and Gaussian process together, weighed by how well each predicts rows that it has not seen."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from boshnas.surrogates.base import Draw, Moments, Surrogate
from boshnas.surrogates.gp import GPSurrogate
from boshnas.surrogates.npn import NPNSurrogate
from boshnas.surrogates.repeats import Measurements

_PRIOR_ROWS = 5.0  # pseudo-rows that speak for either part


class CombinedSurrogate(Surrogate):
    """Mixture of BOSHNAS's heteroscedastic networks and a Gaussian process.

    The networks' weight w maximises Σᵢ log(w pᵢ + (1 − w) qᵢ) + k log w + k log(1 − w), where pᵢ is the density of row
    i under the network that has not seen it, its variance scaled to the errors of all of them, qᵢ that under the GP
    without row i, and k = 5 keeps both alive on few rows. Both come with one fit of each part. With means μ, epistemic
    e and aleatoric a, the mixture has

        mean = w μ_net + (1 − w) μ_gp
        e²   = w (e²_net + (s − 1) a²_net) + (1 − w) e²_gp + w(1 − w)(μ_net − μ_gp)²
        a²   = w a²_net + (1 − w) a²_gp, or a²_gp alone where the GP has learned how the noise depends on x

    so that their disagreement, and the networks' errors beyond the noise (s is the scale above), count as something
    that data would resolve.

    Args:
        groups: Group of each column, shape (d,), see `boshnas.Pool`; None: each column is its own.
        num_members: Of the networks' ensemble, at least 2.
        hidden_size: Of the networks.
        num_steps: Of Adam.
        max_steps: Bound on the GP's L-BFGS iterations.
        warm_start: Whether `fit` starts from the fit before.
        random_state: Seed of weights and folds; None for a fresh one.

    Reference:
        Yao, Vehtari, Simpson, Gelman 2018, arXiv 1704.02030, equation 4 (stacking of predictive distributions).
    """

    def __init__(
        self,
        groups: Sequence[int] | None = None,
        num_members: int = 5,
        hidden_size: int = 32,
        num_steps: int = 150,
        max_steps: int = 40,
        warm_start: bool = False,
        random_state: int | None = None,
    ) -> None:
        self.groups = groups
        self.num_members = num_members
        self.hidden_size = hidden_size
        self.num_steps = num_steps
        self.max_steps = max_steps
        self.warm_start = warm_start
        self.random_state = random_state

    def _set_scales(self, X: NDArray[np.float64]) -> None:
        self.x_offset_, self.x_scale_ = np.zeros(X.shape[1]), np.ones(X.shape[1])  # each part has its own

    def _fit(self, data: Measurements) -> None:
        if not self.warm_start or not hasattr(self, "gp_"):
            seed = int(torch.randint(2**31, (1,), generator=self._generator()))
            self.npn_ = NPNSurrogate(
                self.num_members, self.hidden_size, self.num_steps, warm_start=self.warm_start, random_state=seed
            )
            self.gp_ = GPSurrogate(self.groups, self.max_steps, warm_start=self.warm_start, random_state=seed)
        self.npn_.fit_warped(data)
        self.gp_.fit_warped(data)
        net_mean, net_variance = self.npn_.held_out_
        self.noise_scale_ = float(((data.y - net_mean).square() / net_variance).mean().clamp_min(1.0))
        network = _log_density(data.y, net_mean, self.noise_scale_ * net_variance)
        process = _log_density(data.y, *self.gp_.held_out_)
        self.network_weight_ = stacking_weight(network, process, _PRIOR_ROWS)

    def _condition(self, data: Measurements) -> None:
        self.gp_.condition_warped(data)

    def _predict(self, X: torch.Tensor) -> Moments:
        return self._mixed(self.npn_.predict_warped(X), self.gp_.predict_warped(X))

    def _predict_pool(self, X: torch.Tensor) -> Moments:
        return self._mixed(self.npn_.predict_pool(X), self.gp_.predict_pool(X))

    def _mixed(self, network: Moments, process: Moments) -> Moments:
        w = self.network_weight_
        (net_mean, net_epistemic, net_aleatoric), (gp_mean, gp_epistemic, gp_aleatoric) = network, process
        net_variance = net_epistemic.square() + (self.noise_scale_ - 1) * net_aleatoric.square()
        disagreement = w * (1 - w) * (net_mean - gp_mean).square()
        epistemic = (w * net_variance + (1 - w) * gp_epistemic.square() + disagreement).sqrt()
        aleatoric = gp_aleatoric
        if self.gp_.noise_model_ is None:
            aleatoric = (w * net_aleatoric.square() + (1 - w) * gp_aleatoric.square()).sqrt()
        return w * net_mean + (1 - w) * gp_mean, epistemic, aleatoric

    def _draw(self, generator: torch.Generator) -> Draw:
        """Of the networks as often as they weigh, else of the process."""
        from_networks = float(torch.rand(1, generator=generator)) < self.network_weight_
        return (self.npn_ if from_networks else self.gp_).draw(generator)


def stacking_weight(
    first: NDArray[np.float64], second: NDArray[np.float64], prior_rows: float, num_steps: int = 150
) -> float:
    """Weight w in (0, 1) of the first of two predictors that maximises Σ log(w p + (1 − w) q) + k (log w + log(1 − w)).

    Args:
        first: log p of each held-out row, shape (n,).
        second: log q, shape (n,).
        prior_rows: k, > 0.
        num_steps: Of expectation-maximisation, each w ← (k + Σᵢ w pᵢ / (w pᵢ + (1 − w) qᵢ)) / (n + 2k).

    Example:
        >>> stacking_weight(np.zeros(4), np.zeros(4), 1.0)
        0.5
    """
    ratio = np.exp(np.clip(second - first, -500, 500))
    w = 0.5
    for _ in range(num_steps):
        w = float((prior_rows + (w / (w + (1 - w) * ratio)).sum()) / (len(ratio) + 2 * prior_rows))
    return w


def _log_density(y: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> NDArray[np.float64]:
    """Of y under normal distributions, shape (n,)."""
    return (-0.5 * ((y - mean).square() / variance + variance.log() + math.log(2 * math.pi))).numpy()
