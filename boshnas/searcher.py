"""The search policy: measured candidates in, ids of the next ones out."""

import heapq
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from boshnas import acquisition
from boshnas.ascent import RowFunction
from boshnas.batch import Batch, Setting
from boshnas.errors import InputError
from boshnas.fitter import Fitter, Measured
from boshnas.maximize import exhaustive
from boshnas.policy import Policy, require, require_count
from boshnas.pool import Pool
from boshnas.surrogates import Surrogate, default
from boshnas.trial import Decision, Proposal

Neighbors = Callable[[Sequence[str]], Sequence[str]]
"""Ids one step from some ids; those that are new it has put into the pool."""

_NUM_LEADERS = 512  # measurements among which the greatest mean is looked for
_MIN_RESULTS = 2  # one value has no spread: nothing to learn from it


class Searcher:
    """BOSHNAS over a pool of candidates; every objective value is to be maximised.

    The first `num_initial` proposals are random. Then each is the candidate of greatest acquisition under the
    surrogate, unless the policy says otherwise. Proposals in flight or in one batch repel each other.

    All randomness is a function of the seed and the number of proposals made: a process that is told the same results
    in the same order, and is resumed at the same number, proposes the same ids. A surrogate that can start from an
    earlier fit starts from the one to the first four fifths of the results or more: a resumed process makes it again.

    Args:
        pool: Every candidate there is; may grow later (`searcher.pool.extend`).
        surrogate: Not fitted; cloned, seeded with `seed` where its `random_state` is None, and told the pool's groups.
            None: the default one.
        seed: Of the search, >= 0.
        num_initial: Random proposals at the start of the search's life, >= 0.
        policy: How the others are chosen.
        costs: Expected cost of measuring each id of the pool, any unit, > 0: the acquisition is then per unit of cost.
        num_proposed: Proposals made before, by a process that this one resumes.
        neighbors: Of a space that is too large to list: local search goes on from the best of the pool. What it passes
            joins the pool, but is no candidate of later proposals unless they pass it too.
        fits_in_background: Propose at once, from the last fit conditioned on all results, while a newer one is made:
            for searches with several evaluations in flight, whose proposals are not repeatable anyway.

    Raises:
        InputError: If a number is out of its range, or a cost is missing.

    Example:
        >>> pool = Pool(["a", "b", "c"], np.array([[0.0], [0.5], [1.0]]))
        >>> searcher = Searcher(pool, seed=0, num_initial=2)
        >>> searcher.tell({id_: pool.X[row, 0] for row, id_ in enumerate(pool.ids[:2])})
        >>> searcher.ask(5)
        ['c']

    Reference:
        Tuli, Dedhia, Tuli, Jha 2022, arXiv 2205.11656, algorithm 1.
    """

    def __init__(
        self,
        pool: Pool,
        surrogate: Surrogate | None = None,
        *,
        seed: int = 0,
        num_initial: int = 10,
        policy: Policy | None = None,
        costs: Mapping[str, float] | None = None,
        num_proposed: int = 0,
        neighbors: Neighbors | None = None,
        fits_in_background: bool = False,
    ) -> None:
        for name, value in {"seed": seed, "num_initial": num_initial}.items():
            require("Searcher", name, value, value >= 0, ">= 0")
        self.pool = pool
        self._policy = policy or Policy()
        self._fitter = Fitter(default() if surrogate is None else surrogate, pool, seed, fits_in_background)
        self._seed = seed
        self._num_initial = num_initial
        self._log_costs = {id_: _checked_log_cost(id_, cost) for id_, cost in (costs or {}).items()}
        self._neighbors = neighbors
        self.set_candidates(None)
        self._measured: list[Measured] = []
        self._told: dict[str, None] = {}
        self._best_value = -math.inf
        self._num_stale_rounds = 0
        self.resume(num_proposed)

    @property
    def num_proposed(self) -> int:
        """Proposals made so far, in all processes."""
        return self._num_proposed

    @property
    def converged(self) -> bool:
        """True when the best has not moved for as many rounds of results as the policy's patience."""
        return self._num_stale_rounds >= self._policy.patience

    def resume(self, num_proposed: int) -> None:
        """Go on as if this many proposals had been made; results are told separately.

        Raises:
            InputError: If negative.
        """
        require("Searcher", "num_proposed", num_proposed, num_proposed >= 0, ">= 0")
        self._num_proposed = num_proposed

    def set_candidates(self, ids: Collection[str] | None) -> None:
        """Limit what may be proposed; results of the others still teach the surrogate.

        Args:
            ids: Members of the pool; None: all of it.

        Raises:
            InputError: If an id is not in the pool.
        """
        self._require_known(ids or ())
        if ids is None and self._neighbors is not None:
            ids = self.pool.ids  # as they are now: what local search adds is no candidate
        self._candidates = None if ids is None else list(dict.fromkeys(ids))

    def tell(self, results: Mapping[str, float | None], noise_std: Mapping[str, float] | None = None) -> None:
        """Learn the outcome of evaluations, proposed here or not.

        Args:
            results: Objective by id, to be maximised; None where it failed. These ids are not proposed again. An id
                told twice counts as two measurements.
            noise_std: Known standard deviation of some of the values, same unit, >= 0.

        Raises:
            InputError: If an id is not in the pool, or a value or deviation is not finite.
        """
        self._require_known(results)
        known = noise_std or {}
        for id_, std in known.items():
            holds = np.isfinite(std) and std >= 0
            require("Searcher", f"noise_std of {id_!r}", std, holds, "finite and >= 0")
        for id_, value in results.items():
            holds = value is None or np.isfinite(value)
            require("Searcher", f"objective of {id_!r}", value, holds, "finite, or None if it failed")
        self._told.update(dict.fromkeys(results))
        measured = [
            Measured(id_, float(value), float(known.get(id_, np.nan)))
            for id_, value in results.items()
            if value is not None
        ]
        self._count_round([entry.value for entry in measured])
        self._measured += measured

    def _count_round(self, values: list[float]) -> None:
        """Whether a round of results moved the best; the random start does not count."""
        best = max(values, default=-math.inf)
        if values and len(self._measured) >= max(self._num_initial, _MIN_RESULTS):
            self._num_stale_rounds = 0 if best > self._best_value else self._num_stale_rounds + 1
        self._best_value = max(best, self._best_value)

    def ask(self, k: int, pending: Collection[str] = ()) -> list[str]:
        """Ids of `propose`."""
        return [proposal.id for proposal in self.propose(k, pending)]

    def propose(self, k: int, pending: Collection[str] = ()) -> list[Proposal]:
        """The next candidates to measure.

        Args:
            k: How many, >= 1.
            pending: Ids in flight; those outside the pool are ignored.

        Returns:
            Distinct candidates, neither pending nor, but for those that say they are a replicate, told before; fewer
            than k, or none, where no more are left.

        Raises:
            InputError: If k is not a whole number >= 1.
        """
        require_count("Searcher", k)
        waiting = [id_ for id_ in pending if id_ in self.pool]
        free = self._free_rows(waiting)
        k = min(k, len(free))
        rngs = [np.random.default_rng([self._seed, self._num_proposed + slot]) for slot in range(k)]
        decisions = [self._decide(slot, rng) for slot, rng in enumerate(rngs)]
        chosen = self._choose(decisions, rngs, free, np.sort(self.pool.rows(waiting)))
        self._num_proposed += k
        return self._described(chosen, decisions)

    def _free_rows(self, waiting: Collection[str]) -> NDArray[np.intp]:
        """Rows that may be proposed, in the order of the candidates: that of the pool depends on what was looked at."""
        free = np.ones(len(self.pool), dtype=bool)
        free[self.pool.rows([*self._told, *waiting])] = False
        if self._candidates is None:
            return np.flatnonzero(free)
        rows = self.pool.rows(self._candidates)
        return rows[free[rows]]

    def _decide(self, slot: int, rng: np.random.Generator) -> Decision:
        initial = self._num_proposed + slot < self._num_initial
        if initial or len(self._measured) < _MIN_RESULTS:
            return Decision.RANDOM
        return self._policy.draw(rng)

    def _choose(
        self,
        decisions: list[Decision],
        rngs: list[np.random.Generator],
        free: NDArray[np.intp],
        waiting: NDArray[np.intp],
    ) -> list[int]:
        """One row of the pool for each decision, in order."""
        chosen: list[int] = []
        batch: Batch | None = None
        for slot, (decision, rng) in enumerate(zip(decisions, rngs, strict=True)):
            if decision in (Decision.RANDOM, Decision.DIVERSITY):
                row = int(rng.choice(free[~np.isin(free, chosen)]))
            else:
                if batch is None:
                    batch = self._batch(free, waiting, len(decisions), rng)
                    for earlier in chosen:
                        batch.take(earlier)
                # A draw is for one proposal; any other value serves all of its kind.
                name = f"{decision} {slot}" if self._policy.acquisition == acquisition.THOMPSON else decision
                row = batch.best_by(name, partial(self._value, decision, rng), rng)
                if self._policy.replicate and decision is Decision.OPTIMISE:
                    again = self._worth_measuring_again(row, {*waiting.tolist(), *chosen})
                    if again is not None:
                        row, decisions[slot] = again, Decision.REPLICATE
            chosen.append(row)
            if batch is not None:
                batch.take(row)
        return chosen

    def _batch(
        self, free: NDArray[np.intp], waiting: NDArray[np.intp], num_wanted: int, rng: np.random.Generator
    ) -> Batch:
        setting = Setting(
            pool=self.pool,
            free=free,
            waiting=waiting,
            log_cost=self._log_cost,
            best=self._best(),
            num_wanted=num_wanted,
            exhaustive_up_to=self._policy.exhaustive_up_to,
            second_order=self._policy.second_order,
            neighbors=None if self._neighbors is None else partial(self._new_neighbors, self._neighbors),
        )
        return Batch(self._surrogate(), setting, rng)

    def _new_neighbors(self, neighbors: Neighbors, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Rows one step from some rows, but those that were told."""
        ids = neighbors([self.pool.ids[row] for row in rows])
        return self.pool.rows([id_ for id_ in dict.fromkeys(ids) if id_ not in self._told])

    def _value(self, decision: Decision, rng: np.random.Generator) -> RowFunction:
        """Log worth of features, of the warped objective: above its median, where improvements lie, it is linear."""
        return self._policy.value(decision, self._surrogate(), best=self._best(), best_mean=self._best_mean(), rng=rng)

    def _worth_measuring_again(self, row: int, busy: Collection[int]) -> int | None:
        """A measured row whose next measurement promises more than that of a new row, if there is one.

        Both by the augmented expected improvement: a measured candidate promises what its noise has hidden.
        """
        rows = [row, *(place for place in self._measured_rows().tolist() if place not in busy)]
        worth = partial(acquisition.log_noisy_ei, best=self._best_mean())
        values = exhaustive(acquisition.of_rows(worth, self._surrogate()), self.pool.X[rows]) - self._log_cost(
            np.array(rows)
        )
        best = int(values.argmax())
        return None if best == 0 else rows[best]

    def _best_mean(self) -> float:
        """Greatest mean of a measured candidate, warped."""
        surrogate = self._surrogate()
        return float(exhaustive(lambda X: surrogate.predict_pool(X)[0], self.pool.X[self._measured_rows()]).max())

    def _measured_rows(self) -> NDArray[np.intp]:
        """Distinct rows with a value, ascending; of more than 512 measurements those of the greatest values."""
        best = self._measured
        if len(best) > _NUM_LEADERS:
            best = heapq.nlargest(_NUM_LEADERS, best, key=lambda entry: entry.value)
        return np.unique(self.pool.rows([entry.id for entry in best]))

    def _log_cost(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        if not self._log_costs:
            return np.zeros(len(rows))
        ids = [self.pool.ids[row] for row in rows]
        missing = [id_ for id_ in ids if id_ not in self._log_costs]
        require("Searcher", "costs", missing[:1], not missing, "known for every id of the pool")
        return np.array([self._log_costs[id_] for id_ in ids])

    def _best(self) -> float:
        """Greatest measured value, warped."""
        return float(self._surrogate().warp_(np.array([self._best_value]))[0])

    def _surrogate(self) -> Surrogate:
        """Fitted to everything told so far."""
        return self._fitter.fitted(self._measured)

    def _described(self, chosen: list[int], decisions: list[Decision]) -> list[Proposal]:
        if all(decision is Decision.RANDOM for decision in decisions):
            return [Proposal(id=self.pool.ids[row], decision=Decision.RANDOM) for row in chosen]
        belief = self._surrogate().posterior(self.pool.X[chosen])
        columns = zip(belief.mean.tolist(), belief.epistemic_std.tolist(), belief.aleatoric_std.tolist(), strict=True)
        return [
            Proposal(id=self.pool.ids[row], decision=decision, mean=mean, epistemic_std=epistemic, aleatoric_std=noise)
            for row, decision, (mean, epistemic, noise) in zip(chosen, decisions, columns, strict=True)
        ]

    def _require_known(self, ids: Collection[str]) -> None:
        unknown = [id_ for id_ in ids if id_ not in self.pool]
        if unknown:
            raise InputError(
                f"Searcher: ids must be in the pool, got {unknown[0]!r} ({len(unknown)} in all). "
                "Add them with searcher.pool.extend first."
            )


def _checked_log_cost(id_: str, cost: float) -> float:
    require("Searcher", f"cost of {id_!r}", cost, np.isfinite(cost) and cost > 0, "finite and > 0")
    return math.log(cost)
