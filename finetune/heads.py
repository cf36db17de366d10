"""What a model reads of a task and what it answers: rows into features, logits into predictions; one head a problem.

Shapes: n rows, f features (n, or as many windows as n questions take).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from transformers import (
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    DataCollatorForMultipleChoice,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
)

from finetune.answers.metrics import best_threshold, squad_scores
from finetune.answers.spans import Answer, answers
from finetune.answers.windows import Window, windows
from finetune.metrics import Predictions, Units, means_of, task_metrics, units_of
from finetune.rows.squad import Question
from finetune.tasks import Problem, Task, label_code
from pretrain.callbacks import DivergedError

Row = Any  # a mapping, or a Question
Features = list[dict[str, Any]]
Logits = NDArray[np.floating[Any]] | tuple[NDArray[np.floating[Any]], ...]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How texts become tokens, and spans answers.

    Attributes:
        max_seq_length: Tokens of an input at most; what is longer is cut, contexts of questions into windows.
        doc_stride: Tokens that two windows of a context share.
        n_best_size: Spans that compete for an answer.
        max_answer_length: Of a span, in tokens.
        null_score_diff_threshold: The answer is empty where the null score exceeds the best span's by more.
    """

    max_seq_length: int = 128
    doc_stride: int = 128
    n_best_size: int = 20
    max_answer_length: int = 30
    null_score_diff_threshold: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Predictions of some rows.

    Attributes:
        predictions: Codes, numbers or answers, one a row.
        metrics: Of the task; empty where the rows have no labels.
        units: What the metrics were made of, for intervals; None where the rows have no labels.
        details: Further figures that are no part of the score.
    """

    predictions: list[Any]
    metrics: dict[str, float]
    units: Units | None
    details: dict[str, float] = field(default_factory=dict)


class Head(ABC):
    """Turns rows into what a model reads, and its outputs into predictions.

    Args:
        task: What is predicted.
        tokenizer: Of the checkpoint.
        reading: How.
    """

    model_class: Any
    collator: Callable[[Features], dict[str, Any]]

    def __init__(self, task: Task, tokenizer: PreTrainedTokenizerBase, reading: Reading) -> None:
        self.task, self.tokenizer, self.reading = task, tokenizer, reading
        self.collator = DataCollatorWithPadding(tokenizer)

    @abstractmethod
    def features(self, rows: Sequence[Row], for_training: bool) -> Features:
        """What a model is given, not padded; with `labels` where the rows have them."""

    @abstractmethod
    def outcome(self, rows: Sequence[Row], logits: Logits) -> Outcome:
        """Predictions and metrics.

        Args:
            rows: Those of the features.
            logits: The model's for their features for evaluation, in their order.

        Raises:
            DivergedError: If a logit is not finite.
        """


class TextHead(Head):
    """A label or a number for a text or a pair."""

    model_class = AutoModelForSequenceClassification

    def features(self, rows: Sequence[Row], for_training: bool) -> Features:
        """A feature a row."""
        texts = [[row[field] for row in rows] for field in self.task.text_fields]
        encoded = self.tokenizer(*texts, truncation=True, max_length=self.reading.max_seq_length)
        return _with_labels(encoded, self.task, rows)

    def outcome(self, rows: Sequence[Row], logits: Logits) -> Outcome:
        """Codes, or numbers."""
        values = _finite(self.task, logits)
        if self.task.is_regression:
            return _outcome(self.task, rows, values.squeeze(-1), None)
        scores = expit(values[:, 1] - values[:, 0]) if values.shape[1] == 2 else softmax(values, axis=1).max(1)
        return _outcome(self.task, rows, values.argmax(-1), scores)


class ChoiceHead(Head):
    """Which of some texts goes with the first field."""

    model_class = AutoModelForMultipleChoice

    def __init__(self, task: Task, tokenizer: PreTrainedTokenizerBase, reading: Reading) -> None:
        super().__init__(task, tokenizer, reading)
        self.collator = DataCollatorForMultipleChoice(tokenizer)

    def features(self, rows: Sequence[Row], for_training: bool) -> Features:
        """A feature a row, each a list over the choices."""
        first, *choices = self.task.text_fields
        texts = [row[first] for row in rows for _ in choices], [row[field] for row in rows for field in choices]
        encoded = self.tokenizer(*texts, truncation=True, max_length=self.reading.max_seq_length)
        each = len(choices)
        grouped = {
            name: [values[at : at + each] for at in range(0, len(values), each)] for name, values in encoded.items()
        }
        return _with_labels(grouped, self.task, rows)

    def outcome(self, rows: Sequence[Row], logits: Logits) -> Outcome:
        """Number of the choice."""
        return _outcome(self.task, rows, _finite(self.task, logits).argmax(-1), None)


class AnswerHead(Head):
    """A stretch of a context, or nothing; the rows are questions."""

    model_class = AutoModelForQuestionAnswering
    _scored: tuple[Sequence[Question], list[Window]] | None = None
    """Questions that were cut for scoring, and their windows: every scoring asks for the same ones."""

    def features(self, rows: Sequence[Question], for_training: bool) -> Features:
        """A feature a window."""
        return [window.features for window in self._windows(rows, for_training)]

    def outcome(self, rows: Sequence[Question], logits: Logits) -> Outcome:
        """Texts."""
        found = self.answers(rows, logits)
        scores = squad_scores(rows, [answer.text for answer in found])
        values = {"exact_match": scores.exact_match, "token_f1": scores.f1}
        metrics = {name: float(of_questions.mean()) for name, of_questions in values.items()}
        details = _best_details(rows, found) if self.task.name == "squad_v2" else {}
        return Outcome([answer.text for answer in found], metrics, means_of(values), details)

    def answers(self, rows: Sequence[Question], logits: Logits) -> list[Answer]:
        """With scores and alternatives."""
        start, end, *_ = (_finite(self.task, part) for part in logits)
        return answers(
            rows,
            self._windows(rows, False),
            start,
            end,
            self.reading.n_best_size,
            self.reading.max_answer_length,
            self.reading.null_score_diff_threshold,
            version_2=self.task.name == "squad_v2",
        )

    def _windows(self, rows: Sequence[Question], for_training: bool) -> list[Window]:
        if not for_training and self._scored is not None and self._scored[0] is rows:
            return self._scored[1]
        cut = windows(
            rows, self.tokenizer, self.reading.max_seq_length, self.reading.doc_stride, for_training=for_training
        )
        if not for_training:
            self._scored = rows, cut
        return cut


_HEADS: dict[Problem, type[Head]] = {
    Problem.CLASSIFICATION: TextHead,
    Problem.REGRESSION: TextHead,
    Problem.CHOICE: ChoiceHead,
    Problem.ANSWER: AnswerHead,
}


def model_class(task: Task) -> Any:
    """The Auto class of a task's problem."""
    return _HEADS[task.problem].model_class


