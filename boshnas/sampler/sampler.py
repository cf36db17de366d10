"""BOSHNAS as a sampler for any Optuna study of one objective.

Symbols: p parameters, d features; coordinates as in `search_space`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers._base import _process_constraints_after_trial
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from boshnas.objective import Objective
from boshnas.policy import Policy, require
from boshnas.sampler import history
from boshnas.sampler.conditions import Conditions
from boshnas.sampler.history import History
from boshnas.sampler.mixed import Domain, maximise
from boshnas.sampler.search_space import SearchSpace, keys, latest_distributions
from boshnas.sampler.worth import Appraiser
from boshnas.surrogates import Surrogate, default
from boshnas.surrogates.training import one_thread
from boshnas.trial import Decision

Rows = NDArray[np.float64]

_MIN_ROWS = 2  # one point has no spread: nothing to learn from it
_MAX_ENUMERATED = 4096
_MAX_TRIES = 4  # while other workers are told something in the meantime

# Threads of one study ask one after another: the second sees what the first was told.
_TURN = threading.Lock()


class BoshnasSampler(BaseSampler):
    """Optuna sampler that takes the point of greatest acquisition under a BOSHNAS surrogate.

    All parameters that the study has asked for are modelled together. Which of them a point has is learnt from the
    trials (see `Conditions`); an absent parameter is in the middle of its range for the surrogate. Where a range
    changes the newest one counts. The first trial, new parameters and values out of the range are drawn at random.

    Points that were evaluated are not suggested again while others are found. Running trials count with the value
    that is expected of them, failed ones with that or the median, whichever is worse: so both repel. Pruned trials
    count with their last reported value or the median, whichever is worse. Constraints, given here or by
    `Trial.set_constraint`, add the logarithm of the probability that they hold; while none of the trials is feasible
    nothing else counts.

    Randomness is a function of seed and trial number: a study that is resumed goes on as if it had not stopped.

    Args:
        seed: Of the search, >= 0; None for a fresh one.
        num_initial: Finished trials before the surrogate is asked, >= 0.
        surrogate: Not fitted; cloned. None: the default one.
        policy: How points are chosen; None: logarithmic expected improvement.
        constraints_func: Maps a finished trial to numbers that are all <= 0 where it is feasible.

    Raises:
        InputError: If an argument is out of its range or of the wrong type.

    Example:
        >>> import optuna
        >>> from boshnas.surrogates import GPSurrogate
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> sampler = BoshnasSampler(seed=0, num_initial=6, surrogate=GPSurrogate())
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(lambda trial: (trial.suggest_float("x", -1, 1) - 0.3) ** 2, n_trials=12)
        >>> abs(study.best_params["x"] - 0.3) < 0.05
        True

    Reference:
        Tuli, Dedhia, Tuli, Jha 2022, arXiv 2205.11656, section 3.3; Ginsbourger, Le Riche, Carraro 2010, section 4
        (running trials count with their expected value: "kriging believer").
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        num_initial: int = 10,
        surrogate: Surrogate | None = None,
        policy: Policy | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
    ) -> None:
        checks: dict[str, tuple[Any, bool, str]] = {
            "seed": (seed, seed is None or seed >= 0, ">= 0 or None"),
            "num_initial": (num_initial, num_initial >= 0, ">= 0"),
            "surrogate": (surrogate, surrogate is None or isinstance(surrogate, Surrogate), "a Surrogate or None"),
            "policy": (policy, policy is None or isinstance(policy, Policy), "a Policy or None"),
            "constraints_func": (constraints_func, constraints_func is None or callable(constraints_func), "callable"),
        }
        for name, (value, holds, rule) in checks.items():
            require("BoshnasSampler", name, value, holds, rule)
        self._seed = _fresh_seed() if seed is None else seed
        self._num_initial = num_initial
        self._surrogate = default() if surrogate is None else surrogate
        self._policy = policy or Policy()
        self._constraints_func = constraints_func

    def reseed_rng(self) -> None:
        """Take a fresh seed."""
        self._seed = _fresh_seed()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters that finished trials have asked for, with their latest ranges.

        Raises:
            ValueError: If the study has more than one objective.
        """
        self._raise_error_if_multi_objective(study)
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return latest_distributions([other.distributions for other in finished])

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A value for every parameter of the search space.

        Raises:
            ValueError: If the study has more than one objective.
        """
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        fixed = _fixed_params(study, trial)
        known = self.infer_relative_search_space(study, trial)
        space = SearchSpace({name: known[name] for name in sorted(fixed.keys() & known.keys())} | search_space)
        with _TURN, one_thread():
            row = self._shared_row(study, trial, space, fixed)
        return {name: value for name, value in space.decode(row).items() if name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value.

        Raises:
            ValueError: If the study has more than one objective.
        """
        self._raise_error_if_multi_objective(study)
        space = SearchSpace({param_name: param_distribution})
        return space.decode(space.spread(self._rng(trial, param_name).random((1, 1)))[0])[param_name]

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Store the constraints' values."""
        if self._constraints_func is not None:
            _process_constraints_after_trial(self._constraints_func, study, trial, state)

    def _rng(self, trial: FrozenTrial, name: str = "") -> np.random.Generator:
        return np.random.default_rng([self._seed, trial.number, *name.encode()])

    def _shared_row(self, study: Study, trial: FrozenTrial, space: SearchSpace, fixed: Mapping[str, Any]) -> Rows:
        """What to try, shape (p,), told to the other workers.

        Two that ask at the same time do not see each other. Who is done second seeks again; where both are done at the
        same moment it is the one with the later trial.
        """
        for _ in range(_MAX_TRIES):
            told = _told(study, trial)
            seen = _seen(study, trial, space)
            domain = self._domain(space, seen, fixed)
            row = self._chosen(domain, seen, self._rng(trial))
            values = history.internal(space.decode(domain.present(row)), space.distributions)
            if _told(study, trial) <= told:
                history.share(study, trial, values)
                if all(number > trial.number for number, _ in _told(study, trial) - told):
                    return row
        history.share(study, trial, values)
        return row

    def _domain(self, space: SearchSpace, seen: History, fixed: Mapping[str, Any]) -> Domain:
        return Domain(
            space,
            Conditions(seen.rows),
            space.encode([fixed])[0],
            enumerated_up_to=min(self._policy.exhaustive_up_to, _MAX_ENUMERATED),
            second_order=self._policy.second_order,
        )

    def _chosen(self, domain: Domain, seen: History, rng: np.random.Generator) -> Rows:
        """A full row of coordinates, shape (p,)."""
        if not domain.has_choice:
            return domain.held
        taken = set(keys(np.concatenate([seen.rows, seen.waiting, seen.failed])))
        decision = self._policy.draw(rng)
        num_needed = max(self._num_initial, _MIN_ROWS)
        if len(seen.rows) < num_needed or len(set(keys(seen.rows))) < _MIN_ROWS or decision is Decision.DIVERSITY:
            rows = domain.draw(rng)
            unseen = domain.unseen(rows, taken)
            first: Rows = unseen[0] if len(unseen) > 0 else rows[0]
            return first
        order = np.lexsort([-seen.utility, ~seen.complete, ~seen.feasible])
        parents = domain.completed(seen.rows[order], rng)
        appraiser = Appraiser(surrogate=self._surrogate, policy=self._policy, seed=self._seed)
        return maximise(domain, appraiser.value(domain.space, seen, decision, rng), parents, taken, rng)


def _seen(study: Study, trial: FrozenTrial, space: SearchSpace) -> History:
    """All but the trial itself."""
    others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
    return history.read(others, space, Objective(study.direction.name.lower()))


def _told(study: Study, trial: FrozenTrial) -> set[tuple[int, str]]:
    """Number of each other running trial, and what it was told to try."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    told = ((other.number, history.shared(other)) for other in running if other.number != trial.number)
    return {(number, text) for number, text in told if text}


def _fixed_params(study: Study, trial: FrozenTrial) -> Mapping[str, Any]:
    """Values that are given: by a `PartialFixedSampler` around this one, or by `enqueue_trial`."""
    return {**getattr(study.sampler, "_fixed_params", {}), **trial.system_attrs.get("fixed_params", {})}


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
