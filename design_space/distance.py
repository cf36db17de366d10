"""Graph edit distance between architectures: an upper bound from real edit paths, and a lower bound beside it.

Labels stand on a line, so the cheapest assignment of nodes is optimal transport in one dimension. Its cost is the area
between the two graphs' tail counts (how many nodes stand at or above a position; what is deleted goes to 0, what is
inserted comes from there). Among the assignments of that cost, one that keeps many edges is wanted; a dearer one costs
at least 2 more where positions are integers, and keeps a few edges of 0.1 in return.

1. The layers of the shallower graph are laid on layers of the deeper one, in every way that `_alignments` knows.
2. Heads that go to the layer's image keep edges. They may go there where labels are equal, or where transport moves
   nodes that way at all: the capacity of a cut is the difference of tail counts. Intervals that end first are served
   first, which is optimal among intervals of equal weight.
3. Chains of feed-forwards likewise, node by node.

All that is left is assigned in sorted order, its edges deleted and inserted anew. This is a real edit path, so its cost
is never below the distance.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from design_space.architecture import Architecture
from design_space.errors import InputError
from design_space.graph import operation_label
from design_space.space import DesignSpace

EDGE_COST = 0.1
_MAX_PERMUTED_DEPTH = 4  # deeper graphs: alignments that keep the order of layers
_MAX_TABLE = 20_000_000  # entries of the table of chains; 2 bytes each
_UNLIMITED = 2**14

Ints = NDArray[np.intp]
Counts = NDArray[np.int16]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class EditCosts:
    """Cost of each edit: substitution the difference of two positions, deletion and insertion the position itself.

    Attributes:
        positions: Place of each label on a line, >= 0.
        edge: Deletion or insertion of an edge; an edge between the images of its ends costs nothing.

    Reference:
        Tuli, Dedhia, Tuli, Jha (2023), "FlexiBERT", JAIR 77, section 3.2.
    """

    positions: Mapping[str, float]
    edge: float = EDGE_COST

    @classmethod
    def of(cls, space: DesignSpace, edge: float = EDGE_COST) -> Self:
        """Positions in the published order: special nodes, feed-forwards, linear transforms, attention, convolutions.

        Within a group labels ascend by size, then by parameter; a gap between two groups takes a place.
        """
        choices = space.content.architecture
        groups = [["input", "output", "add_norm"], [f"f{size}" for size in sorted(choices.feed_forward_hidden)]]
        for operation in ("l", "sa", "c"):
            parameters = choices.operation_parameters.get(operation, [])
            groups.append([f"{operation}_h{h}_p-{p}" for h in sorted(choices.hidden_size) for p in parameters])
        line = [label for group in groups if group for label in [*group, None]]
        return cls({label: float(place) for place, label in enumerate(line) if label}, edge)


class Graphs:
    """The graphs of architectures as arrays, read once for any number of distances.

    Args:
        architectures: n architectures of any depth.
        costs: Of the edits.

    Raises:
        InputError: If a label has no position.
    """

    def __init__(self, architectures: Sequence[Architecture], costs: EditCosts) -> None:
        self.costs = costs
        self.groups = _groups(architectures, costs)

    def __len__(self) -> int:
        return sum(len(group.members) for group in self.groups)


def edit_distances(
    rows: Graphs, columns: Graphs | None = None, report: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """Upper bounds of the graph edit distances; each is the cost of a real edit path.

    Args:
        rows: n graphs.
        columns: m graphs with the same costs; None for the symmetric matrix of the rows.
        report: Told how many of the cells are done, and n · m.

    Returns:
        Shape (n, m), float32; symmetric with a zero diagonal where columns is None. Beside it the memory is bounded.
    """
    others = rows if columns is None else columns
    distances = np.empty((len(rows), len(others)), dtype=np.float32)
    done = 0
    for ours, theirs in itertools.product(rows.groups, others.groups):
        if ours.depth <= theirs.depth:
            blocks, cells_of = _blocks(ours, theirs, rows.costs.edge), distances
        else:
            blocks, cells_of = _blocks(theirs, ours, rows.costs.edge), distances.T
        for row_numbers, column_numbers, cells in blocks:
            cells_of[np.ix_(row_numbers, column_numbers)] = cells
            done += cells.size
            if report is not None:
                report(done, distances.size)
    if columns is None:
        _symmetrise(distances)
    return distances


def lower_bounds(rows: Graphs, columns: Graphs) -> NDArray[np.float32]:
    """What no edit path can undercut: the cheapest assignment of nodes, and the difference in numbers of edges.

    Args:
        rows: n graphs.
        columns: m graphs with the same costs.

    Returns:
        Shape (n, m), float32.
    """
    bounds = np.empty((len(rows), len(columns)), dtype=np.float32)
    for ours, theirs in itertools.product(rows.groups, columns.groups):
        nodes = cdist(ours.tails, theirs.tails, "cityblock")
        edges = np.abs(ours.num_edges[:, None] - theirs.num_edges)
        bounds[np.ix_(ours.members, theirs.members)] = nodes + rows.costs.edge * edges
    return bounds


@dataclass(frozen=True)
class _Group:
    """Architectures of one depth D, as arrays; different ones share a row of `heads` or of `chains`.

    Attributes:
        members: Their places in the caller's sequence, shape (n,).
        heads_of: Row of `labels` and `num_heads` of each, shape (n,).
        labels: Label of a layer's heads, counted from the least position, shape (U, D).
        num_heads: Shape (U, D).
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
    chains: Ints
    head_positions: NDArray[np.float64]
    chain_positions: NDArray[np.float64]
    specials: tuple[float, float, float]

    @property
    def depth(self) -> int:
        return int(self.labels.shape[1])

    @cached_property
    def lengths(self) -> Ints:
        """Sizes in each stack, shape (V, D)."""
        return np.asarray((self.chains >= 0).sum(axis=2))

    @cached_property
    def total_heads(self) -> Ints:
        """Shape (U,)."""
        return np.asarray(self.num_heads.sum(axis=1))

    @cached_property
    def head_counts(self) -> Ints:
        """Heads of each label, shape (U, P)."""
        counts = np.zeros((len(self.labels), len(self.head_positions)), dtype=np.intp)
        for slot in range(self.depth):
            np.add.at(counts, (np.arange(len(counts)), self.labels[:, slot]), self.num_heads[:, slot])
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
        return np.asarray(_tail_counts(counts[:, order]) * steps)

    def rows_by_heads(self) -> Iterator[tuple[Ints, int]]:
        """Members with the same heads, and the row of these."""
        order = np.argsort(self.heads_of, kind="stable")
        first = np.flatnonzero(np.diff(self.heads_of[order], prepend=-1))
        for block in np.split(order, first[1:]):
            yield block, int(self.heads_of[block[0]])


