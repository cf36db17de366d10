"""Graph edit distance between architectures: an upper bound from real edit paths, and a lower bound beside it.

Labels stand on a line, so the cheapest assignment of nodes is optimal transport in one dimension. Its cost is the area
between the two graphs' tail counts (how many nodes stand at or above a position; what is deleted goes to 0, what is
inserted comes from there). Among the assignments of that cost, one that keeps many edges is wanted (`kept_edges`); a
dearer one costs at least 2 more where positions are integers, and keeps a few edges of 0.1 in return.

All that is not aligned is assigned in sorted order, its edges deleted and inserted anew. This is a real edit path, so
its cost is never below the distance.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from design_space.distance.arrays import Graphs, Group, Ints
from design_space.distance.kept_edges import align, chain_table, kept_by_heads
from design_space.progress import Report


def edit_distances(
    rows: Graphs,
    columns: Graphs | None = None,
    report: Report | None = None,
    *,
    reorder: bool = True,
) -> NDArray[np.float32]:
    """Upper bounds of the graph edit distances; each is the cost of a real edit path.

    Args:
        rows: n graphs.
        columns: m graphs with the same costs; None for the symmetric matrix of the rows.
        report: Told how many of the cells are done, and n · m.
        reorder: Whether layers of up to four may be laid on each other in any order. If not, the bounds are a few
            edges higher where layers are permuted, and cost a fraction of the time.

    Returns:
        Shape (n, m), float32; symmetric with a zero diagonal where columns is None. Beside it the memory is bounded.
    """
    others = rows if columns is None else columns
    distances = np.empty((len(rows), len(others)), dtype=np.float32)
    done = 0
    for ours, theirs in itertools.product(rows.groups, others.groups):
        if ours.depth <= theirs.depth:
            blocks, cells_of = _blocks(ours, theirs, rows.costs.edge, reorder), distances
        else:
            blocks, cells_of = _blocks(theirs, ours, rows.costs.edge, reorder), distances.T
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


def _blocks(ours: Group, theirs: Group, edge: float, reorder: bool) -> Iterator[tuple[Ints, Ints, NDArray[np.float64]]]:
    """Row numbers, column numbers and distances, block by block; ours are no deeper than theirs."""
    alignments = align(ours.depth, theirs.depth, reorder)
    kept_by_chains = chain_table(ours, theirs, alignments)
    has_shifts = alignments.num_shifts.any()
    for block, row in ours.rows_by_heads():
        heads = kept_by_heads(ours, row, theirs, alignments) + alignments.num_kept
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


def _symmetrise(distances: NDArray[np.float32], block: int = 1024) -> None:
    """Take the lower of both directions, in place; a path read backwards is a path."""
    for start in range(0, len(distances), block):
        rows = slice(start, start + block)
        lower = np.minimum(distances[rows, start:], distances[start:, rows].T)
        distances[rows, start:] = lower
        distances[start:, rows] = lower.T
