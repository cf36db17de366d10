"""What the heads share whose rows have a label or a number."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.heads.head import Features, Outcome, Row, features_of
from finetune.metrics import Predictions, task_metrics, units_of
from finetune.tasks import Task, label_code


def with_labels(columns: Any, task: Task, rows: Sequence[Row]) -> Features:
    """Features of columns of encoded texts, with the code of its label for each row that has one."""
    features = features_of(columns)
    for feature, row in zip(features, rows, strict=True):
        label = label_code(task, row.get("label"))
        if label is not None:
            feature["labels"] = float(label) if task.is_regression else int(label)
    return features


def labelled_outcome(
    task: Task, rows: Sequence[Row], values: NDArray[Any], scores: NDArray[np.floating[Any]] | None
) -> Outcome:
    """Predictions of some rows, scored where each of them has a label.

    Args:
        task: What is predicted.
        rows: That were predicted, n.
        values: Codes or numbers, (n,).
        scores: How much speaks for code 1, (n,); None where nothing is chosen by it.
    """
    labels = [label_code(task, row.get("label")) for row in rows]
    if any(label is None for label in labels):
        return Outcome(values.tolist(), {}, None)
    groups = None if task.group_field is None else np.array([row[task.group_field] for row in rows])
    scored = Predictions(
        task=task,
        values=values,
        labels=np.array(labels),
        groups=groups,
        scores=None if scores is None else scores.astype(np.float64),
        rows=rows,
    )
    return Outcome(values.tolist(), task_metrics(scored), units_of(scored))
