"""A random forest with expected improvement, as in SMAC."""

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from boshnas.baselines.improvement import ImprovementSearcher, Values

NUM_TREES = 100
MAX_FEATURES = 0.8
"""Fraction of the features that a split may choose from."""


class ForestSearcher(ImprovementSearcher):
    """Believes what 100 regression trees say: their mean, and how far they are apart.

    Reference:
        Hutter, Hoos, Leyton-Brown 2011, doi 10.1007/978-3-642-25566-3_40, section 4.
    """

    def _predict(self, X: Values, z: Values, candidates: Values, rng: np.random.Generator) -> tuple[Values, Values]:
        settings = {"max_features": MAX_FEATURES, "n_jobs": 1, "random_state": int(rng.integers(2**31))}
        forest = RandomForestRegressor(NUM_TREES, **settings).fit(X, z)
        said = np.stack([tree.predict(candidates) for tree in forest.estimators_])
        return said.mean(axis=0), said.std(axis=0)
