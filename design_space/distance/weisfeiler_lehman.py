"""Weisfeiler-Lehman subtree kernel between architectures.

Each node starts from its label and takes, in each iteration, the label that its own, those of the nodes before it and
those of the nodes after it make together. A graph's features are the numbers of its nodes with each label, over all
iterations; the kernel is their inner product, normalised to 1 for a graph with itself.

Reference:
    Shervashidze et al. (2011), "Weisfeiler-Lehman Graph Kernels", JMLR 12, section 3.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from design_space.architecture import Architecture
from design_space.graph import GraphArrays, graph_arrays
from design_space.progress import Report

NUM_ITERATIONS = 3
_BLOCK = 1024
# Odd multipliers of a 64-bit mixing function (splitmix64, Steele et al. 2014).
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_BEFORE, _AFTER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)

Hashes = NDArray[np.uint64]


def wl_features(architectures: Sequence[Architecture], num_iterations: int = NUM_ITERATIONS) -> sparse.csr_array:
    """Numbers of nodes with each label.

    Args:
        architectures: n architectures.
        num_iterations: Rounds of relabelling, >= 0.

    Returns:
        Shape (n, labels), one column for each label of any iteration, float64.
    """
    graphs = graph_arrays(architectures)
    hashes = _mix(graphs.labels.astype(np.uint64))
    blocks = [_counts(hashes, graphs)]
    for _ in range(num_iterations):
        hashes = _relabel(hashes, graphs)
        blocks.append(_counts(hashes, graphs))
    return sparse.csr_array(sparse.hstack(blocks, format="csr"))


def wl_distances(
    rows: Sequence[Architecture],
    columns: Sequence[Architecture] | None = None,
    report: Report | None = None,
    num_iterations: int = NUM_ITERATIONS,
) -> NDArray[np.float32]:
    """Distances in the kernel's feature space, √(2 − 2k), in [0, √2].

    Args:
        rows: n architectures.
        columns: m architectures; None for the symmetric matrix of the rows.
        report: Told how many of the cells are done, and n · m.
        num_iterations: Rounds of relabelling.

    Returns:
        Shape (n, m), float32.
    """
    together = [*rows, *(columns or [])]
    features = wl_features(together, num_iterations)
    norms = np.sqrt(features.multiply(features).sum(axis=1))
    features = sparse.csr_array(sparse.diags_array(1 / norms) @ features)
    ours, theirs = features[: len(rows)], features if columns is None else features[len(rows) :]
    transposed = sparse.csc_array(theirs.T)
    distances = np.empty((len(rows), theirs.shape[0]), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        kernel = (ours[block] @ transposed).toarray()
        distances[block] = np.sqrt(np.clip(2 - 2 * kernel, 0, None))
        if report is not None:
            report(min(start + _BLOCK, len(rows)) * distances.shape[1], distances.size)
    if columns is None:
        np.fill_diagonal(distances, 0)
    return distances


def _relabel(hashes: Hashes, graphs: GraphArrays) -> Hashes:
    """New label of each node, from its own and the multisets of those before and after it."""
    source, target = graphs.edges
    before, after = np.zeros_like(hashes), np.zeros_like(hashes)
    np.add.at(before, target, hashes[source])
    np.add.at(after, source, hashes[target])
    return _mix(hashes + _BEFORE * _mix(before) + _AFTER * _mix(after))


def _mix(values: Hashes) -> Hashes:
    """A bijection of 64-bit words without visible structure, so that sums of different labels do not meet."""
    values = values + _BEFORE
    for shift, factor in zip((30, 27), _MIX, strict=True):
        values = (values ^ (values >> np.uint64(shift))) * factor
    return values ^ (values >> np.uint64(31))


def _counts(hashes: Hashes, graphs: GraphArrays) -> sparse.csr_array:
    """Nodes of each graph with each label that occurs, shape (n, labels)."""
    _, column = np.unique(hashes, return_inverse=True)
    shape = (graphs.num_graphs, int(column.max(initial=-1)) + 1)
    ones = np.ones(len(column))
    return sparse.csr_array(sparse.coo_array((ones, (graphs.graph_of, column)), shape=shape))
