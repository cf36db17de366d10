"""Metrics of the tasks; a score is the mean of a task's metrics, times 100."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from finetune.tasks import Task

Vector = NDArray[np.float64] | NDArray[np.int64]


def task_metrics(task: Task, predictions: Vector, labels: Vector) -> dict[str, float]:
    """Every metric of a task.

    Args:
        task: Names the metrics.
        predictions: Label codes, or values for a regression, shape (n,).
        labels: The same from the data, shape (n,).

    Returns:
        Metrics in [0, 1] ([−1, 1] for correlations). The correlation with constant predictions, or over
        a single row, is 0.
    """
    return {name: _METRICS[name](predictions, labels) for name in task.metrics}


def task_score(values: dict[str, float]) -> float:
    """Mean of the metrics times 100."""
    return 100 * sum(values.values()) / len(values)


def _correlation(function: Callable[..., tuple[float, float]]) -> Callable[[Vector, Vector], float]:
    def metric(predictions: Vector, labels: Vector) -> float:
        if len(labels) < 2:
            return 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.ConstantInputWarning)
            value = float(function(predictions, labels)[0])
        return value if np.isfinite(value) else 0.0

    return metric


def _accuracy(predictions: Vector, labels: Vector) -> float:
    return float(metrics.accuracy_score(labels, predictions))


def _f1(predictions: Vector, labels: Vector) -> float:
    return float(metrics.f1_score(labels, predictions, zero_division=0.0))


def _matthews(predictions: Vector, labels: Vector) -> float:
    return float(metrics.matthews_corrcoef(labels, predictions))


_METRICS: dict[str, Callable[[Vector, Vector], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _correlation(stats.pearsonr),
    "spearman": _correlation(stats.spearmanr),
}
