"""Confidence intervals of the metrics by the bootstrap: how far a score could lie off by the choice of the rows alone.

Rows are drawn as often as there are, with replacement, and the metrics taken again; an interval holds the middle 95 %
of what comes out (the percentile interval). Where rows are scored together, whole groups are drawn.

Reference:
    Efron and Tibshirani 1993, An introduction to the bootstrap, §13.3.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from finetune.correlation import Floats
from finetune.metrics import Units

NUM_RESAMPLES = 1000
LEVEL = 0.95

_BLOCK = 2**17
"""Draws made at a time: their arrays, of 1 MiB each, stay near the processor."""


def confidence_intervals(units: Units, seed: int, num_resamples: int = NUM_RESAMPLES) -> dict[str, tuple[float, float]]:
    """Interval of every metric of a task, and of its score.

    Args:
        units: Of the predictions, from `finetune.metrics.units_of`.
        seed: Of the draws; the same seed gives the same intervals.
        num_resamples: Sets of rows to draw.

    Returns:
        Lower and upper end by metric, in its unit, and under "score" in percent.

    Example:
        >>> from finetune.metrics import means_of
        >>> confidence_intervals(means_of({"exact_match": np.array([1.0, 0.0] * 50)}), seed=0)["exact_match"]
        (0.4, 0.6)
    """
    draws = [units.metrics(weights) for weights in _draws(units.copies, num_resamples, np.random.default_rng(seed))]
    values = {name: np.concatenate([draw[name] for draw in draws]) for name in draws[0]}
    values["score"] = 100 * np.mean(list(values.values()), axis=0)
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return {name: tuple(np.quantile(value, ends).tolist()) for name, value in values.items()}


def _draws(copies: NDArray[np.int64], num_resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each unit is drawn, (r, u), a block of resamples at a time."""
    total = int(copies.sum())
    if total > len(copies):  # how often a cell is drawn is multinomial, whatever row of it is drawn
        yield rng.multinomial(total, copies / total, size=num_resamples).astype(np.float64)
        return
    per_block = max(1, _BLOCK // total)
    for start in range(0, num_resamples, per_block):
        size = min(per_block, num_resamples - start)
        drawn = rng.integers(total, size=(size, total)) + total * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * total).reshape(size, total).astype(np.float64)
