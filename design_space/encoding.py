"""Feature rows of architectures, on which surrogates learn."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from design_space.architecture import Architecture
from design_space.layer import AnyLayer, MixedLayer
from design_space.space import DesignSpace

Key = TypeVar("Key", bound=Hashable)
Rows = NDArray[np.float64]


def encode(space: DesignSpace, architectures: Sequence[Architecture]) -> Rows:
    """Flat features, layer by layer: the same columns at every level of a space.

    Each layer slot has one column per operation (the share of the heads that have it), the position of hidden size,
    heads, mean feed-forward size and length of the feed-forward stack among the space's choices (log scale, the least
    at −1, the greatest at 1), and the spread of the sizes inside the stack. Slots beyond the last layer are zero, in
    the middle of every size: a layer that is not there is not a small one.

    `docs/features.md` measures them against graph embeddings and Weisfeiler-Lehman features.

    Args:
        space: Gives the columns.
        architectures: n architectures, of any level.

    Returns:
        Shape (n, depth × columns of a layer), in [−1, 1].
    """
    columns = _Columns(space)
    rows: dict[AnyLayer, int] = {}
    slots = np.full((len(architectures), max(space.depths)), -1, dtype=np.intp)
    for index, architecture in enumerate(architectures):
        slots[index, : len(architecture.layers)] = [rows.setdefault(layer, len(rows)) for layer in architecture.layers]
    table = np.zeros((len(rows) + 1, columns.number))  # the last row, −1, is that of an empty slot
    if rows:
        table[:-1] = columns.rows(list(rows))
    return table[slots].reshape(len(architectures), slots.shape[1] * columns.number)


class _Columns:
    """Columns of a layer: its operations, then its sizes on a log scale."""

    def __init__(self, space: DesignSpace) -> None:
        choices = space.content.architecture
        operations = [(o, str(p)) for o in choices.operation_types for p in choices.operation_parameters[o]]
        self._operations = {operation: column for column, operation in enumerate(operations)}
        self.number = len(operations) + 5
        self._hidden_size = np.log2(sorted(choices.hidden_size))
        self._num_heads = np.log2(sorted(choices.num_heads))
        self._size = np.log2(sorted(choices.feed_forward_hidden))
        self._length = np.log2(sorted(choices.num_feed_forwards))

    def rows(self, layers: Sequence[AnyLayer]) -> Rows:
        """Shape (n, number)."""
        operations = _row_of_each([_operations(layer) for layer in layers], self._shares)
        stacks = _row_of_each([layer.feed_forward for layer in layers], self._stack)
        widths = _place(np.log2([layer.hidden_size for layer in layers]), self._hidden_size)
        heads = _place(np.log2([layer.num_heads for layer in layers]), self._num_heads)
        return np.column_stack([operations, widths, heads, stacks])

    def _shares(self, operations: Sequence[tuple[str, str]]) -> list[float]:
        shares = [0.0] * len(self._operations)
        for operation in operations:
            shares[self._operations[operation]] += 1 / len(operations)
        return shares

    def _stack(self, sizes: tuple[int, ...]) -> list[float]:
        logs = np.log2(sizes)
        mean, length = _place(logs.mean(), self._size), _place(np.log2(len(sizes)), self._length)
        return [float(mean), float(length), float(np.ptp(logs) / max(np.ptp(self._size), 1.0))]


def _operations(layer: AnyLayer) -> tuple[tuple[str, str], ...]:
    """Operation and parameter of each head, once where they are all the same."""
    if isinstance(layer, MixedLayer):
        return tuple((head.operation, head.parameter) for head in layer.heads)
    return ((layer.operation, layer.parameter),)


def _row_of_each(keys: Sequence[Key], row_of: Callable[[Key], list[float]]) -> Rows:
    """The row of each key, made once for equal keys; shape (n, columns)."""
    places: dict[Key, int] = {}
    of_each = [places.setdefault(key, len(places)) for key in keys]
    return np.array([row_of(key) for key in places])[of_each]


def _place(values: Rows, choices: Rows) -> Rows:
    """Position of values between the least choice, −1, and the greatest, 1; 0 where they coincide."""
    width = choices[-1] - choices[0]
    return 2 * (values - choices[0]) / width - 1 if width else np.zeros(np.shape(values))
