"""Packed blocks in the order in which a run reads them: shuffled anew in every pass, and the same after a resume."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from pretrain.collate import Example


class TrainingBlocks(Dataset[Example]):
    """An endless reading of some blocks, as a data set whose index is the place in the reading.

    Place g holds block πₑ(g mod n) where e = ⌊g/n⌋ is the pass and πₑ a permutation drawn from (seed, e): no state has
    to be kept to go on at any place. Batches run over the ends of passes.

    Args:
        blocks: Token ids, shape (n, block_size), n >= 1.
        length: Places that are read at most.
        seed: Of the permutations.
        start: Place of index 0, after a resume.
    """

    def __init__(self, blocks: NDArray[np.int32], length: int, seed: int, start: int = 0) -> None:
        self._blocks = blocks
        self._length = length
        self._seed = seed
        self._start = start

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Example:
        """Ids and their place, from which their masks are drawn."""
        place = self._start + index
        number, offset = divmod(place, len(self._blocks))
        return Example(self._blocks[_order(self._seed, number, len(self._blocks))[offset]], place)


class HeldOutBlocks(Dataset[Example]):
    """Blocks in their order."""

    def __init__(self, blocks: NDArray[np.int32]) -> None:
        self._blocks = blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, index: int) -> Example:
        return Example(self._blocks[index], index)


@lru_cache(maxsize=2)
def _order(seed: int, number: int, size: int) -> NDArray[np.intp]:
    """Permutation of one pass, shape (size,)."""
    return np.random.default_rng([seed, number]).permutation(size)
