"""What a model reads of a task and what it answers: rows into features, logits into predictions.

Shapes: n rows, f features (n, or as many windows as n questions take).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import DataCollatorWithPadding, PreTrainedModel, PreTrainedTokenizerBase

from finetune.metrics import Units
from finetune.tasks import Task
from pretrain.callbacks import DivergedError

Row = Any  # a mapping, or a Question
Features = list[dict[str, Any]]
Logits = NDArray[np.floating[Any]] | tuple[NDArray[np.floating[Any]], ...]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How texts become tokens, and outputs answers.

    Attributes:
        max_seq_length: Tokens of an input at most; what is longer is cut, contexts of questions into windows.
        doc_stride: Tokens that two windows of a context share.
        n_best_size: Spans that compete for an answer.
        max_answer_length: Of a span, in tokens.
        null_score_diff_threshold: The answer is empty where the null score exceeds the best span's by more.
        max_target_length: Tokens of a text to be written at most, its end among them; longer targets are cut.
        num_beams: Texts that are searched side by side; 1: greedily.
        source_prefix: Stands before each text of which another is made.
    """

    max_seq_length: int = 128
    doc_stride: int = 128
    n_best_size: int = 20
    max_answer_length: int = 30
    null_score_diff_threshold: float = 0.0
    max_target_length: int = 128
    num_beams: int = 1
    source_prefix: str = ""


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


def features_of(columns: Mapping[str, Sequence[Any]]) -> Features:
    """A feature a row, of columns with a value a row."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


class Head(ABC):
    """Turns rows into what a model reads, and its outputs into predictions.

    Args:
        task: What is predicted.
        tokenizer: Of the checkpoint.
        reading: How.
    """

    model_class: Any
    collator: Callable[[Features], dict[str, Any]]
    generates: bool = False
    """Whether outputs are the ids that the model generates, not its logits."""

    def __init__(self, task: Task, tokenizer: PreTrainedTokenizerBase, reading: Reading) -> None:
        self.task, self.tokenizer, self.reading = task, tokenizer, reading
        self.collator = DataCollatorWithPadding(tokenizer)

    def prepare(self, model: PreTrainedModel) -> None:  # noqa: B027 (most models need not be told)
        """Tell the model, before it is trained or asked, how it is to answer."""

    @abstractmethod
    def features(self, rows: Sequence[Row], for_training: bool) -> Features:
        """What a model is given, not padded; with `labels` where the rows have them."""

    @abstractmethod
    def outcome(self, rows: Sequence[Row], logits: Logits) -> Outcome:
        """Predictions and metrics.

        Args:
            rows: Those of the features.
            logits: The model's for their features for evaluation, in their order; ids where the head generates.

        Raises:
            DivergedError: If a logit is not finite.
        """


def finite(task: Task, logits: Any) -> NDArray[np.floating[Any]]:
    """The only, or the first, array of a model's outputs.

    Raises:
        DivergedError: If a number in it is not finite.
    """
    values = np.asarray(logits[0] if isinstance(logits, tuple) else logits)
    if not np.isfinite(values).all():
        raise DivergedError(f"{task.name}: predictions are not finite")
    return values
