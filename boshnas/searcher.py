"""The search policy: measured candidates in, ids of the next ones out."""

from collections.abc import Collection, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from boshnas import acquisition
from boshnas.errors import InputError
from boshnas.maximize import Box, exhaustive, gobi
from boshnas.penalty import LocalPenalty
from boshnas.pool import Pool
from boshnas.surrogates import Surrogate, default
from boshnas.surrogates.training import one_thread
from boshnas.trial import Decision, Proposal

_MIN_RESULTS = 2  # one value has no spread: nothing to learn from it


class Searcher:
    """BOSHNAS over a pool of candidates; every objective value is to be maximised.

    The first `num_initial` proposals are random. Then each proposal is, with `uncertainty_probability`, the most
    uncertain candidate, with `diversity_probability` a random one, and else the best that gradient ascent on the
    surrogate's upper confidence bound finds (GOBI). Proposals in flight or in one batch repel each other.

    All randomness is a function of the seed and the number of proposals made: a process that is told the same results
    in the same order, and is resumed at the same number, proposes the same ids.

    Args:
        pool: Every candidate there is; may grow later (`searcher.pool.extend`).
        surrogate: Not fitted; cloned, and seeded with `seed` where its `random_state` is None. None: the default one.
        seed: Of the search, >= 0.
        num_initial: Random proposals at the start of the search's life, >= 0.
        k1: Weight of the aleatoric std, >= 0.
        k2: Weight of the epistemic std, >= 0.
        uncertainty_probability: In [0, 1].
        diversity_probability: In [0, 1]; the two add up to at most 1.
        num_proposed: Proposals made before, by a process that this one resumes.

    Raises:
        InputError: If a number is out of its range.

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
        k1: float = acquisition.K1,
        k2: float = acquisition.K2,
        uncertainty_probability: float = 0.1,
        diversity_probability: float = 0.1,
        num_proposed: int = 0,
    ) -> None:
        for name, value in {"seed": seed, "num_initial": num_initial, "k1": k1, "k2": k2}.items():
            _require(name, value, value >= 0, ">= 0")
        for name, value in {"uncertainty": uncertainty_probability, "diversity": diversity_probability}.items():
            _require(f"{name}_probability", value, 0 <= value <= 1, "in [0, 1]")
        total = uncertainty_probability + diversity_probability
        _require("uncertainty_probability + diversity_probability", total, total <= 1, "at most 1")
        self.pool = pool
        self._surrogate: Surrogate = default() if surrogate is None else clone(surrogate)
        if self._surrogate.random_state is None:
            self._surrogate.set_params(random_state=seed)
        self._seed = seed
        self._num_initial = num_initial
        self._score = partial(acquisition.ucb, k1=k1, k2=k2)
        self._uncertainty = partial(acquisition.uncertainty, k1=k1, k2=k2)
        self._uncertainty_probability = uncertainty_probability
        self._diversity_probability = diversity_probability
        self._candidates: list[str] | None = None
        self._measured: list[tuple[str, float, float]] = []
        self._told: dict[str, None] = {}
        self._stale = True
        self.resume(num_proposed)

    @property
    def num_proposed(self) -> int:
        """Proposals made so far, in all processes."""
        return self._num_proposed

    def resume(self, num_proposed: int) -> None:
        """Go on as if this many proposals had been made; results are told separately.

        Raises:
            InputError: If negative.
        """
        _require("num_proposed", num_proposed, num_proposed >= 0, ">= 0")
        self._num_proposed = num_proposed

    def set_candidates(self, ids: Collection[str] | None) -> None:
        """Limit what may be proposed; results of the others still teach the surrogate.

        Args:
            ids: Members of the pool; None lifts the limit.

        Raises:
            InputError: If an id is not in the pool.
        """
        self._require_known(ids or ())
        self._candidates = None if ids is None else list(ids)

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
            _require(f"noise_std of {id_!r}", std, np.isfinite(std) and std >= 0, "finite and >= 0")
        for id_, value in results.items():
            _require(
                f"objective of {id_!r}", value, value is None or np.isfinite(value), "finite, or None if it failed"
            )
        self._told.update(dict.fromkeys(results))
        self._measured += [
            (id_, float(value), float(known.get(id_, np.nan))) for id_, value in results.items() if value is not None
        ]
        self._stale = True

    def ask(self, k: int, pending: Collection[str] = ()) -> list[str]:
        """Ids of `propose`."""
        return [proposal.id for proposal in self.propose(k, pending)]

    @one_thread()
    def propose(self, k: int, pending: Collection[str] = ()) -> list[Proposal]:
        """The next candidates to measure.

        Args:
            k: How many, >= 1.
            pending: Ids in flight; those outside the pool are ignored.

        Returns:
            Distinct candidates, neither pending nor told before; fewer than k, or none, where no more are left.

        Raises:
            InputError: If k < 1.
        """
        _require("k", k, k >= 1, ">= 1")
        waiting = [id_ for id_ in pending if id_ in self.pool]
        free = self._free_rows(waiting)
        k = min(k, len(free))
        rngs = [np.random.default_rng([self._seed, self._num_proposed + slot]) for slot in range(k)]
        decisions = [self._decide(slot, rng) for slot, rng in enumerate(rngs)]
        chosen = self._choose(decisions, rngs, free, np.sort(self.pool.rows(waiting)))
        self._num_proposed += k
        return self._described(chosen, decisions)

    def _free_rows(self, waiting: Collection[str]) -> NDArray[np.intp]:
        """Rows that may be proposed, ascending."""
        free = np.full(len(self.pool), self._candidates is None)
        if self._candidates is not None:
            free[self.pool.rows(self._candidates)] = True
        free[self.pool.rows([*self._told, *waiting])] = False
        return np.flatnonzero(free)

    def _decide(self, slot: int, rng: np.random.Generator) -> Decision:
        draw = rng.random()
        initial = self._num_proposed + slot < self._num_initial
        if initial or len(self._measured) < _MIN_RESULTS:
            return Decision.RANDOM
        if draw < self._uncertainty_probability:
            return Decision.UNCERTAINTY
        if draw < self._uncertainty_probability + self._diversity_probability:
            return Decision.DIVERSITY
        return Decision.OPTIMISE

    def _choose(
        self,
        decisions: list[Decision],
        rngs: list[np.random.Generator],
        free: NDArray[np.intp],
        waiting: NDArray[np.intp],
    ) -> list[int]:
        """One row of the pool for each decision, in order."""
        chosen: list[int] = []
        shortlists: dict[Decision, tuple[NDArray[np.intp], NDArray[np.float64]]] = {}  # rows and their log worth
        penalty: LocalPenalty | None = None
        X, box = self.pool.X, Box(self.pool.X)
        for decision, rng in zip(decisions, rngs, strict=True):
            left = free[~np.isin(free, chosen)]
            if decision in (Decision.RANDOM, Decision.DIVERSITY):
                row = int(rng.choice(left))
            else:
                penalty = penalty or LocalPenalty(self._fitted(), X, box, self._best(), rng)
                if decision not in shortlists:
                    rows = self._shortlist(decision, left, box, len(decisions), rng)
                    in_flight = X[np.array([*waiting, *chosen], dtype=np.intp)]
                    worth = self._log_worth(decision, rows) + penalty.log_penalty(X[rows], in_flight)
                    shortlists[decision] = rows, worth
                rows, worth = shortlists[decision]
                row = int(rows[np.argmax(np.where(np.isin(rows, chosen), -np.inf, worth))])
            chosen.append(row)
            if penalty is not None:
                for rows, worth in shortlists.values():
                    worth += penalty.log_penalty(X[rows], X[[row]])
        return chosen

    def _log_worth(self, decision: Decision, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Log of the acquisition, made positive by a softplus where it is a bound, shape (len(rows),)."""
        surrogate, X = self._fitted(), self.pool.X[rows]
        if decision is Decision.UNCERTAINTY:
            return np.log(np.maximum(exhaustive(surrogate, X, self._uncertainty), 1e-300))
        gain = (exhaustive(surrogate, X, self._score) - self._best()) / surrogate.y_scale_
        # log softplus(x) is x itself far below 0, where softplus underflows.
        return np.where(gain < -30, gain, np.log(np.logaddexp(0, np.maximum(gain, -30))))

    def _shortlist(
        self, decision: Decision, left: NDArray[np.intp], box: Box, num_wanted: int, rng: np.random.Generator
    ) -> NDArray[np.intp]:
        """Rows worth a closer look: at least as many as may be chosen in one batch."""
        surrogate, X = self._fitted(), self.pool.X[left]
        if decision is Decision.OPTIMISE:
            return left[gobi(surrogate, X, box, self._score, num_wanted=num_wanted, rng=rng)]
        return left[np.argsort(-exhaustive(surrogate, X, self._uncertainty), kind="stable")[: 8 * num_wanted]]

    def _best(self) -> float:
        return max(value for _, value, _ in self._measured)

    def _fitted(self) -> Surrogate:
        """The surrogate, fitted to everything told so far."""
        if self._stale:
            ids, values, noise_std = zip(*self._measured, strict=True)
            self._surrogate.fit(self.pool.X[self.pool.rows(ids)], np.array(values), np.array(noise_std))
            self._stale = False
        return self._surrogate

    def _described(self, chosen: list[int], decisions: list[Decision]) -> list[Proposal]:
        if all(decision is Decision.RANDOM for decision in decisions):
            return [Proposal(id=self.pool.ids[row], decision=Decision.RANDOM) for row in chosen]
        belief = self._fitted().posterior(self.pool.X[chosen])
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


def _require(name: str, value: object, holds: bool | np.bool_, rule: str) -> None:
    if not holds:
        raise InputError(f"Searcher: {name} must be {rule}, got {value!r}. Change it.")