@dataclass(frozen=True)
class _Alignments:
    """R ways to lay the layers of one graph on those of another that is as deep or deeper.

    Attributes:
        images: Image of each layer's first add_norm; heads and stack go there too. Shape (R, D).
        keeps_input: Whether a head that goes there keeps its incoming edge, shape (R, D).
        keeps_end: Whether the stack's last edge is kept, shape (R, D).
        num_kept: Residual and output edges kept, shape (R,).
        num_shifts: How many of input and output go to an add_norm; so many nodes the other must have more, for else
            that is not among the cheapest assignments. Shape (R,).
    """

    images: Ints
    keeps_input: Bools
    keeps_end: Bools
    num_kept: Ints
    num_shifts: Ints


@cache
def _alignments(depth: int, other: int) -> _Alignments:
    """All injections up to four layers, for both add_norms of a layer alike; else those that keep the order.

    Where depths differ the second add_norms also go their own way: then a stack may span what is inserted. And input
    and output may go to the add_norm before and after the image, so that nothing is cut there.
    """
    if other <= _MAX_PERMUTED_DEPTH:
        firsts = list(itertools.permutations(range(other), depth))
        pairs = list(itertools.product(firsts, firsts)) if depth < other else [(each, each) for each in firsts]
    else:
        gap = other - depth
        firsts = [tuple(i + (gap if i >= cut else 0) for i in range(depth)) for cut in range(depth + 1)]
        firsts += [tuple(i + shift for i in range(depth)) for shift in range(1, gap)]
        pairs = [(each, each) for each in dict.fromkeys(firsts)]
    ways = []
    for one, two in pairs:
        # Where input and output may go: to their own images, or to the add_norms next to those of the layers.
        starts = sorted({-1, one[0] - 1} - set(two)) if depth < other else [-1]
        ends = sorted({other, two[-1] + 1} - set(one)) if depth < other else [other]
        ways += [(one, two, start, end) for start, end in itertools.product(starts, ends)]
    first = np.array([one for one, _, _, _ in ways], dtype=np.intp)
    second = np.array([two for _, two, _, _ in ways], dtype=np.intp)
    start = np.array([place for _, _, place, _ in ways], dtype=np.intp)
    end = np.array([place for _, _, _, place in ways], dtype=np.intp)
    keeps_input = np.equal(first, np.hstack([start[:, None], second[:, :-1]]) + 1)
    keeps_end = np.equal(first, second)
    num_kept = keeps_input.sum(axis=1) + keeps_end.sum(axis=1) + np.equal(end, second[:, -1] + 1)
    num_shifts = np.greater_equal(start, 0).astype(np.intp) + np.less(end, other)
    return _Alignments(first, keeps_input, keeps_end, num_kept, num_shifts)


