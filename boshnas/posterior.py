"""What a surrogate believes about a set of candidates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Posterior:
    """Predicted objective with its two uncertainties, each in the objective's own unit.

    Attributes:
        mean: Expected objective, shape (n,).
        epistemic_std: What more data would remove, shape (n,), >= 0.
        aleatoric_std: Noise of one measurement, which more data does not remove, shape (n,), >= 0.
    """

    mean: NDArray[np.float64]
    epistemic_std: NDArray[np.float64]
    aleatoric_std: NDArray[np.float64]

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of one new measurement, shape (n,)."""
        return np.hypot(self.epistemic_std, self.aleatoric_std)
