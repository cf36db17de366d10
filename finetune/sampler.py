"""The order in which training rows are read."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class StratifiedSampler(Sampler[int]):
    """A random order in which every label is spread evenly, so a batch holds the labels in about their shares.

    Each row is read once an epoch, as without it. What goes is the noise of the labels' shares between batches, which
    a short run at a high rate spends its steps on.

    Args:
        labels: One a row; equal labels are one stratum.
        seed: Of the order; every process draws the same one.
    """

    def __init__(self, labels: Sequence[float], seed: int) -> None:
        _, self._strata, self._counts = np.unique(labels, return_inverse=True, return_counts=True)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Number of the epoch, which has an order of its own."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._strata)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed, self._epoch])
        shuffled = rng.permutation(len(self._strata))
        by_stratum = shuffled[np.argsort(self._strata[shuffled], kind="stable")]
        strata = self._strata[by_stratum]
        rank = np.arange(len(strata)) - (np.cumsum(self._counts) - self._counts)[strata]
        offsets = rng.random(len(self._counts))
        return iter(by_stratum[np.argsort((rank + offsets[strata]) / self._counts[strata])].tolist())
