"""Exact numbers of architectures within limits on sums, such as parameters: dynamic programming over slots."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from design_space.errors import InputError
from design_space.layer_table import Ints, LayerTable

_MAX_WORK = 50_000_000  # sums formed in all

Sums = tuple[Ints, NDArray[np.object_]]  # distinct rows of sums (S, Q), and how many sequences have each (S,)


class Tally:
    """Counts the sequences of layers whose sums lie within limits.

    Sequences with the same kind of last layer and the same sums have the same continuations, so they are counted
    together. Sums that can no longer leave the limits are one, those that cannot reach them are dropped.

    Args:
        table: The layers and the limits.
    """

    def __init__(self, table: LayerTable) -> None:
        self._table = table
        self._low = np.array([interval.low for interval in table.intervals])
        self._high = np.array([interval.high for interval in table.intervals])
        self._work = 0

    def count(self, num_slots: int, layers_per_slot: int) -> int:
        """Exact number of architectures of a depth within the limits.

        Raises:
            InputError: If that takes too many distinct sums.
        """
        slots = [self._classes(mask, layers_per_slot) for mask in self._table.allowed(num_slots, layers_per_slot)]
        if not all(slots):  # fixed layers leave one without any value
            return 0
        least, most = self._remaining(slots)
        states: dict[int, Sums] = {}
        for slot, classes in enumerate(slots):
            reached = self._step(states, classes, least[slot]) if slot else self._first(classes)
            states = {kind: self._prune(sums, least[slot], most[slot]) for kind, sums in reached.items()}
        return int(sum(int(counts.sum()) for _, counts in states.values()))

    def _classes(self, mask: NDArray[np.bool_], layers_per_slot: int) -> dict[int, Sums]:
        """Sums of the layers that a slot may take, by kind."""
        found = {}
        for kind in np.unique(self._table.kind_of[mask]):
            rows = mask & (self._table.kind_of == kind)
            found[int(kind)] = _merge(self._table.values[rows] * layers_per_slot, np.ones(rows.sum(), dtype=object))
        return found

    def _remaining(self, slots: Sequence[dict[int, Sums]]) -> tuple[list[Ints], list[Ints]]:
        """Least and greatest sums that the slots after each one can add."""
        joint = self._table.joint.max(axis=(0, 1))
        least = [np.zeros_like(joint)]
        most = [np.zeros_like(joint)]
        for classes in reversed(slots[1:]):
            values = np.concatenate([sums for sums, _ in classes.values()])
            least.append(least[-1] + values.min(axis=0))
            most.append(most[-1] + values.max(axis=0) + joint)
        return least[::-1], most[::-1]

    def _first(self, classes: dict[int, Sums]) -> dict[int, Sums]:
        return {kind: (sums + self._table.embedding[kind], counts) for kind, (sums, counts) in classes.items()}

    def _step(self, states: dict[int, Sums], classes: dict[int, Sums], least: Ints) -> dict[int, Sums]:
        reached = {}
        for kind, (values, counts) in classes.items():
            before = [
                (sums + self._table.joint[other, kind], numbers)
                for other, (sums, numbers) in states.items()
                if len(sums) and self._table.may_follow[other, kind]
            ]
            if not before:
                continue
            sums, numbers = _merge(*(np.concatenate(parts) for parts in zip(*before, strict=True)))
            fits = (values + sums.min(axis=0) + least <= self._high).all(axis=1)
            values, counts = values[fits], counts[fits]
            self._work += len(sums) * len(values)
            if self._work > _MAX_WORK:
                raise InputError(
                    f"constraints: an exact count needs more than {_MAX_WORK} sums here. "
                    "Count without the limit, or use `sample`, which needs no count."
                )
            all_sums = (sums[:, None] + values).reshape(-1, values.shape[1])
            reached[kind] = _merge(all_sums, np.outer(numbers, counts).ravel())
        return reached

    def _prune(self, sums: Sums, least: Ints, most: Ints) -> Sums:
        values, counts = sums
        kept = ((values + least <= self._high) & (values + most >= self._low)).all(axis=1)
        values, counts = values[kept], counts[kept]
        safe = (values + most <= self._high) & (values + least >= self._low)
        return _merge(np.where(safe, np.maximum(self._low - least, 0), values), counts)


def _merge(values: Ints, counts: NDArray[np.object_]) -> Sums:
    """Add the counts of equal rows."""
    if not len(values):
        return values, counts
    order = np.lexsort(values.T)
    values, counts = values[order], counts[order]
    first = np.flatnonzero(np.r_[True, (values[1:] != values[:-1]).any(axis=1)])
    return values[first], np.add.reduceat(counts, first)
