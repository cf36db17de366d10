"""Where in a space of numbers and categories is a worth greatest? Even sample, mutation, gradient ascent.

Symbols: n rows, p parameters, d features, R starts; coordinates as in `search_space`. A row is full: absent parameters
have coordinates too, in case the study asks for them after all, but features and keys do not depend on them.
"""

from collections.abc import Collection
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from boshnas.ascent import RowFunction
from boshnas.maximize import climb
from boshnas.sampler.conditions import Conditions
from boshnas.sampler.search_space import SearchSpace, keys

Rows = NDArray[np.float64]

_NUM_SAMPLED = 2048
_NUM_PARENTS = 5
_NUM_CHILDREN = 64
_NUM_STARTS = 8
_SCALES = (-3.0, -0.5)  # decimal logarithms of how far a mutation goes, in ranges


class Domain:
    """What may be proposed.

    Args:
        space: All parameters.
        conditions: Which of them a point has.
        held: Coordinates that are given, shape (p,), NaN where free.
        enumerated_up_to: Points of a finite space that are all looked at.
        second_order: Gradient ascent is AdaHessian's rather than Adam's.
    """

    def __init__(
        self, space: SearchSpace, conditions: Conditions, held: Rows, *, enumerated_up_to: int, second_order: bool
    ) -> None:
        self.space = space
        self._conditions = conditions
        self.held = held
        self._free = np.flatnonzero(np.isnan(held))
        self._is_number = np.array([axis.is_number for axis in space.axes])
        self._enumerated_up_to = enumerated_up_to
        self._second_order = second_order

    @property
    def has_choice(self) -> bool:
        """Whether any parameter is free."""
        return len(self._free) > 0

    def draw(self, rng: np.random.Generator) -> Rows:
        """Distinct points: all of a small space, else an even sample, in random order."""
        space = self.space
        if space.size <= self._enumerated_up_to:
            rows = rng.permutation(space.enumerated())
        else:
            rows = space.sobol(_NUM_SAMPLED, int(rng.integers(2**31)))
        return self.unseen(self._settled(rows), ())

    def mutants(self, parents: Rows, num_each: int, rng: np.random.Generator) -> Rows:
        """Children of points (R, p): half differ in one parameter, half in all numbers by a small step."""
        rows = np.repeat(parents, num_each, axis=0)
        fresh = self.space.spread(rng.random(rows.shape))
        step = 10 ** rng.uniform(*_SCALES, (len(rows), 1)) * rng.standard_normal(rows.shape)
        moved = np.where(self._is_number, rows + step, rows)
        is_changed = rng.choice(self._free, (len(rows), 1)) == np.arange(rows.shape[1])
        is_small = self._is_number & (rng.random(rows.shape) < 0.5)
        one_changed = np.where(is_changed, np.where(is_small, moved, fresh), rows)
        return self._settled(np.where(rng.random((len(rows), 1)) < 0.5, one_changed, moved))

    def completed(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Measured coordinates (n, p) made full and valid."""
        return self._settled(np.where(np.isnan(rows), self.space.spread(rng.random(rows.shape)), rows))

    def unseen(self, rows: Rows, seen: Collection[bytes]) -> Rows:
        """Distinct rows whose keys are not among those seen, in order."""
        first: dict[bytes, int] = {}
        for index, key in enumerate(keys(self._conditions.apply(rows))):
            if key not in seen:
                first.setdefault(key, index)
        return rows[list(first.values())]

    def features(self, rows: Rows) -> Rows:
        """What a surrogate sees of rows (n, p), shape (n, d)."""
        return self.space.features(self._conditions.apply(rows))

    def present(self, row: Rows) -> Rows:
        """One row (p,) with NaN for what is absent."""
        present: Rows = self._conditions.apply(row[None])[0]
        return present

    def climbed(self, rows: Rows, value: RowFunction, rng: np.random.Generator) -> Rows:
        """Where gradient ascent from rows (R, p) ends in their free numbers, made valid; categories stay."""
        numbers = self._free[self._is_number[self._free]]
        if len(numbers) == 0:
            return rows
        columns = [self.space.groups.index(int(number)) for number in numbers]
        movable = torch.tensor(~np.isnan(self._conditions.apply(rows)[:, numbers]))
        fixed = torch.tensor(self.features(rows))
        fixed[:, columns] = fixed[:, columns].masked_fill(movable, 0.0)
        spread_out = torch.eye(fixed.shape[1], dtype=fixed.dtype)[columns]  # (q, d)

        def moved(Z: torch.Tensor) -> torch.Tensor:
            return value(fixed + (Z * movable) @ spread_out)

        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        ends = rows.copy()
        starts = torch.tensor(rows[:, numbers])
        ends[:, numbers] = climb(moved, starts, second_order=self._second_order, generator=generator).numpy()
        return self._settled(ends)

    def _settled(self, rows: Rows) -> Rows:
        return np.where(np.isnan(self.held), self.space.snap(rows), self.held)


def maximise(
    domain: Domain, value: RowFunction, parents: Rows, seen: Collection[bytes], rng: np.random.Generator
) -> Rows:
    """The point of greatest value found.

    Args:
        domain: What may be proposed.
        value: Of features (n, d), shape (n,); twice differentiable where the ascent is of second order.
        parents: Good points, best first, whose surroundings are worth a look, shape (n, p).
        seen: Keys of points that are taken only when no other was found.
        rng: Draws sample, mutations and seeds.

    Returns:
        One row, shape (p,).
    """
    rows = np.concatenate([domain.draw(rng), domain.mutants(parents[:_NUM_PARENTS], _NUM_CHILDREN, rng)])
    rows = _preferred(domain, rows, seen)
    values = _valued(domain, rows, value)
    for step in (
        partial(domain.mutants, num_each=_NUM_CHILDREN, rng=rng),
        partial(domain.climbed, value=value, rng=rng),
    ):
        better = domain.unseen(step(rows[np.argsort(-values, kind="stable")[:_NUM_STARTS]]), seen)
        rows, values = np.concatenate([rows, better]), np.concatenate([values, _valued(domain, better, value)])
    best: Rows = rows[np.argmax(values)]
    return best


def _preferred(domain: Domain, rows: Rows, seen: Collection[bytes]) -> Rows:
    """The unseen rows, or all where there are none."""
    unseen = domain.unseen(rows, seen)
    return unseen if len(unseen) > 0 else rows


def _valued(domain: Domain, rows: Rows, value: RowFunction) -> Rows:
    with torch.no_grad():
        return value(torch.tensor(domain.features(rows))).numpy()
