"""Fine-tune one checkpoint on one task and score it."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, Sampler
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    set_seed,
)

import design_space.model  # noqa: F401  (registers FlexiBERT with the Auto classes)
from design_space.errors import InputError, first_line
from design_space.model.folder import add_code
from design_space.model.modeling_flexibert import FlexiBertPreTrainedModel
from finetune.config import FinetuneArguments
from finetune.data import Row, TaskData
from finetune.metrics import task_metrics, task_score
from finetune.sampler import StratifiedSampler
from finetune.tasks import Task
from pretrain.callbacks import DivergedError, StepReporter, StopOnDivergence

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """Outcome of one task.

    Attributes:
        task: Its name.
        score: Mean of the metrics times 100.
        metrics: Each metric, in [0, 1] or [−1, 1].
        loss: Mean training loss.
        num_steps: Optimizer steps made.
        seconds: Wall-clock time of training and scoring.
    """

    task: str
    score: float
    metrics: dict[str, float]
    loss: float
    num_steps: int
    seconds: float


def load_checkpoint(checkpoint: str, task: Task) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder with a fresh head for a task, and its tokenizer.

    Raises:
        InputError: If the folder or hub name cannot be loaded.
    """
    names = list(task.labels) or ["score"]
    try:
        config = AutoConfig.from_pretrained(
            checkpoint,
            num_labels=task.num_outputs,
            id2label=dict(enumerate(names)),
            label2id={name: code for code, name in enumerate(names)},
        )
        model = AutoModelForSequenceClassification.from_pretrained(checkpoint, config=config)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    except (OSError, ValueError) as error:
        reason = first_line(error)
        raise InputError(f"model: {checkpoint!r} cannot be loaded: {reason}") from None
    return model, tokenizer


class TaskTrainer(Trainer):
    """The Trainer with `FinetuneArguments.stratify`."""

    args: FinetuneArguments

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int] | None:
        if not self.args.stratify:
            return super()._get_train_sampler(train_dataset)
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        return StratifiedSampler([row["labels"] for row in rows], self.args.seed)


def finetune(
    checkpoint: str,
    task: Task,
    data: TaskData,
    arguments: FinetuneArguments,
    max_seq_length: int = 128,
    save_to: str | None = None,
    report: Callable[[int, int], None] | None = None,
) -> TaskResult:
    """Train on a task's training rows and score the validation rows.

    Args:
        checkpoint: Folder or hub name of an encoder.
        task: What to learn.
        data: Its rows.
        arguments: Of the Trainer.
        max_seq_length: Tokens after which a pair is cut.
        save_to: Folder for the fine-tuned model and tokenizer; not kept where None.
        report: Told each step and the number of steps.

    Raises:
        InputError: If the checkpoint cannot be loaded.
        DivergedError: If loss or predictions are not finite.
    """
    start = time.monotonic()
    set_seed(arguments.seed)
    model, tokenizer = load_checkpoint(checkpoint, task)
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and max_seq_length > longest:
        _logger.warning(
            "max_seq_length %d: the checkpoint has %d positions; texts are cut there.", max_seq_length, longest
        )
        max_seq_length = longest
    if task.is_regression:
        _start_at_mean(model, data.train)
    trainer = TaskTrainer(
        model=model,
        args=arguments,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=encode(data.train, task, tokenizer, max_seq_length),
        eval_dataset=encode(data.validation, task, tokenizer, max_seq_length),
        compute_metrics=lambda prediction: task_metrics(task, *_predictions(task, prediction)),
        callbacks=[StopOnDivergence(), *([StepReporter(report)] if report else [])],
    )
    output = trainer.train()
    if not math.isfinite(output.training_loss):
        raise DivergedError(f"{task.name}: mean loss is {output.training_loss} after {output.global_step} steps")
    evaluated = trainer.evaluate()
    values = {name: float(evaluated[f"eval_{name}"]) for name in task.metrics}
    if save_to is not None:
        trainer.save_model(save_to)
        tokenizer.save_pretrained(save_to)
        if isinstance(model, FlexiBertPreTrainedModel):
            add_code(Path(save_to))
    return TaskResult(
        task=task.name,
        score=task_score(values),
        metrics=values,
        loss=output.training_loss,
        num_steps=output.global_step,
        seconds=time.monotonic() - start,
    )


@torch.no_grad()
def _start_at_mean(model: PreTrainedModel, rows: Sequence[Row]) -> None:
    """Let the output's bias be the mean label: at small rates a short run would spend its steps on nothing else."""
    *_, output = (module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == 1)
    if output.bias is not None:
        output.bias.fill_(float(np.mean([row["label"] for row in rows])))


def encode(
    rows: Sequence[Row], task: Task, tokenizer: PreTrainedTokenizerBase, max_seq_length: int
) -> list[dict[str, Any]]:
    """Token ids, masks and labels of some rows; not padded."""
    texts = [[row[field] for row in rows] for field in task.text_fields]
    encoded = tokenizer(*texts, truncation=True, max_length=max_seq_length)
    labels = [float(row["label"]) if task.is_regression else int(row["label"]) for row in rows]
    columns = list(encoded)
    return [
        {**dict(zip(columns, values, strict=True)), "labels": label}
        for *values, label in zip(*(encoded[column] for column in columns), labels, strict=True)
    ]


def _predictions(task: Task, prediction: EvalPrediction) -> tuple[Any, Any]:
    logits = np.asarray(prediction.predictions)
    if not np.isfinite(logits).all():
        raise DivergedError(f"{task.name}: predictions are not finite")
    values = logits.squeeze(-1) if task.is_regression else logits.argmax(axis=-1)
    return values, np.asarray(prediction.label_ids)
