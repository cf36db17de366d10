"""Fine-tune one checkpoint on one task and score it."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    set_seed,
)

from design_space.errors import InputError
from finetune.arguments import FinetuneArguments
from finetune.checkpoint import load_checkpoint, save_beside
from finetune.data import Row, TaskData
from finetune.heads.by_problem import head_for
from finetune.heads.head import Head, Reading
from finetune.intervals import confidence_intervals
from finetune.memory.measured import PeakMemory
from finetune.metrics import task_score
from finetune.optimizers.mfac import MFAC
from finetune.outcomes.repeats import RunOutcome
from finetune.precision import without_overflow
from finetune.tasks import Problem, Task
from finetune.trainer import TaskTrainer, balanced_weights, token_loss, weighted_loss
from finetune.tuning.delta import save_delta
from finetune.tuning.families import num_positions
from finetune.tuning.prompt import num_prompt_tokens
from finetune.tuning.settings import FULL, Tuning
from finetune.tuning.tune import num_trained, tune
from pretrain.callbacks import DivergedError, StepReporter

_logger = logging.getLogger(__name__)


def finetune(
    checkpoint: str,
    task: Task,
    data: TaskData,
    arguments: FinetuneArguments,
    reading: Reading | None = None,
    save_to: str | None = None,
    report: Callable[[int, int], None] | None = None,
    trains: bool = True,
    with_intervals: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
) -> RunOutcome:
    """Train on a task's training rows and score the validation rows.

    Args:
        checkpoint: Folder or hub name of an encoder.
        task: What to learn.
        data: Its rows.
        arguments: Of the Trainer.
        reading: How texts become tokens; None: up to 128 of them.
        save_to: Folder for the fine-tuned model and tokenizer; not kept where None.
        report: Told each step and the number of steps.
        trains: Else the checkpoint is scored as it is.
        with_intervals: Resample the validation rows for confidence intervals.
        callbacks: Further ones of the Trainer.

    Raises:
        InputError: If the checkpoint cannot be loaded, or an option is not for this kind of task.
        DivergedError: If loss or predictions are not finite.
    """
    start = time.monotonic()
    require_fitting(task, arguments)

    def run(given: FinetuneArguments) -> RunOutcome:
        set_seed(given.seed)
        memory = PeakMemory(given.device)
        model, head = _load(checkpoint, task, reading or Reading(), given.tuned() if trains else None, data.train)
        trainer = _trainer(model, head, data if trains else replace(data, train=[]), given, report, callbacks)
        loss, num_steps = _train(trainer, task) if trains else (None, 0)
        outcome = head.outcome(data.validation, trainer.outputs())
        found = RunOutcome(
            task=task.name,
            seed=given.seed,
            score=task_score(outcome.metrics),
            metrics=outcome.metrics,
            loss=loss,
            num_steps=num_steps,
            seconds=time.monotonic() - start,
            intervals=confidence_intervals(outcome.units, given.seed) if with_intervals and outcome.units else {},
            details=outcome.details,
            num_parameters=model.num_parameters(),
            num_trained=num_trained(model) if trains else 0,
            peak_memory_bytes=memory.num_bytes(),
        )
        _warn_of_one_label(task, given.seed, outcome.predictions)
        if save_to is not None:
            _save(trainer, head, checkpoint, Path(save_to))
        return found

    return without_overflow(run, arguments)


def _load(
    checkpoint: str, task: Task, reading: Reading, tuning: Tuning | None, rows: Sequence[Row]
) -> tuple[PreTrainedModel, Head]:
    """A checkpoint's model with what is added to it, and its head; no tuning: to be scored as it is."""
    model, tokenizer = load_checkpoint(checkpoint, task, needs_head=tuning is None)
    if tuning is not None:
        if task.is_regression:
            _start_at_mean(model, rows)
        tune(model, tuning)
        if tuning.method != FULL:
            trained, total = num_trained(model), model.num_parameters()
            told = "%s: %s of %s parameters are trained, %.2f %%."
            _logger.info(told, tuning.method, f"{trained:,}", f"{total:,}", 100 * trained / total)
    head = head_for(task, tokenizer, within_positions(reading, model))
    head.prepare(model)
    return model, head


def require_fitting(task: Task, arguments: FinetuneArguments) -> None:
    """Refuse options that are not for this kind of task.

    Raises:
        InputError: With the option's name.
    """
    is_labelled, is_text = task.problem is Problem.CLASSIFICATION, task.problem is Problem.TEXT
    is_stratified = arguments.train_sampling_strategy == "stratified"
    labels, encoders = "tasks with labels", "encoders with a head"
    refused = {
        "--class_weights balanced": (labels, arguments.class_weights == "balanced" and not is_labelled),
        "--label_smoothing_factor": (labels, arguments.label_smoothing_factor > 0 and not (is_labelled or is_text)),
        "--train_sampling_strategy stratified": (
            labels,
            is_stratified and task.problem in (Problem.ANSWER, Problem.TEXT),
        ),
        "--layerwise_lr_decay": (encoders, arguments.layerwise_lr_decay < 1 and is_text),
        "--head_learning_rate": (encoders, arguments.head_learning_rate is not None and is_text),
    }
    for option, (kind, is_refused) in refused.items():
        if is_refused:
            raise InputError(f"{option}: is for {kind}, {task.name} is a {task.problem} task. Leave it out.")