def _blocks(ours: _Group, theirs: _Group, edge: float) -> Iterator[tuple[Ints, Ints, NDArray[np.float64]]]:
    """Row numbers, column numbers and distances, block by block; ours are no deeper than theirs."""
    alignments = _alignments(ours.depth, theirs.depth)
    kept_by_chains = _chain_table(ours, theirs, alignments)
    has_shifts = alignments.num_shifts.any()
    for block, row in ours.rows_by_heads():
        heads = _kept_by_heads(ours, row, theirs, alignments) + alignments.num_kept
        more_heads = ours.total_heads[row] - theirs.total_heads
        cells = cdist(ours.tails[block], theirs.tails, "cityblock")
        for place, member in enumerate(block):
            kept = heads[theirs.heads_of]
            kept += kept_by_chains(ours.chains_of[member], theirs.chains_of, more_heads[theirs.heads_of])
            if has_shifts:
                room = np.maximum(theirs.num_nodes - ours.num_nodes[member], 0)
                kept[room[:, None] < alignments.num_shifts] = 0
            num_edges = ours.num_edges[member] + theirs.num_edges
            cells[place] += edge * (num_edges - 2 * kept.max(axis=1))
        yield ours.members[block], theirs.members, cells


def _kept_by_heads(ours: _Group, row: int, theirs: _Group, alignments: _Alignments) -> Counts:
    """Edges that heads keep by going to the image of their layer, shape (U of theirs, R).

    Args:
        ours: Group of the graph.
        row: Of its heads.
        theirs: Group of the other graphs.
        alignments: Of its layers on theirs.
    """
    label, number = ours.labels[row].astype(np.int16), ours.num_heads[row].astype(np.int16)
    image = theirs.labels.astype(np.int16)[:, alignments.images]
    movable = np.minimum(number, theirs.num_heads.astype(np.int16)[:, alignments.images])
    weight = np.broadcast_to(1 + alignments.keeps_input.astype(np.int16), movable.shape)
    kept = (movable * weight * (image == label)).sum(axis=2, dtype=np.int16)
    capacity = (_tail_counts(ours.head_counts[row]) - _tail_counts(theirs.head_counts)).astype(np.int16)
    capacity = np.repeat(capacity[:, None], alignments.images.shape[0], axis=1)
    top = np.maximum(label, image)
    # Heads that keep both edges first, then the interval that ends first.
    order = np.argsort(top - len(ours.head_positions) * weight, axis=2, kind="stable")
    for place in range(ours.depth):
        chosen = order[..., place : place + 1]
        source = label[chosen[..., 0]]
        target, limit, worth = (np.take_along_axis(a, chosen, axis=2)[..., 0] for a in (image, movable, weight))
        kept += worth * _flow(capacity, source, target, limit)
    return np.asarray(kept)


