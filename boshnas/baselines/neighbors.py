"""Which rows of a pool are next to a row: the steps of evolution and of local search."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]

TOLERANCE = 0.5
"""Distances that differ by less count as one: a category that changes, whatever its number of levels, and with it the
totals over its layers, is one step. A numeric column is 1 long."""


def nearest(X: NDArray[np.float64], row: int, among: Rows) -> Rows:
    """The rows at the least L1 distance from one row, and those less than `TOLERANCE` farther.

    Args:
        X: Features of the pool, shape (N, d).
        row: Where to stand.
        among: Rows to choose from, ascending, at least one.

    Returns:
        Members of `among`, ascending, at least one.

    Example:
        >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.9]])
        >>> nearest(X, 0, np.array([1, 2, 3]))
        array([1, 3])
    """
    distances = np.abs(X[among] - X[row]).sum(axis=1)
    near: Rows = among[distances < distances.min() + TOLERANCE]
    return near
