"""Regularised evolution."""

import numpy as np

from boshnas.baselines.base import Baseline, Rows
from boshnas.baselines.neighbors import nearest

POPULATION = 30
TOURNAMENT = 5


class EvolutionSearcher(Baseline):
    """The best of five members of the population has a child: one of its nearest unseen neighbours, at random.

    The population is the 30 that were measured last, so even the best one dies.

    Reference:
        Real, Aggarwal, Huang, Le 2019, arXiv 1802.01548, algorithm 1; a mutation is a step to a row of the pool.
    """

    def _choose(self, free: Rows, k: int, rng: np.random.Generator) -> list[int]:
        values = np.array(self._values[-POPULATION:])
        chosen: list[int] = []
        for _ in range(k):
            rivals = rng.choice(len(values), TOURNAMENT)
            parent = self._rows[-len(values) :][rivals[np.argmax(values[rivals])]]
            chosen.append(int(rng.choice(nearest(self.pool.X, parent, np.setdiff1d(free, chosen)))))
        return chosen
