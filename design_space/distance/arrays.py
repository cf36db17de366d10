"""Graphs of architectures as arrays, grouped by depth."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from design_space.architecture import Architecture
from design_space.distance.costs import EditCosts
from design_space.errors import InputError
from design_space.graph import head_labels

Ints = NDArray[np.intp]
Counts = NDArray[np.int16]
_MAX_HEADS = 8_000  # so that 16 bits hold their edges


class Graphs:
    """The graphs of architectures as arrays, read once for any number of distances.

    Args:
        architectures: n architectures of any depth.
        costs: Of the edits.

    Raises:
        InputError: If a label has no position, or a graph has more than 8,000 heads.
    """

    def __init__(self, architectures: Sequence[Architecture], costs: EditCosts) -> None:
        self.costs = costs
        for architecture in architectures:
            if (number := sum(layer.num_heads for layer in architecture.layers)) > _MAX_HEADS:
                raise InputError(f"distance: a graph must have at most {_MAX_HEADS} heads, got {number}.")
        self.groups = _groups(architectures, costs)

    def __len__(self) -> int:
        return sum(len(group.members) for group in self.groups)


@dataclass(frozen=True)
class Group:
    """Architectures of one depth D, as arrays; different ones share a row of `heads` or of `chains`.

    Attributes:
        members: Their places in the caller's sequence, shape (n,).
        heads_of: Row of `labels` and `num_heads` of each, shape (n,).
        labels: Labels of a layer's heads, counted from the least position, shape (U, D, M); M = 1 where all heads of
            each layer are alike.
        num_heads: Heads with each of these labels, 0 beyond the last one, shape (U, D, M).
        chains_of: Row of `chains` of each, shape (n,).
        chains: Labels of the feed-forward stacks, −1 beyond their ends, shape (V, D, K).
        head_positions: Of the labels of heads, ascending, shape (P,).
        chain_positions: Of the labels of feed-forwards, ascending, shape (F,).
        specials: Positions of input, output and add_norm.
    """

    members: Ints
    heads_of: Ints
    labels: Ints
    num_heads: Ints
    chains_of: Ints
    chains: Counts
    head_positions: NDArray[np.float64]
    chain_positions: NDArray[np.float64]
    specials: tuple[float, float, float]

    @property
    def depth(self) -> int:
        """Layers of each graph."""
        return int(self.labels.shape[1])

    @cached_property
    def chains_both_ways(self) -> Counts:
        """The stacks read from their starts and from their ends, −1 beyond them, shape (2, V, D, K)."""
        places = self.lengths[..., None] - 1 - np.arange(self.chains.shape[2])
        backwards = np.take_along_axis(self.chains, np.maximum(places, 0), axis=2)
        return np.stack([self.chains, np.where(places >= 0, backwards, np.int16(-1))])

    @cached_property
    def lengths(self) -> Ints:
        """Sizes in each stack, shape (V, D)."""
        return np.asarray((self.chains >= 0).sum(axis=2))

    @cached_property
    def total_heads(self) -> Ints:
        """Shape (U,)."""
        return np.asarray(self.num_heads.sum(axis=(1, 2)))

    @cached_property
    def head_counts(self) -> Ints:
        """Heads of each label, shape (U, P)."""
        counts = np.zeros((len(self.labels), len(self.head_positions)), dtype=np.intp)
        for slot, place in np.ndindex(self.labels.shape[1:]):
            np.add.at(counts, (np.arange(len(counts)), self.labels[:, slot, place]), self.num_heads[:, slot, place])
        return counts

    @cached_property
    def chain_counts(self) -> Ints:
        """Feed-forwards of each label, shape (V, F)."""
        return np.asarray((self.chains[..., None] == np.arange(len(self.chain_positions))).sum(axis=(1, 2)))

    @cached_property
    def num_nodes(self) -> Ints:
        """Of each graph, shape (n,)."""
        heads, chains = self.total_heads[self.heads_of], self.lengths.sum(axis=1)[self.chains_of]
        return np.asarray(heads + chains + 2 * self.depth + 2)

    @cached_property
    def num_edges(self) -> Ints:
        """Of each graph, shape (n,): two a head, one more than its nodes a stack, a residual around both, one out."""
        return np.asarray(self.num_nodes + self.total_heads[self.heads_of] + self.depth - 1)

    @cached_property
    def tails(self) -> NDArray[np.float64]:
        """Numbers of nodes at or above each position times the step to it: their L1 distances are transport costs."""
        num_rows = len(self.members)
        special = np.broadcast_to([1, 1, 2 * self.depth], (num_rows, 3))
        counts = np.hstack([special, self.chain_counts[self.chains_of], self.head_counts[self.heads_of]])
        positions = np.concatenate([self.specials, self.chain_positions, self.head_positions])
        order = np.argsort(positions, kind="stable")
        steps = np.diff(positions[order], prepend=0.0)
        return np.asarray(tail_counts(counts[:, order]) * steps)

    def rows_by_heads(self) -> Iterator[tuple[Ints, int]]:
        """Members with the same heads, and the row of these."""
        order = np.argsort(self.heads_of, kind="stable")
        first = np.flatnonzero(np.diff(self.heads_of[order], prepend=-1))
        for block in np.split(order, first[1:]):
            yield block, int(self.heads_of[block[0]])


def _groups(architectures: Sequence[Architecture], costs: EditCosts) -> list[Group]:
    """One group a depth."""
    places = costs.positions
    chain_labels = sorted((label for label in places if label[0] == "f"), key=places.__getitem__)
    labels_of_heads = sorted((label for label in places if "_p-" in label), key=places.__getitem__)
    head_index = {label: index for index, label in enumerate(labels_of_heads)}
    chain_index = {label: index for index, label in enumerate(chain_labels)}
    members: dict[int, list[int]] = {}
    for number, architecture in enumerate(architectures):
        members.setdefault(len(architecture.layers), []).append(number)
    groups = []
    for numbers in members.values():
        heads: dict[tuple[tuple[tuple[int, int], ...], ...], int] = {}
        chains: dict[tuple[tuple[int, ...], ...], int] = {}
        heads_of, chains_of = np.empty((2, len(numbers)), dtype=np.intp)
        for index, number in enumerate(numbers):
            layers = architectures[number].layers
            try:
                key = tuple(
                    tuple((head_index[label], number) for label, number in Counter(head_labels(layer)).items())
                    for layer in layers
                )
                stacks = tuple(tuple(chain_index[f"f{size}"] for size in layer.feed_forward) for layer in layers)
            except KeyError as error:
                raise InputError(
                    f"distance: costs must have a position for every label, has none for {error}."
                ) from None
            heads_of[index] = heads.setdefault(key, len(heads))
            chains_of[index] = chains.setdefault(stacks, len(chains))
        most = max(len(labels) for key in heads for labels in key)
        table = np.array([[[*labels, *[(0, 0)] * (most - len(labels))] for labels in key] for key in heads], np.intp)
        longest = max(len(stack) for stacks in chains for stack in stacks)
        padded = [[[*stack, *[-1] * (longest - len(stack))] for stack in stacks] for stacks in chains]
        groups.append(
            Group(
                members=np.array(numbers, dtype=np.intp),
                heads_of=heads_of.astype(np.intp),
                labels=table[..., 0],
                num_heads=table[..., 1],
                chains_of=chains_of.astype(np.intp),
                chains=np.array(padded, dtype=np.int16),
                head_positions=np.array([places[label] for label in labels_of_heads]),
                chain_positions=np.array([places[label] for label in chain_labels]),
                specials=(places["input"], places["output"], places["add_norm"]),
            )
        )
    return groups


def tail_counts(counts: Ints) -> Ints:
    """Numbers of nodes at or above each place of the last axis."""
    return np.asarray(counts[..., ::-1].cumsum(axis=-1)[..., ::-1])
