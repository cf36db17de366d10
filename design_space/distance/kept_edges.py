"""How many edges an alignment of two graphs' layers keeps.

1. The layers of the shallower graph are laid on layers of the deeper one, in every way that `align` knows.
2. Heads that go to the layer's image keep edges. They may go there where labels are equal, or where transport moves
   nodes that way at all: the capacity of a cut is the difference of tail counts. Intervals that end first are served
   first, which is optimal among intervals of equal weight.
3. Chains of feed-forwards likewise, node by node.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from design_space.distance.arrays import Counts, Group, Ints, tail_counts

_MAX_PERMUTED_DEPTH = 4  # deeper graphs: alignments that keep the order of layers
_MAX_TABLE = 20_000_000  # entries of the table of chains; 2 bytes each
_MAX_CELLS = 8_000_000  # of a block of capacities; 2 bytes each
_UNLIMITED = 2**14

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Alignments:
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
def align(depth: int, other: int, reorder: bool) -> Alignments:
    """All injections up to four layers where layers may be reordered; else those that keep the order.

    Both add_norms of a layer go to one layer. But where depths differ and layers may be reordered, the second ones also
    go their own way: then a stack may span what is inserted. And input and output may go to the add_norm before and
    after the image, so that nothing is cut there.
    """
    if reorder and other <= _MAX_PERMUTED_DEPTH:
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
    return Alignments(first, keeps_input, keeps_end, num_kept, num_shifts)


def kept_by_heads(ours: Group, row: int, theirs: Group, alignments: Alignments) -> Counts:
    """Edges that heads keep by going to the image of their layer, shape (U of theirs, R).

    Args:
        ours: Group of the graph.
        row: Of its heads.
        theirs: Group of the other graphs.
        alignments: Of its layers on theirs.
    """
    step = max(1, _MAX_CELLS // (len(alignments.images) * len(ours.head_positions)))
    starts = range(0, len(theirs.labels), step)
    return np.concatenate(
        [_kept_by_heads(ours, row, theirs, slice(start, start + step), alignments) for start in starts]
    )


def _kept_by_heads(ours: Group, row: int, theirs: Group, block: slice, alignments: Alignments) -> Counts:
    """The same for some of their rows of heads."""
    labels, numbers = ours.labels[row].astype(np.int16), ours.num_heads[row].astype(np.int16)
    images = theirs.labels[block].astype(np.int16)[:, alignments.images]
    image_numbers = theirs.num_heads[block].astype(np.int16)[:, alignments.images]
    weight = np.broadcast_to(1 + alignments.keeps_input.astype(np.int16), images.shape[:3])
    kept = np.zeros(images.shape[:2], dtype=np.int16)
    for one, other in itertools.product(range(labels.shape[1]), range(images.shape[3])):
        equal = images[..., other] == labels[:, one]
        both = np.minimum(numbers[:, one], image_numbers[..., other])
        kept += (both * weight * equal).sum(axis=2, dtype=np.int16)
    # Of mixed heads those with unequal labels count as moved elsewhere.
    alike = (numbers[:, 1:] == 0).all(axis=1) & (image_numbers[..., 1:] == 0).all(axis=3)
    if not alike.any():
        return kept
    label, image = labels[:, 0], images[..., 0]
    movable = np.minimum(numbers[:, 0], image_numbers[..., 0]) * alike
    capacity = (tail_counts(ours.head_counts[row]) - tail_counts(theirs.head_counts[block])).astype(np.int16)
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
    direction = np.sign(source - target)
    free = np.where(crossed, capacity * direction[..., None], _UNLIMITED).min(axis=-1)
    sent: Counts = np.maximum(np.minimum(limit * np.abs(direction), free), 0)
    capacity -= crossed * (direction * sent)[..., None]
    return sent


ChainTable = Callable[[int, Ints, Ints], Counts]


def chain_table(ours: Group, theirs: Group, alignments: Alignments) -> ChainTable:
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
    ours: Group, row: int, theirs: Group, others: Ints, surplus: Ints, alignments: Alignments
) -> Counts:
    """Edges that stacks keep by going, node by node, to the stack of their layer's image, shape (m, R).

    Stacks of unequal length are laid on each other from their starts, or all of them from their ends.
    """
    surplus = surplus[:, None] + tail_counts(ours.chain_counts[row]) - tail_counts(theirs.chain_counts)[others]
    lengths = theirs.lengths[others][:, alignments.images]
    capacity = np.broadcast_to(surplus[:, None].astype(np.int16), (2, *lengths.shape[:2], surplus.shape[1])).copy()
    kept = np.zeros(capacity.shape[:3], dtype=np.int16)
    for slot in range(ours.depth):
        length, image_lengths = int(ours.lengths[row, slot]), lengths[..., slot]
        image = theirs.chains_both_ways[:, others[:, None], alignments.images[:, slot]]
        at_end = alignments.keeps_end[:, slot]
        at_start = np.ones_like(at_end)
        arrived = np.stack([at_start, at_end])[:, None]
        last = np.stack([at_end, at_start])[:, None]
        for place in range(min(length, image.shape[3])):
            exists = place < image_lengths
            source, target = ours.chains_both_ways[:, row, slot, place][:, None, None], image[..., place]
            sent = _flow(capacity, source, target, exists.astype(np.int16))
            goes = exists & ((source == target) | (sent > 0))
            kept += goes & arrived  # the node before went to the node before
            if place + 1 == length:
                kept += goes & last & (length == image_lengths)
            arrived = goes
    return np.asarray(kept.max(axis=0))