def _flow(capacity: Counts, source: Counts, target: Counts, limit: Counts) -> Counts:
    """Send nodes between unequal labels as far as all cuts between them allow, and take that from the capacity.

    Args:
        capacity: Nodes that must go down across each cut, negative where up, shape (..., P); reduced in place.
        source: Labels, shape (...).
        target: Labels, same shape.
        limit: Nodes at most, same shape.

    Returns:
        Nodes sent, same shape; 0 where the labels are equal.
    """
    cuts = np.arange(capacity.shape[-1], dtype=np.int16)
    low, high = np.minimum(source, target)[..., None], np.maximum(source, target)[..., None]
    crossed = (cuts > low) & (cuts <= high)
    direction = np.where(source > target, 1, -1).astype(np.int16)[..., None]
    free = np.where(crossed, capacity * direction, _UNLIMITED).min(axis=-1)
    sent = np.where(source == target, 0, np.clip(np.minimum(limit, free), 0, None)).astype(np.int16)
    capacity -= crossed * direction * sent[..., None]
    return sent


ChainTable = Callable[[int, Ints, Ints], Counts]


def _chain_table(ours: _Group, theirs: _Group, alignments: _Alignments) -> ChainTable:
    """Function of our row of chains, their rows (m,) and our surplus of heads (m,) that gives kept edges (m, R).

    Looked up where all that can occur fits into a table, computed where not.
    """
    surpluses = ours.total_heads[:, None] - theirs.total_heads
    least, span = int(surpluses.min()), int(np.ptp(surpluses)) + 1
    shape = (len(ours.chains), len(theirs.chains), span)
    num_alignments = len(alignments.images)
    if np.prod(shape, dtype=float) * num_alignments > min(_MAX_TABLE, len(ours.members) * len(theirs.members) * 24):
        return lambda row, others, surplus: _kept_by_chains(ours, row, theirs, others, surplus, alignments)
    table = np.empty((*shape, num_alignments), dtype=np.int16)
    others, surplus = (grid.ravel() for grid in np.indices(shape[1:]))
    for row in range(shape[0]):
        kept = _kept_by_chains(ours, row, theirs, others, surplus + least, alignments)
        table[row] = kept.reshape(*shape[1:], num_alignments)
    return lambda row, others, surplus: table[row, others, surplus - least]