def head_for(task: Task, tokenizer: PreTrainedTokenizerBase, reading: Reading) -> Head:
    """The head of a task's problem."""
    return _HEADS[task.problem](task, tokenizer, reading)


def _with_labels(columns: Any, task: Task, rows: Sequence[Row]) -> Features:
    names = list(columns)
    features = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for feature, row in zip(features, rows, strict=True):
        label = label_code(task, row.get("label"))
        if label is not None:
            feature["labels"] = float(label) if task.is_regression else int(label)
    return features


def _best_details(questions: Sequence[Question], found: Sequence[Answer]) -> dict[str, float]:
    """What the best null thresholds would reach; a threshold beyond all differences is left out."""
    differences = np.array([answer.null_score_difference for answer in found])
    best = best_threshold(questions, [answer.span for answer in found], differences)
    details = {
        "best_exact_match": best.exact_match / 100,
        "best_exact_match_threshold": best.exact_match_threshold,
        "best_token_f1": best.f1 / 100,
        "best_token_f1_threshold": best.f1_threshold,
    }
    return {name: value for name, value in details.items() if abs(value) < np.finfo(np.float32).max}


def _finite(task: Task, logits: Any) -> NDArray[np.floating[Any]]:
    values = np.asarray(logits[0] if isinstance(logits, tuple) else logits)
    if not np.isfinite(values).all():
        raise DivergedError(f"{task.name}: predictions are not finite")
    return values


def _outcome(
    task: Task, rows: Sequence[Row], values: NDArray[Any], scores: NDArray[np.floating[Any]] | None
) -> Outcome:
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
