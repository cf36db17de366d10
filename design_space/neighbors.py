"""Which architectures lie close: in feature or embedding space, or by the layers they share from the input on."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from design_space.architecture import Architecture

MIN_OVERLAP = 0.8
_BLOCK_CELLS = 20_000_000


def nearest(
    points: NDArray[np.float64], rows: NDArray[np.float64], num_neighbors: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The rows nearest to each point.

    Args:
        points: Shape (m, d), such as points of an embedding.
        rows: Candidates, shape (n, d).
        num_neighbors: For each point, k; all rows where there are fewer.

    Returns:
        Row numbers, nearest first, of equals the first one first, shape (m, k); and their Euclidean distances.
    """

    def block(part: slice) -> NDArray[np.float64]:
        return np.asarray(cdist(points[part], rows))

    return _least(block, len(points), len(rows), num_neighbors)


def most_overlapping(
    targets: Sequence[Architecture], sources: Sequence[Architecture], num_neighbors: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The sources that share most with each target, by biased overlap.

    Args:
        targets: m architectures.
        sources: n architectures.
        num_neighbors: For each target, k; all sources where there are fewer.

    Returns:
        Numbers of the sources, greatest overlap first, of equals the first one first, shape (m, k); and the overlaps.
    """
    ours, theirs = _blocks(targets, sources)

    def block(part: slice) -> NDArray[np.float64]:
        return -_overlaps(ours[part], theirs)

    numbers, negated = _least(block, len(targets), len(sources), num_neighbors)
    return numbers, -negated


def overlap(source: Architecture, target: Architecture) -> float:
    """Share of the target's blocks, from the input on, that the source has too.

    A layer has two blocks: its operation (with hidden size and heads) and its feed-forward stack. Counting stops at the
    first difference. Embeddings are not counted.

    Args:
        source: Trained architecture.
        target: Architecture to start.

    Returns:
        In [0, 1]; 1 where all blocks of the target stand in the source.
    """
    return float(_overlaps(*_blocks([target], [source]))[0, 0])


def best_parent(
    target: Architecture, trained: Iterable[Architecture], min_overlap: float = MIN_OVERLAP
) -> tuple[Architecture, float] | None:
    """The trained architecture with the greatest biased overlap, if that is enough.

    Args:
        target: Architecture to start.
        trained: Architectures with trained weights; of equals the first wins.
        min_overlap: Least overlap worth a transfer.

    Returns:
        The parent and its overlap, or None.
    """
    blocks = target.blocks
    start = next((blocks[:most] for most in range(len(blocks) + 1) if most / len(blocks) >= min_overlap), None)
    sources = [architecture for architecture in trained if start == architecture.blocks[: len(start)]] if start else []
    if not sources:
        return None
    numbers, overlaps = most_overlapping([target], sources, 1)
    return sources[numbers[0, 0]], float(overlaps[0, 0])


def _blocks(*several: Sequence[Architecture]) -> list[NDArray[np.int32]]:
    """The blocks of each architecture as numbers, the same for equal blocks, −1 beyond the end; each (n, blocks)."""
    numbers: dict[object, int] = {}
    most = max((len(architecture.blocks) for group in several for architecture in group), default=0)
    tables = []
    for group in several:
        table = np.full((len(group), most), -1, dtype=np.int32)
        for row, architecture in enumerate(group):
            for place, block in enumerate(architecture.blocks):
                table[row, place] = numbers.setdefault(block, len(numbers))
        tables.append(table)
    return tables


def _overlaps(targets: NDArray[np.int32], sources: NDArray[np.int32]) -> NDArray[np.float64]:
    """Biased overlap of each pair, shape (m, n)."""
    equal = np.zeros((len(targets), len(sources)), dtype=np.int16)
    alive = np.ones(equal.shape, dtype=bool)
    for ours, theirs in zip(targets.T, sources.T, strict=True):
        alive &= (ours[:, None] == theirs) & (ours >= 0)[:, None]
        equal += alive
    return np.asarray(equal / (targets >= 0).sum(axis=1)[:, None])


def _least(
    block: Callable[[slice], NDArray[np.float64]], num_rows: int, num_columns: int, number: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The least entries of each row of a matrix that is made block by block, and where they stand."""
    number = min(number, num_columns)
    columns = np.empty((num_rows, number), dtype=np.intp)
    values = np.empty((num_rows, number))
    step = max(1, _BLOCK_CELLS // max(num_columns, 1))
    for start in range(0, num_rows, step):
        part = slice(start, start + step)
        cells = block(part)
        columns[part] = _first_least(cells, number)
        values[part] = np.take_along_axis(cells, columns[part], axis=1)
    return columns, values


def _first_least(cells: NDArray[np.float64], number: int) -> NDArray[np.intp]:
    """Columns of the least entries of each row, ascending, of equals the first one first, shape (m, number)."""
    if number in (0, cells.shape[1]):
        return np.argsort(cells, axis=1, kind="stable")[:, :number]
    bound = np.partition(cells, number - 1, axis=1)[:, number - 1 : number]
    below, ties = cells < bound, cells == bound
    room = number - below.sum(axis=1, keepdims=True)
    chosen = below | (ties & (ties.cumsum(axis=1) <= room))
    columns = np.nonzero(chosen)[1].reshape(len(cells), number)
    order = np.argsort(np.take_along_axis(cells, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
