"""Local search with restarts."""

import numpy as np

from boshnas.baselines.base import Baseline, Rows
from boshnas.baselines.neighbors import nearest
from boshnas.pool import Pool


class LocalSearcher(Baseline):
    """Measures the neighbours of an incumbent, moves to the first better one, restarts where none is.

    The neighbours of a row are those at the least distance from it, measured or not. Where all of them are known, or in
    flight, and none was better, the walk is in a local optimum and begins again at a random unseen row.

    Args:
        pool: Every candidate there is.
        seed: Of the search, >= 0.

    Reference:
        White, Nolen, Savani 2021, arXiv 2005.02960, algorithm 1, with "query until improvement" and restarts.
    """

    def __init__(self, pool: Pool, *, seed: int = 0) -> None:
        super().__init__(pool, seed=seed)
        self._incumbent: tuple[int, float] | None = None
        self._restarts: set[int] = set()

    def _learn(self, row: int, value: float) -> None:
        if self._incumbent is None or row in self._restarts or value > self._incumbent[1]:
            self._incumbent = row, value

    def _choose(self, free: Rows, k: int, rng: np.random.Generator) -> list[int]:
        assert self._incumbent is not None, "two values are known"
        here = self._incumbent[0]
        others = np.delete(np.arange(len(self.pool)), here)
        steps = rng.permutation(np.intersect1d(nearest(self.pool.X, here, others), free))[:k]
        elsewhere = rng.permutation(np.setdiff1d(free, steps))[: k - len(steps)]
        self._restarts.update(elsewhere.tolist())
        return [*steps.tolist(), *elsewhere.tolist()]
