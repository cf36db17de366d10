"""Uniform draws within limits on sums, also where next to nothing is within them.

Each layer's share of a limited quantity is rounded down to a coarse grid. Sums on the grid are few, so all sequences of
layers whose rounded sum is within the limit are counted by dynamic programming, and drawn uniformly by walking the
tables backwards. They are all that is within the limit and a little more: what is not is to be refused by the caller,
which leaves the rest uniform.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from design_space.layer import Layer
from design_space.layer_table import LayerTable

_NUM_BINS = 1024
_MAX_SHIFTS = 64

Floats = NDArray[np.float64]


class CoarseDraws:
    """Draws sequences of layers of one length, uniformly among those whose rounded sum is within one limit.

    Args:
        table: The layers and the limits.
        column: Number of the limit.
        num_slots: Length of a sequence.
        layers_per_slot: Adjacent layers that are equal.

    Attributes:
        total: How many sequences there are, at least as many as are within the limit.
    """

    def __init__(self, table: LayerTable, column: int, num_slots: int, layers_per_slot: int) -> None:
        self._table, self._layers_per_slot = table, layers_per_slot
        interval = table.intervals[column]
        values = table.values[:, column] * layers_per_slot
        joint, embedding = table.joint[..., column], table.embedding[:, column]
        greatest = int(embedding.max() + num_slots * values.max() + (num_slots - 1) * joint.max())
        top = min(interval.high, greatest)
        self.total = 0.0
        if top < 0:
            return
        step = max(1, -(-(top + 1) // _NUM_BINS))
        self._num_bins = top // step + 1
        self._coarse, self._joint = values // step, joint // step
        self._embedding = embedding // step
        self._masks = table.allowed(num_slots, layers_per_slot)
        self._before, self._after = self._tables(num_slots)
        # Rounding takes less than one step from each of the parts: slots, joints, the embedding.
        lowest = max(0, interval.low // step - 2 * num_slots)
        self._last = self._after[-1].copy()
        self._last[:, :lowest] = 0
        self.total = float(self._last.sum())

    def draw(self, rng: np.random.Generator) -> tuple[Layer, ...]:
        """One sequence of layers, each slot's layer as often as it stands there."""
        kind, rest = divmod(_pick(self._last.ravel(), rng), self._num_bins)
        stacks: list[Layer] = []
        for slot in range(len(self._masks) - 1, -1, -1):
            weights = self._numbers(slot, kind)[: rest + 1] * self._before[slot][kind, rest::-1]
            taken = _pick(weights, rng)
            fitting = self._masks[slot] & (self._table.kind_of == kind) & (self._coarse == taken)
            stacks.append(self._table.layers[rng.choice(np.flatnonzero(fitting))])
            rest -= taken
            if slot:
                kind, rest = self._previous(slot, kind, rest, rng)
        return tuple(layer for layer in reversed(stacks) for _ in range(self._layers_per_slot))

    def _previous(self, slot: int, kind: int, rest: int, rng: np.random.Generator) -> tuple[int, int]:
        rests = rest - self._joint[:, kind]
        possible = self._table.may_follow[:, kind] & (rests >= 0)
        kinds = np.arange(len(rests))
        weights = np.where(possible, self._after[slot - 1][kinds, np.maximum(rests, 0)], 0.0)
        chosen = _pick(weights, rng)
        return chosen, int(rests[chosen])

    def _tables(self, num_slots: int) -> tuple[list[Floats], list[Floats]]:
        """For each slot, by kind and sum (K, bins): ways to come to its layer, and ways with it."""
        before: list[Floats] = []
        after: list[Floats] = []
        ways = np.zeros((self._table.num_kinds, self._num_bins))
        for kind, start in enumerate(self._embedding):
            if start < self._num_bins:
                ways[kind, start] = 1
        for slot in range(num_slots):
            ways = self._joined(after[-1]) if slot else ways
            before.append(ways)
            after.append(np.array([_convolve(row, self._numbers(slot, kind)) for kind, row in enumerate(ways)]))
        return before, after

    def _joined(self, after: Floats) -> Floats:
        ways = np.zeros_like(after)
        widths = self._table.widths
        for before, then in itertools.product(np.unique(widths), repeat=2):
            ours, theirs = np.flatnonzero(widths == before), np.flatnonzero(widths == then)
            shift = int(self._joint[ours[0], theirs[0]])  # depends on the widths alone
            if shift < self._num_bins:
                follow = self._table.may_follow[np.ix_(ours, theirs)].astype(np.float64)
                ways[theirs, shift:] += follow.T @ after[ours, : self._num_bins - shift]
        return ways

    def _numbers(self, slot: int, kind: int) -> Floats:
        """How many layers of a kind a slot may take, by their rounded share, shape (bins,)."""
        fitting = self._masks[slot] & (self._table.kind_of == kind) & (self._coarse < self._num_bins)
        return np.bincount(self._coarse[fitting], minlength=self._num_bins).astype(np.float64)


class LimitedDraws:
    """Draws sequences of any of several lengths, by the limit that leaves least.

    Args:
        table: The layers and the limits.
        num_slots: Lengths of a sequence.
        layers_per_slot: Adjacent layers that are equal.

    Attributes:
        total: At least as many as are within all limits.
    """

    def __init__(self, table: LayerTable, num_slots: Sequence[int], layers_per_slot: int) -> None:
        self._draws = []
        for number in num_slots:
            columns = range(len(table.intervals))
            candidates = [CoarseDraws(table, column, number, layers_per_slot) for column in columns]
            self._draws.append(min(candidates, key=lambda each: each.total))
        self._totals = np.array([each.total for each in self._draws])
        self.total = float(self._totals.sum())

    def draw(self, rng: np.random.Generator) -> tuple[Layer, ...]:
        """One sequence of layers, which may break a limit by little."""
        return self._draws[_pick(self._totals, rng)].draw(rng)


def _convolve(ways: Floats, numbers: Floats) -> Floats:
    """Their convolution up to the last bin; by shifts where a kind has few distinct shares."""
    shares = np.flatnonzero(numbers)
    if len(shares) > _MAX_SHIFTS:
        return np.convolve(ways, numbers)[: len(ways)]
    result = np.zeros_like(ways)
    for share in shares:
        result[share:] += numbers[share] * ways[: len(ways) - share]
    return result


def _pick(weights: Floats, rng: np.random.Generator) -> int:
    """A place drawn with the given weights, of which one at least is positive."""
    sums = np.cumsum(weights)
    return int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
