"""`python -m finetune glue` and `superglue`: every task of a benchmark."""

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from design_space.errors import InputError
from finetune.arguments import FinetuneArguments
from finetune.commands.checks import check, require_one_process, seeds_of
from finetune.config import CONFIGS, GlueConfig, SuiteConfig, command_and_example
from finetune.data import available_tasks, source_name
from finetune.heads.head import Reading
from finetune.outcomes.results import keep, show, tell
from finetune.outcomes.table import tasks_table
from finetune.output_folder import RESULT_FILE, output_folder
from finetune.runs import MODEL_FOLDER
from finetune.source import MAX_SEQ_LENGTH
from finetune.submission.submit import prepare, submit
from finetune.suite import Suite, run_suite
from finetune.tasks import GLUE, SUPERGLUE, Task, parse_tasks
from pretrain.command_line import FlagParser

_TASKS = {"glue": GLUE, "superglue": SUPERGLUE}


def run_benchmark(name: str, words: Sequence[str]) -> None:
    """Read the flags and run."""
    parser = FlagParser((CONFIGS[name], FinetuneArguments), *command_and_example(name))
    config, training = parser.parse(words)
    check(config, training)
    if training.do_predict:
        raise InputError("--do_predict: is for one task. Leave it out; glue has --submission DIR.")
    if config.parallel < 1:
        raise InputError(f"--parallel: must be at least 1, got {config.parallel}.")
    if config.parallel > 1:
        require_one_process("--parallel", training)
    folder = Path(training.output_dir) if training.output_dir else None
    suite = Suite(
        checkpoint=config.model_name_or_path,
        tasks=_chosen(name, config),
        data=source_name(config.data),
        arguments=training,
        reading=Reading(max_seq_length=config.max_seq_length or MAX_SEQ_LENGTH),
        seeds=seeds_of(config, training),
        split_seed=config.split_seed,
        max_train_samples=config.max_train_samples,
        max_eval_samples=config.max_eval_samples,
        folder=folder,
        resume=config.resume,
    )
    target = Path(config.submission) if isinstance(config, GlueConfig) and config.submission else None
    if target:
        require_one_process("--submission", training)
    rows = prepare(suite, target) if target else {}
    with tempfile.TemporaryDirectory() as scratch, output_folder(folder, training.process_index == 0):
        if target and folder is None:
            suite = replace(suite, folder=Path(scratch))
        with contextlib.redirect_stdout(sys.stderr):  # what the Trainer prints
            outcomes = run_suite(suite, config.parallel, tell)
        if training.process_index == 0:
            keep(outcomes, tasks_table(outcomes), folder)
            show(outcomes, tasks_table(outcomes), config.json)
        if target:
            with contextlib.redirect_stdout(sys.stderr):
                submit(suite, rows, target)
    if folder is not None and training.process_index == 0:
        sys.stderr.write(f"results: {folder / RESULT_FILE}; the best models: {folder / '<task>' / MODEL_FOLDER}\n")


def _chosen(benchmark: str, config: SuiteConfig) -> list[Task]:
    """The tasks that are named, or those that the data has; it tells which are not there."""
    tasks = _TASKS[benchmark]
    available = available_tasks(config.data, tasks.values())
    if config.tasks == "all":
        if absent := [name for name in tasks if tasks[name] not in available]:
            sys.stderr.write(f"--data: {config.data} does not have {', '.join(absent)}: left out of the score.\n")
        return available
    chosen = parse_tasks(config.tasks)
    for task in chosen:
        if task not in tasks.values():
            raise InputError(f"--tasks: {task.name!r} is no task of {benchmark}, which has {', '.join(tasks)}.")
        if task not in available:
            there = ", ".join(one.name for one in available)
            raise InputError(f"--tasks: {config.data} does not have {task.name!r}; it has {there}.")
    return chosen
