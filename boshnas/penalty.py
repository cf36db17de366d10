"""How much less a candidate is worth while others near it are being measured: local penalisation.

Symbols: x candidate, x_j centre (in flight or chosen), μ and σ mean and epistemic std, L Lipschitz constant of the
mean, M best measured value, all of the warped objective. Distances are in units of the pool's bounding box.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import log_ndtr

from boshnas.maximize import Box
from boshnas.surrogates.base import Surrogate
from boshnas.surrogates.training import in_blocks, one_thread

_NUM_SLOPES = 256  # rows at which the slope of the mean is looked at


class LocalPenalty:
    """Spreads a batch without refitting the surrogate for every member.

    A measurement at x_j will rule the maximum out of a ball of radius (M − μ(x_j))/L, known as well as μ(x_j) is:

        log φ_j(x) = log Φ((L‖x − x_j‖ − M + μ(x_j)) / σ(x_j))

    Args:
        surrogate: Fitted.
        X: Pool, shape (N, d): where the greatest slope of the mean is looked for.
        box: Its bounding box.
        best: M, warped.
        rng: Draws the rows at which L is estimated.

    Reference:
        González, Dai, Hennig, Lawrence 2016, arXiv 1505.08052, section 3.
    """

    @one_thread()
    def __init__(
        self, surrogate: Surrogate, X: NDArray[np.float64], box: Box, best: float, rng: np.random.Generator
    ) -> None:
        self._surrogate, self._box, self._best = surrogate, box, best
        unit = torch.tensor(box.to_unit(X[rng.integers(len(X), size=_NUM_SLOPES)])).requires_grad_(True)
        mean = surrogate.predict_warped(box.to_features(unit))[0]
        (slope,) = torch.autograd.grad(mean.sum(), unit)
        self._lipschitz = float(slope.norm(dim=1).max())

    def log_penalty(self, X: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Σ_j log φ_j of every candidate, to be added to the log of a positive acquisition.

        Args:
            X: Candidates, shape (n, d).
            centers: In flight, shape (m, d); m may be 0.

        Returns:
            Shape (n,), <= 0; 0 far from all centres.
        """
        if len(centers) == 0:
            return np.zeros(len(X))
        mean, std, _ = in_blocks(
            lambda rows: torch.stack(self._surrogate.predict_warped(rows)), torch.tensor(centers)
        ).numpy()
        distance = cdist(self._box.to_unit(X), self._box.to_unit(centers))  # (n, m)
        std = np.maximum(std, 1e-9)
        total: NDArray[np.float64] = log_ndtr((self._lipschitz * distance - self._best + mean) / std).sum(axis=1)
        return total
