"""How much a candidate is worth measuring, from what is believed of it.

Functions of mean, epistemic and aleatoric std, each (n,): arrays or tensors; with tensors the score can be
differentiated. All are to be maximised.
"""

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Array = TypeVar("Array", NDArray[np.float64], torch.Tensor)

K1 = 0.1
"""Default weight of the aleatoric std: noise alone is a weak reason to measure."""
K2 = 1.0
"""Default weight of the epistemic std."""


def ucb(mean: Array, epistemic_std: Array, aleatoric_std: Array, *, k1: float = K1, k2: float = K2) -> Array:
    """Upper confidence bound: mean + k1·aleatoric + k2·epistemic.

    Args:
        mean: Shape (n,).
        epistemic_std: Shape (n,), same unit.
        aleatoric_std: Shape (n,), same unit.
        k1: Weight of the aleatoric std, >= 0.
        k2: Weight of the epistemic std, >= 0.

    Returns:
        Scores, shape (n,), same unit.

    Example:
        >>> ucb(np.array([1.0]), np.array([0.2]), np.array([0.5]), k1=1.0, k2=2.0)
        array([1.9])

    Reference:
        Tuli, Dedhia, Tuli, Jha 2022, arXiv 2205.11656, section 3.3.
    """
    return mean + k1 * aleatoric_std + k2 * epistemic_std


def uncertainty(mean: Array, epistemic_std: Array, aleatoric_std: Array, *, k1: float = K1, k2: float = K2) -> Array:
    """The same without the mean: k1·aleatoric + k2·epistemic, shape (n,)."""
    return k1 * aleatoric_std + k2 * epistemic_std
