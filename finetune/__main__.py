"""`python -m finetune`: fine-tune and score a checkpoint on tasks of GLUE."""

import contextlib
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from transformers.utils import logging as transformers_logging

from design_space.command_line import exit_code
from design_space.errors import InputError
from finetune.config import FinetuneArguments, FinetuneConfig
from finetune.data import DEMO, available_tasks
from finetune.glue import GlueResult, finetune_tasks
from finetune.tasks import Task, parse_tasks
from pretrain.command_line import FlagParser, words

EXAMPLE = "python -m finetune --model_name_or_path runs/x/best --task_name mrpc --data glue --output_dir out"


def main(arguments: Sequence[str]) -> None:
    """Read the flags and run."""
    parser = FlagParser((FinetuneConfig, FinetuneArguments), "python -m finetune", EXAMPLE)
    config, training = parser.parse(arguments)
    _check(config, training)
    tasks = _tasks(config)
    with tempfile.TemporaryDirectory() as scratch:
        keep = bool(training.output_dir)
        training.output_dir = training.output_dir or scratch
        with contextlib.redirect_stdout(sys.stderr):  # what the Trainer prints
            result = finetune_tasks(
                config.model_name_or_path,
                tasks,
                config.data,
                training,
                config.max_seq_length,
                config.max_train_samples,
                config.max_eval_samples,
                keep_models=keep,
            )
        if keep:
            Path(training.output_dir, "result.json").write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
    sys.stdout.write(json.dumps(asdict(result)) + "\n" if config.json else table(result, config.data))


def _check(config: FinetuneConfig, training: FinetuneArguments) -> None:
    if not config.model_name_or_path:
        raise InputError("--model_name_or_path: must name a checkpoint. Give a folder or a hub name.")
    if not config.task_name:
        raise InputError("--task_name: must name a task. Give one of GLUE, or 'all'.")
    if training.output_dir and Path(training.output_dir, "result.json").exists():
        raise InputError(f"--output_dir: {training.output_dir} holds a result already. Give another folder.")
    for name in ("max_train_samples", "max_eval_samples", "max_seq_length"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise InputError(f"--{name}: must be at least 1, got {value}.")


def _tasks(config: FinetuneConfig) -> list[Task]:
    available = available_tasks(config.data)
    if config.task_name == "all":
        return available
    tasks = parse_tasks(config.task_name)
    for task in tasks:
        if task not in available:
            names = ", ".join(task.name for task in available)
            raise InputError(f"--task_name: {config.data} does not have {task.name!r}; it has {names}.")
    return tasks


def table(result: GlueResult, data: str) -> str:
    """The scores as lines of text; synthetic ones are named so."""
    name = "demo GLUE score (synthetic data)" if data == DEMO else "GLUE score"
    lines = [f"{'task':8}{'score':>8}  metrics"]
    for task in result.tasks:
        metrics = ", ".join(f"{metric} {value:.4f}" for metric, value in task.metrics.items())
        lines.append(f"{task.task:8}{task.score:8.2f}  {metrics}")
    lines.append(f"{name} {result.score:.2f} over {len(result.tasks)} task{'s' if len(result.tasks) > 1 else ''}")
    if result.score_without_wnli is not None and any(task.task == "wnli" for task in result.tasks):
        lines.append(f"{name} without WNLI {result.score_without_wnli:.2f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    raise SystemExit(exit_code(lambda: main(words())))
