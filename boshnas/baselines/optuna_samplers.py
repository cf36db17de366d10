"""Optuna's samplers over a pool: the row nearest to what they suggest is measured, and told as what it is.

Symbols: N candidates of the pool, p parameters, one a column of a table.
"""

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from boshnas.baselines.base import Baseline, Rows
from boshnas.errors import InputError
from boshnas.pool import Pool

_LOG_RATIO = 10.0


class OptunaSearcher(Baseline):
    """Asks a sampler of Optuna for parameters and proposes the unseen row that differs least from them.

    A categorical parameter that differs counts 1, a numeric one the difference as a fraction of its range. The sampler
    is told of the rows that were measured, not of those that it suggested.

    Args:
        pool: Every candidate there is.
        columns: By name, the N values of each parameter: numbers, or else text, with None for no value.
        seed: Of the search, >= 0.
        num_initial: Results from which on the sampler models, >= 0; before, it suggests at random.

    Raises:
        InputError: If a column has not one value for each candidate.
    """

    max_positions: int = 0
    """Numeric columns with at most so many distinct values are categories to the sampler."""

    def __init__(
        self,
        pool: Pool,
        columns: Mapping[str, Sequence[str | float | None]],
        *,
        seed: int = 0,
        num_initial: int = 10,
    ) -> None:
        super().__init__(pool, seed=seed)
        for name, values in columns.items():
            if len(values) != len(pool):
                raise InputError(
                    f"{type(self).__name__}: column {name!r} must have one value for each of {len(pool)} candidates, "
                    f"got {len(values)}. Give all."
                )
        self._distributions: dict[str, BaseDistribution] = {}
        self._places = np.column_stack([self._add(name, values) for name, values in columns.items()])
        self._is_category = np.array(
            [isinstance(kind, CategoricalDistribution) for kind in self._distributions.values()]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study = optuna.create_study(direction="maximize", sampler=self._sampler(seed, num_initial))

    @abstractmethod
    def _sampler(self, seed: int, num_initial: int) -> optuna.samplers.BaseSampler:
        """The sampler to ask."""

    def _add(self, name: str, values: Sequence[str | float | None]) -> NDArray[np.float64]:
        """Describe a column to Optuna; its values, shape (N,), as the parameter of that distribution."""
        levels = sorted(set(values), key=lambda value: (value is None, isinstance(value, str), value or 0))
        is_number = not any(value is None or isinstance(value, str) for value in levels)
        if not is_number or len(levels) <= self.max_positions:
            self._distributions[name] = CategoricalDistribution(range(len(levels)))
            place = {level: code for code, level in enumerate(levels)}
            return np.array([place[value] for value in values], dtype=np.float64)
        self._distributions[name] = FloatDistribution(0.0, 1.0)
        return _scaled(np.array(values, dtype=np.float64))

    def _learn(self, row: int, value: float) -> None:
        parameters = {
            name: int(place) if is_category else float(place)
            for name, place, is_category in zip(self._distributions, self._places[row], self._is_category, strict=True)
        }
        self._study.add_trial(create_trial(params=parameters, distributions=self._distributions, value=value))

    def _choose(self, free: Rows, k: int, rng: np.random.Generator) -> list[int]:
        chosen: list[int] = []
        for _ in range(k):
            trial = self._study.ask(self._distributions)
            # What is measured is the nearest row: a trial of its own, see `_learn`.
            self._study.tell(trial, state=TrialState.FAIL)
            wanted = np.array([trial.params[name] for name in self._distributions], dtype=np.float64)
            left = rng.permutation(np.setdiff1d(free, chosen))  # so that ties are drawn
            differences = np.abs(self._places[left] - wanted)
            distances = np.where(self._is_category, differences > 0, differences).sum(axis=1)
            chosen.append(int(left[np.argmin(distances)]))
        return chosen


class TPESearcher(OptunaSearcher):
    """Tree-structured Parzen estimators, multivariate; up to 20 distinct numbers are categories.

    Reference:
        Bergstra, Bardenet, Bengio, Kégl 2011, NeurIPS 24, section 4; Falkner, Klein, Hutter 2018, arXiv 1807.01774.
    """

    max_positions = 20

    def _sampler(self, seed: int, num_initial: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=num_initial, multivariate=True)


class OptunaGPSearcher(OptunaSearcher):
    """Optuna's Gaussian process; numeric columns are numbers to it."""

    def _sampler(self, seed: int, num_initial: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=num_initial)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers from 0 to 1, by their logarithms where all are positive and span more than a factor of 10."""
    if values.min() > 0 and values.max() > _LOG_RATIO * values.min():
        values = np.log(values)
    span = np.ptp(values)
    scaled: NDArray[np.float64] = (values - values.min()) / (span or 1.0)
    return scaled
