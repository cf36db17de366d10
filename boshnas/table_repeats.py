"""Columns that hold repeated measurements of the objective: their mean, its noise, and whether the objective is it."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_PRIOR_DEGREES = 4.0
_MAX_DECIMALS = 12
_ROUNDING = 1e-9  # of sums of floats, relative


def mean_of(repeats: Values) -> Values:
    """Mean of each row's repeats, shape (n,), NaN where it has none.

    Args:
        repeats: Shape (n, r), NaN where a repeat is missing.

    Example:
        >>> mean_of(np.array([[1.0, 2.0], [3.0, np.nan]])).tolist()
        [1.5, 3.0]
    """
    count = (~np.isnan(repeats)).sum(axis=1)
    return np.where(count > 0, np.nansum(repeats, axis=1) / np.maximum(count, 1), np.nan)


def contradiction(values: Values, repeats: Values) -> int | None:
    """The row whose objective is farthest from the mean of its repeats, None where all agree up to rounding.

    Rounding is told by the decimals in which the columns are written: the objective may have been rounded, and the
    repeats after they were averaged.

    Args:
        values: Objective, shape (n,), NaN where empty.
        repeats: Shape (n, r), NaN where a repeat is missing.

    Example:
        >>> contradiction(np.array([0.15, 0.9]), np.array([[0.1, 0.2], [0.4, 0.5]]))
        1
    """
    difference = np.nan_to_num(np.abs(values - mean_of(repeats)))
    if not difference.any():
        return None
    own, theirs = _decimals(values), _decimals(repeats)
    size = float(np.nanmax(np.abs(np.column_stack([values, repeats]))))
    allowed = 0.5 * 10.0**-own + 0.5 * 10.0 ** -max(own, theirs) - _ROUNDING * 10.0**-own
    row = int(difference.argmax())
    return row if difference[row] >= max(allowed, _ROUNDING * size) else None


def _decimals(values: Values) -> int:
    """Least number of decimals that tell the values exactly, at most 12."""
    present = values[~np.isnan(values)]
    slack = 1e-15 * float(np.abs(present).max(initial=0.0))
    exact = (places for places in range(_MAX_DECIMALS) if (abs(present - present.round(places)) <= slack).all())
    return next(exact, _MAX_DECIMALS)


def pooled_std(repeats: Values) -> Values:
    """Standard deviation of each row's mean, from its repeats and those of all rows.

    Two or three repeats say little about a row's own noise: the sample variance of three is off by more than a factor
    of three one time in three. So each row's variance is pulled towards the mean variance of all rows, which counts as
    ν₀ = 4 further degrees of freedom. With k repeats of sample variance s², and s₀² the mean over rows,

        variance of the mean = (s² (k − 1) + s₀² ν₀) / (k − 1 + ν₀) / k

    which is the inverse of the posterior mean precision under a scaled inverse-χ² prior. A row measured once has s₀².

    Args:
        repeats: Shape (n, r), NaN where a repeat is missing.

    Returns:
        Shape (n,), same unit; NaN for rows without repeats, and for all where no row has two.

    Reference:
        Smyth 2004, doi 10.2202/1544-6115.1027, equation of the moderated variance, with ν₀ fixed.

    Example:
        >>> pooled_std(np.array([[1.0, 3.0], [5.0, 5.0]])).round(3).tolist()
        [0.775, 0.632]
    """
    count = (~np.isnan(repeats)).sum(axis=1)
    squares = np.nansum((repeats - mean_of(repeats)[:, None]) ** 2, axis=1)  # s² (k − 1)
    repeated = count > 1
    if not repeated.any():
        return np.full(len(repeats), np.nan)
    overall = float((squares[repeated] / (count[repeated] - 1)).mean())
    degrees = np.maximum(count - 1, 0)
    variance = (squares + overall * _PRIOR_DEGREES) / (degrees + _PRIOR_DEGREES) / np.maximum(count, 1)
    return np.where(count > 0, np.sqrt(variance), np.nan)
