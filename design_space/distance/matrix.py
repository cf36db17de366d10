"""Distance matrices of every kind, kept by the hash of what they were computed from."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from design_space.architecture import Architecture
from design_space.distance.arrays import Graphs
from design_space.distance.costs import EditCosts
from design_space.distance.edit import edit_distances
from design_space.distance.weisfeiler_lehman import wl_distances
from design_space.encoding import encode
from design_space.files import written_whole
from design_space.progress import Report
from design_space.space import DesignSpace

Kind = Literal["ged", "wl", "naive"]
"""Graph edits, Weisfeiler-Lehman features, or flat choices."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""All of them."""
MAX_GRAPHS = 50_000  # 10 GB as float32
_VERSION = 1  # of the numbers: another one where the same input gives others
_BLOCK = 1024
_TOLERANCE = 1e-4

logger = logging.getLogger(__name__)


def distances(
    space: DesignSpace,
    kind: Kind,
    rows: Sequence[Architecture],
    columns: Sequence[Architecture] | None = None,
    report: Report | None = None,
) -> NDArray[np.float32]:
    """Distances between architectures of a space.

    Args:
        space: Gives the order of labels (`ged`) or the columns (`naive`).
        kind: "ged" graph edit distance, "wl" Weisfeiler-Lehman, "naive" Euclidean between the flat choices.
        rows: n architectures.
        columns: m architectures; None for the symmetric matrix of the rows.
        report: Told how many of the cells are done, and n · m.

    Returns:
        Shape (n, m), float32.
    """
    if kind == "wl":
        return wl_distances(rows, columns, report)
    if kind == "naive":
        return _naive_distances(space, rows, columns, report)
    costs = EditCosts.of(space)
    return edit_distances(Graphs(rows, costs), None if columns is None else Graphs(columns, costs), report)


def cached_distances(
    space: DesignSpace,
    kind: Kind,
    architectures: Sequence[Architecture],
    folder: Path,
    report: Report | None = None,
) -> NDArray[np.float32]:
    """The symmetric matrix of some architectures, from a file where it was computed before.

    Args:
        space: As in `distances`.
        kind: As in `distances`.
        architectures: n architectures, in the order of rows and columns.
        folder: Holds one file a matrix, named by the hash of all that it depends on; made where absent.
        report: As in `distances`.

    Returns:
        Shape (n, n), float32; mapped from the file and read only where it was there. A file that cannot be read is
        computed anew, and one that cannot be written is done without, both with a warning.
    """
    path = folder / f"{kind}-{content_hash(space, kind, architectures)}.npy"
    shape = (len(architectures), len(architectures))
    try:
        mapped: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.shape == shape and mapped.dtype == np.float32:
            return mapped
        logger.warning("%s is not the matrix that its name says; it is computed anew", path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError):
        logger.warning("%s cannot be read; the matrix is computed anew", path)
    matrix = distances(space, kind, architectures, report=report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_array(path, matrix)
    except OSError as error:
        logger.warning("the matrix is not kept: %s cannot be written (%s)", path, error.strerror)
    return matrix


def content_hash(space: DesignSpace, kind: Kind, architectures: Sequence[Architecture]) -> str:
    """SHA-256 over all that a matrix depends on, the first 16 hexadecimal digits."""
    content = {
        "version": _VERSION,
        "kind": kind,
        "choices": space.content.architecture.model_dump(mode="json", by_alias=True),
        "ids": [architecture.id for architecture in architectures],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def save_array(path: Path, array: NDArray[np.float32]) -> None:
    """Write a .npy file whole or not at all."""
    with written_whole(path) as file:
        np.save(file, array, allow_pickle=False)


def triangle_violations(matrix: NDArray[np.float32], num_triples: int, rng: np.random.Generator) -> tuple[int, float]:
    """How many of random triples have d(a, c) > d(a, b) + d(b, c), and by how much at most.

    Args:
        matrix: Symmetric distances, shape (n, n).
        num_triples: Drawn with replacement.
        rng: Source of randomness.

    Returns:
        Their number, beyond rounding, and the greatest excess (0 where there is none).
    """
    a, b, c = rng.integers(len(matrix), size=(3, num_triples))
    excess = np.asarray(matrix[a, c] - matrix[a, b] - matrix[b, c])
    violations = excess[excess > _TOLERANCE]
    return len(violations), float(violations.max(initial=0.0))


def _naive_distances(
    space: DesignSpace, rows: Sequence[Architecture], columns: Sequence[Architecture] | None, report: Report | None
) -> NDArray[np.float32]:
    ours = encode(space, rows)
    theirs = ours if columns is None else encode(space, columns)
    matrix = np.empty((len(ours), len(theirs)), dtype=np.float32)
    for start in range(0, len(ours), _BLOCK):
        matrix[start : start + _BLOCK] = cdist(ours[start : start + _BLOCK], theirs)
        if report is not None:
            report(min(start + _BLOCK, len(ours)) * len(theirs), matrix.size)
    return matrix
