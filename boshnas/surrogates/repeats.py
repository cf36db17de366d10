"""Measurements of the same row, taken together without loss.

For k measurements y_j of one row with noise variance v around μ, Σ (y_j − μ)² = k(ȳ − μ)² + scatter: ȳ, k and the
scatter say all that the y_j say.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Measurements:
    """What was measured, one entry a distinct row.

    Attributes:
        X: Distinct rows in the order of their first measurement, shape (n, d).
        y: Mean of each row's measurements, shape (n,); weighed by precision where their noise is known.
        count: k, how many measurements of unknown noise the mean is of, shape (n,); 1 where the noise is known.
        scatter: Σ (y_j − ȳ)², shape (n,); 0 where the noise is known.
        variance: Of the mean, where known, shape (n,); NaN elsewhere.
    """

    X: torch.Tensor
    y: torch.Tensor
    count: torch.Tensor
    scatter: torch.Tensor
    variance: torch.Tensor

    def __len__(self) -> int:
        return len(self.y)

    @property
    def known(self) -> torch.Tensor:
        """True where the noise is known, shape (n,)."""
        return ~self.variance.isnan()

    def at_most(self, num_rows: int, generator: torch.Generator) -> "Measurements":
        """All entries, or so many of them at random, in their order."""
        if len(self) <= num_rows:
            return self
        kept = torch.randperm(len(self), generator=generator)[:num_rows].sort().values
        return Measurements(*(part[kept] for part in (self.X, self.y, self.count, self.scatter, self.variance)))


def gather(
    X: NDArray[np.float64], y: NDArray[np.float64], noise_std: NDArray[np.float64] | None, floor: float
) -> Measurements:
    """Take the measurements of each row together; those of known and of unknown noise apart.

    Args:
        X: Shape (m, d).
        y: Shape (m,).
        noise_std: Shape (m,), NaN where unknown; None: all unknown.
        floor: Least variance of a known noise.
    """
    noise = np.full(len(y), np.nan) if noise_std is None else np.maximum(noise_std**2, floor)
    known = ~np.isnan(noise)
    keyed = np.column_stack([X, known])
    _, first, inverse = np.unique(keyed, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    entry = np.argsort(order)[inverse.reshape(-1)]  # of each measurement, in order of appearance
    first = first[order]
    precision = np.where(known, 1 / np.where(known, noise, 1.0), 1.0)
    total = np.bincount(entry, precision)
    mean = np.bincount(entry, precision * y) / total
    is_known = known[first]
    scatter = np.bincount(entry, (y - mean[entry]) ** 2)
    parts = (
        X[first],
        mean,
        np.where(is_known, 1.0, total),
        np.where(is_known, 0.0, scatter),
        np.where(is_known, 1 / total, np.nan),
    )
    return Measurements(*(torch.tensor(part, dtype=torch.float64) for part in parts))
