"""Correlations of rows that count with a weight each, for many sets of weights at a time.

Shapes: r sets of weights, n rows, d distinct values. A weight is how often a row counts, a whole number; a set has the
sum N, above 0. Where one of the two variables does not vary over the rows that count, the correlation is 0.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDING = 1e-12
"""Share of the mean square, and of the greatest value, below which a variance and a deviation are rounding alone."""


def pearson(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Pearson's correlation.

    Args:
        weights: (r, n).
        x: (n,).
        y: (n,).

    Returns:
        (r,), in [−1, 1].

    Example:
        >>> weights = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])
        >>> pearson(weights, np.array([1.0, 2.0, 3.0]), np.array([5.0, 4.0, 6.0])).round(9).tolist()
        [0.5, 1.0, 0.0]
    """
    x, y = _scaled(x), _scaled(y)
    sums = weights @ np.stack([x, y, x * x, y * y, x * y], axis=1)
    return _from_means(*(sums / weights.sum(axis=1, keepdims=True)).T)


def spearman(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Spearman's correlation: Pearson's of the ranks, ties at their mean rank.

    Args:
        weights: (r, n).
        x: (n,).
        y: (n,).

    Returns:
        (r,), in [−1, 1].
    """
    total = weights.sum(axis=1)
    ranks_x, square_x = _ranks(weights, x)
    ranks_y, square_y = _ranks(weights, y)
    product = np.einsum("ri,ri,ri->r", weights, ranks_x, ranks_y)
    mean = total / 2
    return _from_means(mean, mean, square_x / total, square_y / total, product / total)


def _scaled(values: Floats) -> Floats:
    """Less their mean, over their standard deviation; zeros where they do not vary."""
    centred = values - values.mean()
    deviation = np.sqrt((centred**2).mean())
    varies = deviation > _ROUNDING * np.abs(values).max()
    return centred / deviation if varies else np.zeros_like(centred)


def _ranks(weights: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Rank of each row less ½, so that their mean is N / 2, (r, n), and the sum of the squared ranks, (r,)."""
    order = np.argsort(values)
    _, starts, place = np.unique(values[order], return_index=True, return_inverse=True)
    copies = np.take(weights, order, axis=1)
    if len(starts) < len(order):
        copies = np.add.reduceat(copies, starts, axis=1)  # (r, d)
    ranks = np.cumsum(copies, axis=1)
    ranks -= copies / 2
    inverse = np.empty_like(order)
    inverse[order] = place
    return np.take(ranks, inverse, axis=1), np.einsum("rd,rd,rd->r", copies, ranks, ranks)


def _from_means(x: Floats, y: Floats, xx: Floats, yy: Floats, xy: Floats) -> Floats:
    variance_x, variance_y = xx - x * x, yy - y * y
    varies = (variance_x > _ROUNDING * xx) & (variance_y > _ROUNDING * yy)
    scale = np.sqrt(np.where(varies, variance_x, 1.0)) * np.sqrt(np.where(varies, variance_y, 1.0))
    return np.where(varies, np.clip((xy - x * y) / scale, -1.0, 1.0), 0.0)
