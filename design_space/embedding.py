"""Feature rows of architectures, on which surrogates learn."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from design_space.architecture import Architecture, Layer
from design_space.space import DesignSpace


def encode(space: DesignSpace, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """Flat features, layer by layer: the same columns at every level of a space.

    Each layer slot has one column per operation (1 or 0), the position of hidden size, heads, mean feed-forward size
    and length of the feed-forward stack among the space's choices (log scale, in [0, 1]), and the spread of the sizes
    inside the stack. Slots beyond the last layer are zero, their operation columns too, so depth needs no column.

    Args:
        space: Gives the columns.
        architectures: n architectures, of any level.

    Returns:
        Shape (n, depth × columns), float64.
    """
    operations = {operation: column for column, operation in enumerate(_operations(space))}
    scales = _Scales(space)
    num_columns = len(operations) + 5
    rows: dict[Layer, NDArray[np.float64]] = {}
    table = np.zeros((len(architectures), max(space.depths), num_columns))
    for index, architecture in enumerate(architectures):
        for slot, layer in enumerate(architecture.layers):
            if layer not in rows:
                rows[layer] = scales.row(layer, operations[layer.operation, layer.parameter], num_columns)
            table[index, slot] = rows[layer]
    return table.reshape(len(architectures), max(space.depths) * num_columns)


def _operations(space: DesignSpace) -> list[tuple[str, str]]:
    return list(dict.fromkeys((layer.operation, layer.parameter) for layer in space.layers(1)))


class _Scales:
    """Log ranges of a space's sizes."""

    def __init__(self, space: DesignSpace) -> None:
        choices = space.content.architecture
        self._hidden = np.log2([min(choices.hidden_size), max(choices.hidden_size)])
        self._heads = np.log2([min(choices.num_heads), max(choices.num_heads)])
        self._feed_forward = np.log2([min(choices.feed_forward_hidden), max(choices.feed_forward_hidden)])
        self._stack = np.log2([min(choices.num_feed_forwards), max(choices.num_feed_forwards)])

    def row(self, layer: Layer, operation: int, num_columns: int) -> NDArray[np.float64]:
        sizes = np.log2(layer.feed_forward)
        row = np.zeros(num_columns)
        row[operation] = 1.0
        row[-5:] = (
            _place(np.log2(layer.hidden_size), self._hidden),
            _place(np.log2(layer.num_heads), self._heads),
            _place(sizes.mean(), self._feed_forward),
            _place(np.log2(len(sizes)), self._stack),
            np.ptp(sizes) / max(np.ptp(self._feed_forward), 1.0),
        )
        return row


def _place(value: float, bounds: NDArray[np.float64]) -> float:
    """Position of a value between two bounds; 0.5 where they coincide."""
    width = bounds[1] - bounds[0]
    return float((value - bounds[0]) / width) if width else 0.5
