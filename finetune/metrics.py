"""Metrics of the tasks; a score is the mean of a task's metrics, times 100.

A metric is a function of how often each unit counts: once here, as often as a resample holds it in
`finetune.intervals`. A unit is a row, or the rows of a group. Shapes: n rows, u units, K labels, r sets of weights.

Micro F1 is not among the metrics: each row has one label and one prediction, so that it is equal to accuracy. `f1` of
MultiRC is its F1 over all answers (F1a), `exact_match` the share of its questions whose answers are all right.

Reference:
    Wang et al. 2019, GLUE, arXiv:1804.07461; Wang et al. 2019, SuperGLUE, arXiv:1905.00537, §3.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design_space.errors import InputError
from finetune.answers.metrics import exact_match, f1
from finetune.correlation import Floats, pearson, spearman
from finetune.tasks import Task

Vector = Floats | NDArray[np.int64]

_CHOSEN = "token_f1"
"""Metric of the tasks where the row of a group that has the greatest score is the answer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What was predicted for the rows of a task, and what is true.

    Args:
        task: Names the metrics; one that predicts no answer.
        values: Label codes, or values for a regression, (n,).
        labels: The same from the data, (n,).
        groups: Equal for rows that are scored together, (n,); for a task with `group_field`.
        scores: How much speaks for code 1, as a probability or a margin, (n,); for ReCoRD, where the entity with the
            greatest score of a group is the prediction.
        rows: The rows, n, of which `entity` and `answers` are read; for ReCoRD.

    Raises:
        InputError: If there is no row, or a part that the task needs is absent or of another length.
    """

    task: Task
    values: Vector
    labels: Vector
    groups: NDArray[Any] | None = None
    scores: Floats | None = None
    rows: Sequence[Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        needed = ["values", "labels", *(["groups"] if self.task.group_field else [])]
        needed += ["scores", "rows"] if _CHOSEN in self.task.metrics else []
        lengths = {name: 0 if getattr(self, name) is None else len(getattr(self, name)) for name in needed}
        where = f"predictions of {self.task.name}"
        if len(set(lengths.values())) > 1 or not lengths["values"]:
            given = ", ".join(f"{length} {name}" for name, length in lengths.items())
            raise InputError(f"{where}: must be as many of each, at least one, got {given}.")
        if self.task.is_regression:
            return
        for name, codes in (("values", self.values), ("labels", self.labels)):
            if odd := sorted(set(np.unique(codes)) - set(range(len(self.task.labels)))):
                last = len(self.task.labels) - 1
                raise InputError(f"{where}: {name} must be codes from 0 to {last}, got {odd[0]}. Leave such rows out.")


@dataclass(frozen=True, eq=False)
class Units:
    """What rows were counted into, for the metrics.

    Attributes:
        copies: How many units are alike, (u,).
        metrics: Every metric, (r,), of how often each unit counts, (r, u).
    """

    copies: NDArray[np.int64]
    metrics: Callable[[Floats], dict[str, Floats]]


def task_metrics(predictions: Predictions) -> dict[str, float]:
    """Every metric of a task.

    Returns:
        Metrics in [0, 1] ([−1, 1] for correlations). Where one is not defined, such as the correlation with constant
        predictions or over a single row, it is 0.
    """
    units = units_of(predictions)
    return {name: float(value) for name, (value,) in units.metrics(units.copies[None].astype(np.float64)).items()}


def task_score(values: Mapping[str, float]) -> float:
    """Mean of the metrics times 100."""
    return 100 * sum(values.values()) / len(values)


def units_of(predictions: Predictions) -> Units:
    """The units of some predictions; single rows with the same label and prediction are alike."""
    task = predictions.task
    if task.is_regression:
        x, y = (np.asarray(part, np.float64) for part in (predictions.values, predictions.labels))
        ones = np.ones(len(x), np.int64)
        return Units(ones, lambda weights: {name: _OF_NUMBERS[name](weights, x, y) for name in task.metrics})
    if _CHOSEN in task.metrics:
        return means_of(_agreements(predictions))
    copies, counts = _groups(predictions) if task.group_field else _cells(predictions)
    return Units(copies, lambda weights: {name: _OF_COUNTS[name](counts.total(weights)) for name in task.metrics})


def means_of(values: Mapping[str, Floats]) -> Units:
    """Units with a value each for every metric, which is their mean, as for the questions of ReCoRD and SQuAD.

    Args:
        values: By metric, (u,).
    """
    (num_units,) = {len(of_units) for of_units in values.values()}
    return Units(
        np.ones(num_units, np.int64),
        lambda weights: {name: weights @ of_units / weights.sum(axis=1) for name, of_units in values.items()},
    )


@dataclass(frozen=True, eq=False)
class _Counts:
    """Of each unit, or in total over units; the dots are u or r.

    Attributes:
        hits: Rows of each label that were predicted so, (…, K).
        labelled: Rows of each label, (…, K).
        predicted: Rows predicted as each label, (…, K).
        exact: Units without an error, (…).
        units: Units, (…).
    """

    hits: Floats
    labelled: Floats
    predicted: Floats
    exact: Floats
    units: Floats

    def total(self, weights: Floats) -> "_Counts":
        return _Counts(*(weights @ getattr(self, field.name) for field in fields(self)))


def _cells(predictions: Predictions) -> tuple[NDArray[np.int64], _Counts]:
    """The cells of the confusion matrix that hold a row."""
    num_labels = len(predictions.task.labels)
    labels, values = (np.asarray(part, np.int64) for part in (predictions.labels, predictions.values))
    cells, copies = np.unique(labels * num_labels + values, return_counts=True)
    labelled, predicted = (np.eye(num_labels)[codes] for codes in np.divmod(cells, num_labels))
    hits = labelled * predicted
    return copies, _Counts(hits, labelled, predicted, hits.sum(axis=1), np.ones(len(cells)))


def _groups(predictions: Predictions) -> tuple[NDArray[np.int64], _Counts]:
    """The groups, none like another."""
    assert predictions.groups is not None
    _, group, sizes = np.unique(predictions.groups, return_inverse=True, return_counts=True)
    order, starts = np.argsort(group, kind="stable"), np.cumsum(sizes) - sizes
    codes = (np.asarray(part, np.int64)[order] for part in (predictions.labels, predictions.values))
    labelled, predicted = (np.eye(len(predictions.task.labels))[part] for part in codes)
    hits = labelled * predicted
    exact = np.multiply.reduceat(hits.sum(axis=1), starts)
    sums = [np.add.reduceat(part, starts, axis=0) for part in (hits, labelled, predicted)]
    return np.ones(len(starts), np.int64), _Counts(sums[0], sums[1], sums[2], exact, np.ones(len(starts)))


def _agreements(predictions: Predictions) -> dict[str, Floats]:
    """How well the entity of each group that has the greatest score agrees with the answers."""
    groups, scores, rows = predictions.groups, predictions.scores, predictions.rows
    assert groups is not None
    assert scores is not None
    assert rows is not None
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    best_first = np.lexsort((-scores, group))
    chosen = [rows[index] for index in best_first[np.cumsum(sizes) - sizes]]
    return {
        name: np.array([agreement(row["entity"], row["answers"]) for row in chosen])
        for name, agreement in ((_CHOSEN, f1), ("exact_match", exact_match))
    }


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """0 where the denominator is not above 0."""
    quotient: Floats = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return quotient


def _accuracy(counts: _Counts) -> Floats:
    return _ratio(counts.hits.sum(axis=-1), counts.labelled.sum(axis=-1))


def _f1_of_each(counts: _Counts) -> Floats:
    return _ratio(2 * counts.hits, counts.labelled + counts.predicted)


def _f1(counts: _Counts) -> Floats:
    of_code_1: Floats = _f1_of_each(counts)[..., 1]
    return of_code_1


def _macro_f1(counts: _Counts) -> Floats:
    """Mean over the labels that are there or predicted, as scikit-learn has it."""
    present: Floats = (counts.labelled + counts.predicted > 0).sum(axis=-1).astype(np.float64)
    return _ratio(_f1_of_each(counts).sum(axis=-1), present)


def _matthews(counts: _Counts) -> Floats:
    """For any number of labels: Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006, equation 8."""
    rows = counts.labelled.sum(axis=-1)
    covariance: Floats = counts.hits.sum(axis=-1) * rows - (counts.labelled * counts.predicted).sum(axis=-1)
    labelled, predicted = (rows**2 - (part**2).sum(axis=-1) for part in (counts.labelled, counts.predicted))
    # One root for both, so that equal variances give it back without rounding: 1 is 1.
    return _ratio(covariance, np.sqrt(labelled * predicted)).clip(-1.0, 1.0)


_OF_NUMBERS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {"pearson": pearson, "spearman": spearman}

_OF_COUNTS: dict[str, Callable[[_Counts], Floats]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "macro_f1": _macro_f1,
    "matthews": _matthews,
    "exact_match": lambda counts: counts.exact / counts.units,
}
