"""The layers of a level as a table: what each adds to the limited quantities, and what may follow what."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from design_space.choices import Axis
from design_space.constraint import QUANTITIES, Constraint
from design_space.counts import Quantity
from design_space.layer import Layer

_NO_LIMIT = 2**62

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A quantity with its least and greatest allowed value, both included."""

    quantity: Quantity
    low: int
    high: int


class LayerTable:
    """N layers, the product of the choices of a level, for limits on Q quantities.

    Layers fall into K kinds: what later slots need to know of a layer, its width and what a rule binds.

    Args:
        axes: Fields of a layer.
        make_layer: Builds a layer from one value of each.
        constraints: The limits.

    Attributes:
        layers: N layers.
        intervals: Q intervals.
        values: What each layer adds, shape (N, Q).
        kind_of: Shape (N,).
        widths: Of each kind, shape (K,).
        embedding: What the embedding adds before a first layer of each kind, shape (K, Q).
        joint: What the projection between two layers adds, by their kinds, shape (K, K, Q).
        may_follow: Whether the second kind may follow the first, shape (K, K).
    """

    def __init__(
        self, axes: Sequence[Axis], make_layer: Callable[..., Layer], constraints: Iterable[Constraint]
    ) -> None:
        self._axes = axes
        self.intervals = _intervals(constraints)
        places = list(itertools.product(*(range(len(axis.values)) for axis in axes)))
        self.layers = [make_layer(*(axis.values[p] for axis, p in zip(axes, place, strict=True))) for place in places]
        self._places = np.array(places)
        quantities = [interval.quantity for interval in self.intervals]
        self.values: Ints = np.array([[each.layer(layer) for each in quantities] for layer in self.layers], np.int64)
        kinds = [self._kind(layer, place) for layer, place in zip(self.layers, places, strict=True)]
        distinct = sorted(set(kinds))
        number = {kind: index for index, kind in enumerate(distinct)}
        self.kind_of = np.array([number[kind] for kind in kinds])
        bound = np.array(distinct)
        self.widths: Ints = bound[:, 0]
        widths, width_of = np.unique(self.widths, return_inverse=True)
        embedding = np.array([[each.embedding(width) for each in quantities] for width in widths.tolist()], np.int64)
        joint = [
            [[each.joint(a, b) if a != b else 0 for each in quantities] for b in widths.tolist()]
            for a in widths.tolist()
        ]
        self.embedding: Ints = embedding[width_of]
        self.joint: Ints = np.array(joint, dtype=np.int64)[width_of[:, None], width_of]
        self.may_follow = self._may_follow(bound[:, None, 1:], bound[None, :, 1:])

    @property
    def num_kinds(self) -> int:
        """K."""
        return len(self.embedding)

    def allowed(self, num_slots: int, layers_per_slot: int) -> list[NDArray[np.bool_]]:
        """Which layers each slot may take, each of shape (N,)."""
        masks = [np.ones(len(self.layers), dtype=bool) for _ in range(num_slots)]
        for column, axis in enumerate(self._axes):
            for mask, values in zip(masks, axis.allowed(num_slots, layers_per_slot), strict=True):
                mask &= np.isin(self._places[:, column], values)
        return masks

    def _kind(self, layer: Layer, place: Sequence[int]) -> tuple[int, ...]:
        bound = [layer.hidden_size]
        for axis, value in zip(self._axes, place, strict=True):
            if axis.rule != "free":
                bound.append(axis.sizes[value] if axis.rule == "monotone" else value)
        return tuple(bound)

    def _may_follow(self, before: Ints, after: Ints) -> NDArray[np.bool_]:
        """Shape (K, K), from what rules bind, shapes (K, 1, R) and (1, K, R)."""
        monotone = np.array([axis.rule == "monotone" for axis in self._axes if axis.rule != "free"], dtype=bool)
        return np.asarray(np.where(monotone, before <= after, before == after).all(axis=2))


def _intervals(constraints: Iterable[Constraint]) -> list[Interval]:
    """The limits of each quantity as whole numbers, both ends included."""
    bounds: dict[str, tuple[int, int]] = {}
    for constraint in constraints:
        low, high = bounds.get(constraint.quantity, (0, _NO_LIMIT))
        floor, ceiling = math.floor(constraint.limit), math.ceil(constraint.limit)
        if constraint.comparison in ("<=", "=="):
            high = min(high, floor)
        if constraint.comparison in (">=", "=="):
            low = max(low, ceiling)
        if constraint.comparison == "<":
            high = min(high, ceiling - 1)
        if constraint.comparison == ">":
            low = max(low, floor + 1)
        bounds[constraint.quantity] = (min(low, _NO_LIMIT), max(high, -1))
    return [Interval(QUANTITIES[name], low, high) for name, (low, high) in bounds.items()]
