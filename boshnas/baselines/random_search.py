"""Random search: what every other policy has to beat."""

import numpy as np

from boshnas.searcher import Searcher
from boshnas.trial import Decision


class RandomSearcher(Searcher):
    """Proposes unseen candidates at random, whatever it is told."""

    def _decide(self, slot: int, rng: np.random.Generator) -> Decision:
        return Decision.RANDOM