def within_positions(reading: Reading, model: PreTrainedModel) -> Reading:
    """Cut texts where the checkpoint's positions end, and warn where that is before the asked length."""
    positions, taken = num_positions(model), num_prompt_tokens(model)
    if positions is None or reading.max_seq_length <= positions - taken:
        return reading
    prompt = f", of which a prompt takes {taken}" if taken else ""
    _logger.warning(
        "max_seq_length %d: the checkpoint has %d positions%s; texts are cut there.",
        *(reading.max_seq_length, positions, prompt),
    )
    return replace(reading, max_seq_length=positions - taken)


def _trainer(
    model: PreTrainedModel,
    head: Head,
    data: TaskData,
    arguments: FinetuneArguments,
    report: Callable[[int, int], None] | None,
    callbacks: Sequence[TrainerCallback],
) -> TaskTrainer:
    train = head.features(data.train, for_training=True) if data.train else []
    loss = token_loss(arguments.label_smoothing_factor) if head.generates else None
    if train and arguments.class_weights == "balanced":
        weights = balanced_weights([feature["labels"] for feature in train], head.task.num_outputs)
        loss = weighted_loss(weights, arguments.label_smoothing_factor)
    return TaskTrainer(
        model=model,
        args=arguments,
        data_collator=head.collator,
        train_dataset=train,
        eval_dataset=head.features(data.validation, for_training=False),
        score=lambda logits: head.outcome(data.validation, logits).metrics,
        compute_loss_func=loss,
        generates=head.generates,
        title=f"{head.task.name}, seed {arguments.seed}: ",
        callbacks=[*callbacks, *([StepReporter(report)] if report else [])],
    )


def _warn_of_one_label(task: Task, seed: int, predictions: Sequence[Any]) -> None:
    """Tell of a model that has learnt no more than which label is frequent."""
    if task.labels and len(predictions) > 1 and len(set(predictions)) == 1:
        _logger.warning("%s, seed %d: every row is predicted to be %s.", task.name, seed, task.labels[predictions[0]])


def _save(trainer: TaskTrainer, head: Head, checkpoint: str, folder: Path) -> None:
    """Model and tokenizer; of light-weight tuning what was trained."""
    model, tuning = cast(PreTrainedModel, trainer.model), trainer.args.tuned()
    if tuning.method == FULL:
        trainer.save_model(str(folder))
    elif trainer.is_world_process_zero():
        save_delta(model, tuning, checkpoint, head.task.problem, folder)
    if trainer.is_world_process_zero():
        save_beside(model, head.tokenizer, folder)


def _train(trainer: TaskTrainer, task: Task) -> tuple[float, int]:
    """Mean loss and number of steps."""
    output = trainer.train()
    if not math.isfinite(output.training_loss):
        raise DivergedError(f"{task.name}: mean loss is {output.training_loss} after {output.global_step} steps")
    optimizer = trainer.own_optimizer
    if isinstance(optimizer, MFAC) and optimizer.num_skipped:
        told = "%s, seed %d: %d of %d gradients were no finite numbers and were passed over."
        _logger.warning(told, task.name, trainer.args.seed, optimizer.num_skipped, output.global_step)
    if trainer.args.early_stopping_patience is not None:
        _tell_best_epoch(trainer, task)
    return output.training_loss, output.global_step


def _tell_best_epoch(trainer: TaskTrainer, task: Task) -> None:
    """Say when a run ended, and which epoch's model is kept."""
    scored = [entry for entry in trainer.state.log_history if "eval_score" in entry]
    best = max(scored, key=lambda entry: entry["eval_score"])
    _logger.info(
        "%s, seed %d: ended after epoch %.3g of %.3g; epoch %.3g is kept, score %.2f.",
        task.name,
        trainer.args.seed,
        scored[-1]["epoch"],
        trainer.state.num_train_epochs,
        best["epoch"],
        best["eval_score"],
    )


@torch.no_grad()
def _start_at_mean(model: PreTrainedModel, rows: Sequence[Row]) -> None:
    """Let the output's bias be the mean label: at small rates a short run would spend its steps on nothing else."""
    *_, output = (module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == 1)
    if output.bias is not None:
        output.bias.fill_(float(np.mean([row["label"] for row in rows])))
