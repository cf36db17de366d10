"""What all baselines share: candidates in and ids out, asked and told as the search itself is.

Symbols: N candidates of the pool, d features, m values told.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from boshnas.errors import InputError
from boshnas.policy import require, require_count
from boshnas.pool import Pool
from boshnas.surrogates.training import one_thread

Rows = NDArray[np.intp]

_MIN_RESULTS = 2  # one value has no spread: nothing to learn from it


class Baseline(ABC):
    """A policy over a pool of candidates; every objective value is to be maximised.

    Until two values are known, candidates are drawn at random. It has no random start of its own: tell it the results
    that all policies of a comparison start from.

    Args:
        pool: Every candidate there is.
        seed: Of the search, >= 0. Draws are a function of it and of the number of proposals made.

    Raises:
        InputError: If the seed is negative.
    """

    def __init__(self, pool: Pool, *, seed: int = 0) -> None:
        require(type(self).__name__, "seed", seed, seed >= 0, ">= 0")
        self.pool = pool
        self._seed = seed
        self._num_proposed = 0
        self._told: set[int] = set()
        self._rows: list[int] = []
        self._values: list[float] = []

    def tell(self, results: Mapping[str, float | None], noise_std: Mapping[str, float] | None = None) -> None:
        """Learn the outcome of evaluations, proposed here or not.

        Args:
            results: Objective by id, to be maximised; None where it failed. These ids are not proposed again.
            noise_std: Not looked at: none of these policies knows of noise.

        Raises:
            InputError: If an id is not in the pool, or a value is not finite.
        """
        where = type(self).__name__
        for id_, value in results.items():
            if id_ not in self.pool:
                raise InputError(f"{where}: ids must be in the pool, got {id_!r}. Add it with pool.extend first.")
            holds = value is None or np.isfinite(value)
            require(where, f"objective of {id_!r}", value, holds, "finite, or None if it failed")
        for row, value in zip(self.pool.rows(list(results)).tolist(), results.values(), strict=True):
            self._told.add(row)
            if value is not None:
                self._rows.append(row)
                self._values.append(float(value))
                self._learn(row, float(value))

    @one_thread()
    def ask(self, k: int, pending: Collection[str] = ()) -> list[str]:
        """The next candidates to measure.

        Args:
            k: How many, >= 1.
            pending: Ids in flight; those outside the pool are ignored.

        Returns:
            Distinct ids, neither pending nor told before; fewer than k, or none, where no more are left.

        Raises:
            InputError: If k is not a whole number >= 1.
        """
        require_count(type(self).__name__, k)
        waiting = self.pool.rows([id_ for id_ in pending if id_ in self.pool])
        is_free = np.ones(len(self.pool), dtype=bool)
        is_free[[*self._told, *waiting]] = False
        free = np.flatnonzero(is_free)
        k = min(k, len(free))
        rng = np.random.default_rng([self._seed, self._num_proposed])
        knows_enough = len(self._values) >= _MIN_RESULTS
        chosen = self._choose(free, k, rng) if knows_enough and k else rng.choice(free, k, replace=False)
        self._num_proposed += k
        return [self.pool.ids[row] for row in chosen]

    @abstractmethod
    def _choose(self, free: Rows, k: int, rng: np.random.Generator) -> Sequence[int] | Rows:
        """Rows to propose, once two values are known.

        Args:
            free: Rows that may be proposed, ascending, at least k.
            k: How many are wanted, >= 1.
            rng: For all draws.

        Returns:
            k distinct members of `free`, best first.
        """

    def _learn(self, row: int, value: float) -> None:  # noqa: B027  (most policies look at rows and values when asked)
        """Note one value that was told."""