def _kept_by_chains(
    ours: _Group, row: int, theirs: _Group, others: Ints, surplus: Ints, alignments: _Alignments
) -> Counts:
    """Edges that stacks keep by going, node by node, to the stack of their layer's image, shape (m, R).

    Stacks of unequal length are laid on each other from their starts, or all of them from their ends.
    """
    surplus = surplus[:, None] + _tail_counts(ours.chain_counts[row]) - _tail_counts(theirs.chain_counts)[others]
    lengths = theirs.lengths[others][:, alignments.images]
    best = np.zeros(lengths.shape[:2], dtype=np.int16)
    for from_end in (False, True):
        capacity = np.repeat(surplus[:, None].astype(np.int16), len(alignments.images), axis=1)
        kept = np.zeros_like(best)
        for slot in range(ours.depth):
            length, image_lengths = int(ours.lengths[row, slot]), lengths[..., slot]
            image = theirs.chains.astype(np.int16)[others[:, None], alignments.images[:, slot]]
            at_end = np.broadcast_to(alignments.keeps_end[:, slot], kept.shape)
            at_start = np.ones_like(at_end)
            first, last = (at_end, at_start) if from_end else (at_start, at_end)
            arrived = first  # the node before went to the node before
            for place in range(min(length, image.shape[2])):
                ours_at, theirs_at = (length - 1 - place, image_lengths - 1 - place) if from_end else (place, place)
                exists = place < image_lengths
                source = ours.chains[row, slot, ours_at].astype(np.int16)
                at = np.broadcast_to(np.clip(theirs_at, 0, None), kept.shape)[..., None]
                target = np.take_along_axis(image, at, axis=2)[..., 0]
                goes = exists & ((source == target) | (_flow(capacity, source, target, exists.astype(np.int16)) > 0))
                kept += goes & arrived
                kept += goes & last & (place + 1 == length) & (place + 1 == image_lengths)
                arrived = goes
        best = np.maximum(best, kept)
    return best


def _groups(architectures: Sequence[Architecture], costs: EditCosts) -> list[_Group]:
    """One group a depth."""
    places = costs.positions
    chain_labels = sorted((label for label in places if label[0] == "f"), key=places.__getitem__)
    head_labels = sorted((label for label in places if "_p-" in label), key=places.__getitem__)
    head_index = {label: index for index, label in enumerate(head_labels)}
    chain_index = {label: index for index, label in enumerate(chain_labels)}
    members: dict[int, list[int]] = {}
    for number, architecture in enumerate(architectures):
        members.setdefault(len(architecture.layers), []).append(number)
    groups = []
    for numbers in members.values():
        heads: dict[tuple[tuple[int, int], ...], int] = {}
        chains: dict[tuple[tuple[int, ...], ...], int] = {}
        heads_of, chains_of = np.empty((2, len(numbers)), dtype=np.intp)
        for index, number in enumerate(numbers):
            layers = architectures[number].layers
            try:
                key = tuple((head_index[operation_label(layer)], layer.num_heads) for layer in layers)
                stacks = tuple(tuple(chain_index[f"f{size}"] for size in layer.feed_forward) for layer in layers)
            except KeyError as error:
                raise InputError(
                    f"distance: costs must have a position for every label, has none for {error}."
                ) from None
            heads_of[index] = heads.setdefault(key, len(heads))
            chains_of[index] = chains.setdefault(stacks, len(chains))
        longest = max(len(stack) for stacks in chains for stack in stacks)
        padded = [[[*stack, *[-1] * (longest - len(stack))] for stack in stacks] for stacks in chains]
        groups.append(
            _Group(
                members=np.array(numbers, dtype=np.intp),
                heads_of=heads_of.astype(np.intp),
                labels=np.array([[label for label, _ in key] for key in heads], dtype=np.intp),
                num_heads=np.array([[count for _, count in key] for key in heads], dtype=np.intp),
                chains_of=chains_of.astype(np.intp),
                chains=np.array(padded, dtype=np.intp),
                head_positions=np.array([places[label] for label in head_labels]),
                chain_positions=np.array([places[label] for label in chain_labels]),
                specials=(places["input"], places["output"], places["add_norm"]),
            )
        )
    return groups


def _tail_counts(counts: Ints) -> Ints:
    """Numbers of nodes at or above each place of the last axis."""
    return np.flip(np.flip(counts, axis=-1).cumsum(axis=-1), axis=-1)


def _symmetrise(distances: NDArray[np.float32], block: int = 1024) -> None:
    """Take the lower of both directions, in place; a path read backwards is a path."""
    for start in range(0, len(distances), block):
        rows = slice(start, start + block)
        lower = np.minimum(distances[rows, start:], distances[start:, rows].T)
        distances[rows, start:] = lower
        distances[start:, rows] = lower.T
