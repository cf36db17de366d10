"""Network and Gaussian process together, weighed by how well each predicts rows that it has not seen."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from boshnas.posterior import Posterior
from boshnas.surrogates.base import Moments, Surrogate
from boshnas.surrogates.gp import GPSurrogate
from boshnas.surrogates.npn import NPNSurrogate
from boshnas.surrogates.teacher_student import TeacherStudentSurrogate


class CombinedSurrogate(Surrogate):
    """Mixture of BOSHNAS's networks (mean and noise by f, epistemic by h) and a Gaussian process.

    The network's weight w maximises Σᵢ log(w pᵢ + (1 − w) qᵢ) + log w + log(1 − w), where pᵢ and qᵢ are the Gaussian
    densities of row i under the network and the GP fitted without row i's fold; the last two terms keep both alive on
    few rows. With means μ, epistemic e and aleatoric a, the mixture has

        mean = w μ_net + (1 − w) μ_gp
        e²   = w e²_net + (1 − w) e²_gp + w(1 − w)(μ_net − μ_gp)²
        a²   = w a²_net + (1 − w) a²_gp

    so that the two together count their disagreement as something that data would resolve.

    Args:
        num_folds: Of the cross-validation; fewer rows than this are left out one by one.
        hidden_size: Of the networks.
        num_steps: Of Adam, for f; g and h take two thirds.
        max_steps: Bound on the GP's L-BFGS iterations.
        random_state: Seed of weights, dropout and folds; None for a fresh one.

    Reference:
        Yao, Vehtari, Simpson, Gelman 2018, arXiv 1704.02030, equation 4 (stacking of predictive distributions).
    """

    def __init__(
        self,
        num_folds: int = 5,
        hidden_size: int = 32,
        num_steps: int = 150,
        max_steps: int = 50,
        random_state: int | None = None,
    ) -> None:
        self.num_folds = num_folds
        self.hidden_size = hidden_size
        self.num_steps = num_steps
        self.max_steps = max_steps
        self.random_state = random_state

    def _fit(self, X: torch.Tensor, y: torch.Tensor, noise_std: torch.Tensor | None) -> None:
        rows, values = X.numpy(), y.numpy()
        noise = None if noise_std is None else noise_std.numpy()
        generator = self._generator()
        seed = int(torch.randint(2**31, (1,), generator=generator))
        self.npn_ = NPNSurrogate(self.hidden_size, self.num_steps, random_state=seed)
        self.teacher_student_ = TeacherStudentSurrogate(
            self.hidden_size, max(1, 2 * self.num_steps // 3), random_state=seed
        )
        self.gp_ = GPSurrogate(self.max_steps, random_state=seed)
        parts = (self.npn_, self.teacher_student_, self.gp_)
        if len(values) == 1:
            self.network_weight_ = 0.5
            for part in parts:
                part.fit(rows, values, noise)
            return
        folds = (torch.randperm(len(values), generator=generator) % min(self.num_folds, len(values))).numpy()
        npn, teacher, gp = (part.cross_fit(rows, values, folds, noise) for part in parts)
        network = Posterior(npn.mean, teacher.epistemic_std, npn.aleatoric_std)
        self.network_weight_ = stacking_weight(_log_density(network, values), _log_density(gp, values))

    def _predict(self, X: torch.Tensor) -> Moments:
        w = self.network_weight_
        net_mean, _, net_aleatoric = self.npn_.posterior_tensors(X)
        net_epistemic = self.teacher_student_.posterior_tensors(X)[1]
        gp_mean, gp_epistemic, gp_aleatoric = self.gp_.posterior_tensors(X)
        disagreement = w * (1 - w) * (net_mean - gp_mean).square()
        epistemic = (w * net_epistemic.square() + (1 - w) * gp_epistemic.square() + disagreement).sqrt()
        aleatoric = (w * net_aleatoric.square() + (1 - w) * gp_aleatoric.square()).sqrt()
        return w * net_mean + (1 - w) * gp_mean, epistemic, aleatoric


def stacking_weight(first: NDArray[np.float64], second: NDArray[np.float64], num_steps: int = 150) -> float:
    """Weight w in (0, 1) of the first of two predictors that maximises Σ log(w p + (1 − w) q) + log w + log(1 − w).

    Args:
        first: log p of each held-out row, shape (n,).
        second: log q, shape (n,).
        num_steps: Of expectation-maximisation, each w ← (1 + Σᵢ w pᵢ / (w pᵢ + (1 − w) qᵢ)) / (n + 2).

    Example:
        >>> stacking_weight(np.zeros(4), np.zeros(4))
        0.5
    """
    ratio = np.exp(np.clip(second - first, -500, 500))
    w = 0.5
    for _ in range(num_steps):
        w = float((1 + (w / (w + (1 - w) * ratio)).sum()) / (len(ratio) + 2))
    return w


def _log_density(belief: Posterior, y: NDArray[np.float64]) -> NDArray[np.float64]:
    return -0.5 * ((y - belief.mean) / belief.std) ** 2 - np.log(belief.std) - 0.5 * math.log(2 * math.pi)
