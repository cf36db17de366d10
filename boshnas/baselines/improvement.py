"""Baselines that learn a model and measure where it expects most improvement.

Symbols: m values told, f free candidates, d features; z the values with mean 0 and standard deviation 1.
"""

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray

from boshnas.acquisition import log_ei
from boshnas.baselines.base import Baseline, Rows

Values = NDArray[np.float64]


class ImprovementSearcher(Baseline):
    """Fits a model anew for every ask and takes the free candidates of greatest expected improvement over the best."""

    def _choose(self, free: Rows, k: int, rng: np.random.Generator) -> Rows:
        values = np.array(self._values)
        z = (values - values.mean()) / (values.std() or 1.0)
        shuffled = rng.permutation(free)  # so that ties are drawn
        mean, std = self._predict(self.pool.X[self._rows], z, self.pool.X[shuffled], rng)
        belief = torch.as_tensor(mean), torch.as_tensor(std), torch.zeros(len(shuffled))
        worth = log_ei(*belief, best=float(z.max())).numpy()
        return shuffled[np.argsort(-worth, kind="stable")[:k]]

    @abstractmethod
    def _predict(self, X: Values, z: Values, candidates: Values, rng: np.random.Generator) -> tuple[Values, Values]:
        """Learn, then predict.

        Args:
            X: Features of what was measured, shape (m, d), m >= 2.
            z: Values, standardised, shape (m,).
            candidates: Features of the others, shape (f, d).
            rng: For all draws.

        Returns:
            Mean and standard deviation of the candidates' z, each (f,), float64.
        """
