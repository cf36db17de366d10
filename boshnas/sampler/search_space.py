"""Optuna's distributions as coordinates and features, and back.

Symbols: n rows, p parameters, d features. A coordinate is one number a parameter: the fraction of its range (of the
range's logarithm where the distribution is logarithmic), the number of the choice of a category, NaN where the
parameter is absent.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from boshnas.errors import InputError

Rows = NDArray[np.float64]

_KEY_DECIMALS = 6  # points nearer than a millionth of the range are one point


class Number:
    """A float or an integer parameter; its coordinate is a fraction of the range.

    Args:
        distribution: Gives range, step and scale.
    """

    is_number = True
    width = 1

    def __init__(self, distribution: FloatDistribution | IntDistribution) -> None:
        self._low, self._high, self._step = distribution.low, distribution.high, distribution.step
        self._kind = int if isinstance(distribution, IntDistribution) else float
        self._log = distribution.log
        self._start, self._span = self._scaled(self._low), self._scaled(self._high) - self._scaled(self._low)
        self.num_levels: float = math.inf
        if self._step is not None:
            self.num_levels = round((self._high - self._low) / self._step) + 1
        elif self._span == 0:
            self.num_levels = 1

    def value(self, coordinate: float) -> Any:
        """The valid parameter value nearest to a coordinate."""
        position = self._start + coordinate * self._span
        value = math.exp(position) if self._log else position
        if self._step is not None:
            value = self._low + round((value - self._low) / self._step) * self._step
        return self._kind(min(max(value, self._low), self._high))

    def coordinate(self, value: Any) -> float:
        """Of a parameter value, which may lie out of the range: by its own length at most."""
        fraction = (self._scaled(value) - self._start) / (self._span or 1.0)
        return min(max(fraction, -1.0), 2.0)

    def snap(self, coordinates: Rows) -> Rows:
        """Coordinates (n,) of the nearest valid values."""
        inside: Rows = np.clip(coordinates, 0.0, 1.0 if self._span > 0 else 0.0)
        if self._step is None or self._span == 0:
            return inside
        position = self._start + inside * self._span
        steps = ((np.exp(position) if self._log else position) - self._low) / self._step
        values = self._low + np.clip(np.rint(steps), 0, self.num_levels - 1) * self._step
        scaled: Rows = ((np.log(values) if self._log else values) - self._start) / self._span
        return scaled

    def spread(self, fractions: Rows) -> Rows:
        """Valid coordinates for fractions (n,) in [0, 1): each level of a grid gets an equal share, in its scale."""
        if self._step is None or self._span == 0:
            return self.snap(fractions)
        half = self._step / 2
        low, high = self._scaled(self._low - half), self._scaled(self._high + half)
        return self.snap((low + fractions * (high - low) - self._start) / self._span)

    def levels(self) -> Rows:
        """All valid coordinates of a grid."""
        assert math.isfinite(self.num_levels)
        values = [self._low + level * (self._step or 0) for level in range(int(self.num_levels))]
        return np.array([self.coordinate(value) for value in values])

    def features(self, coordinates: Rows) -> Rows:
        """One column (n, 1); the middle of the range where absent."""
        return np.nan_to_num(coordinates, nan=0.5)[:, None]

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._log else float(value)


class Category:
    """A categorical parameter; its coordinate is the number of the choice.

    Args:
        distribution: Gives the choices.
    """

    is_number = False

    def __init__(self, distribution: CategoricalDistribution) -> None:
        self._distribution = distribution
        self.num_levels: float = len(distribution.choices)
        self.width = 1 if self.num_levels <= 2 else len(distribution.choices)

    def value(self, coordinate: float) -> Any:
        """The choice."""
        return self._distribution.to_external_repr(coordinate)

    def coordinate(self, value: Any) -> float:
        """Number of a choice; NaN if it is none."""
        try:
            return float(self._distribution.to_internal_repr(value))
        except ValueError:
            return math.nan

    def snap(self, coordinates: Rows) -> Rows:
        """Nothing to round: choices are drawn, never moved."""
        return coordinates

    def spread(self, fractions: Rows) -> Rows:
        """Numbers of choices for fractions (n,) in [0, 1), each choice an equal share."""
        return np.floor(fractions * self.num_levels)

    def levels(self) -> Rows:
        """All numbers of choices."""
        return np.arange(self.num_levels, dtype=np.float64)

    def features(self, coordinates: Rows) -> Rows:
        """One column of 0 and 1 for two choices, else one-hot/√2, so that any two choices are 1 apart; (n, width).

        The mean of all choices where absent.
        """
        if self.width == 1:
            return np.nan_to_num(coordinates, nan=(self.num_levels - 1) / 2)[:, None]
        one_hot = (coordinates[:, None] == self.levels()).astype(np.float64)
        one_hot[np.isnan(coordinates)] = 1 / self.num_levels
        scaled: Rows = one_hot / math.sqrt(2)
        return scaled


class SearchSpace:
    """Some parameters, in one order.

    Args:
        distributions: By name.

    Raises:
        InputError: If a distribution is of a kind that Optuna does not have.

    Example:
        >>> space = SearchSpace({"x": FloatDistribution(1, 100, log=True), "y": CategoricalDistribution("abc")})
        >>> space.encode([{"x": 10.0, "y": "b"}, {"x": 1.0}])
        array([[0.5, 1. ],
               [0. , nan]])
        >>> space.groups
        (0, 1, 1, 1)
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self.distributions = dict(distributions)
        self.names = list(distributions)
        self.axes = [_axis(name, distribution) for name, distribution in distributions.items()]
        self.size: float = math.prod(axis.num_levels for axis in self.axes)
        self.groups = tuple(group for group, axis in enumerate(self.axes) for _ in range(axis.width))

    def encode(self, params: Iterable[Mapping[str, Any]]) -> Rows:
        """Coordinates of parameter values, shape (n, p); NaN where a name is missing."""
        rows = [
            [
                axis.coordinate(row[name]) if name in row else math.nan
                for name, axis in zip(self.names, self.axes, strict=True)
            ]
            for row in params
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.names))

    def decode(self, row: Rows) -> dict[str, Any]:
        """Valid parameter values of coordinates (p,), those that are there."""
        parts = zip(self.names, self.axes, row.tolist(), strict=True)
        return {name: axis.value(coordinate) for name, axis, coordinate in parts if not math.isnan(coordinate)}

    def snap(self, rows: Rows) -> Rows:
        """Coordinates (n, p) of the nearest valid values."""
        return np.column_stack([axis.snap(column) for axis, column in zip(self.axes, rows.T, strict=True)])

    def features(self, rows: Rows) -> Rows:
        """What a surrogate sees of coordinates (n, p), shape (n, d), about in [0, 1]."""
        return np.hstack([axis.features(column) for axis, column in zip(self.axes, rows.T, strict=True)])

    def enumerated(self) -> Rows:
        """Every point of a finite space, shape (size, p)."""
        return np.array(list(product(*(axis.levels() for axis in self.axes))))

    def sobol(self, num_rows: int, seed: int) -> Rows:
        """Points that fill the space evenly, shape (num_rows, p)."""
        engine = torch.quasirandom.SobolEngine(len(self.axes), scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        return self.spread(engine.draw(num_rows, dtype=torch.float64).numpy().clip(0, 1 - 1e-12))

    def spread(self, fractions: Rows) -> Rows:
        """Valid coordinates for fractions (n, p) in [0, 1); every value of a parameter gets an equal share."""
        return np.column_stack([axis.spread(column) for axis, column in zip(self.axes, fractions.T, strict=True)])


def keys(rows: Rows) -> list[bytes]:
    """What tells points apart, one for each row of coordinates (n, p)."""
    rounded = np.round(np.nan_to_num(rows, nan=-9.0), _KEY_DECIMALS) + 0.0  # -0.0 becomes 0.0
    return [row.tobytes() for row in rounded]


def latest_distributions(trials: Sequence[Mapping[str, BaseDistribution]]) -> dict[str, BaseDistribution]:
    """The last distribution that each name had, by name; parameters with one value only are left out."""
    latest: dict[str, BaseDistribution] = {}
    for distributions in trials:
        latest.update(distributions)
    return {name: latest[name] for name in sorted(latest) if not latest[name].single()}


def _axis(name: str, distribution: BaseDistribution) -> Number | Category:
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return Number(distribution)
    if isinstance(distribution, CategoricalDistribution):
        return Category(distribution)
    kind = type(distribution).__name__
    raise InputError(f"SearchSpace: {name!r} must be a float, an integer or a category, got {kind!r}. Use one of them.")
