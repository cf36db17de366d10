"""A whole benchmark: every task with every seed, one after the other or several processes at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from finetune.arguments import FinetuneArguments
from finetune.data import load_task
from finetune.heads.head import Reading
from finetune.messages import silence
from finetune.outcomes.repeats import RunOutcome, SettingOutcome
from finetune.processes import in_processes
from finetune.runs import Setting, run_seeds
from finetune.source import Source
from finetune.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What is run on every task.

    Attributes:
        checkpoint: Folder or hub name of an encoder.
        tasks: At least one.
        data: "demo", "glue" (the hub) or a folder with one folder a task.
        arguments: Of the Trainer, the same for every task.
        reading: How texts become tokens.
        seeds: Of the runs.
        split_seed: Of the parts that have to be drawn.
        max_train_samples: First training rows to use; None: all.
        max_eval_samples: First validation rows to use; None: all.
        folder: Receives a folder a task.
        resume: Take the runs that the folder holds as done.
    """

    checkpoint: str
    tasks: Sequence[Task]
    data: str
    arguments: FinetuneArguments
    reading: Reading
    seeds: Sequence[int]
    split_seed: int = 42
    max_train_samples: int | None = None
    max_eval_samples: int | None = None
    folder: Path | None = None
    resume: bool = False


def run_suite(
    suite: Suite, num_parallel: int = 1, tell: Callable[[RunOutcome], None] | None = None
) -> list[SettingOutcome]:
    """Fine-tune and score each task.

    Args:
        suite: What to run.
        num_parallel: Tasks at a time, each in a process with its share of the threads.
        tell: Called with each run, in its process.

    Returns:
        One outcome a task, in their order.

    Raises:
        InputError: Before anything is trained, if rows of a task cannot be read; later, see `run_seeds`.
        DivergedError: If a run diverges.
    """
    with silence():
        for task in suite.tasks:
            load_task(task, suite.data, seed=suite.split_seed)
    if num_parallel == 1:
        return [run_task(suite, task, tell) for task in suite.tasks]
    suite = replace(suite, arguments=replace(suite.arguments, disable_tqdm=True))  # bars would mix
    return in_processes(partial(run_task, suite, tell=tell), suite.tasks, num_parallel)


def run_task(suite: Suite, task: Task, tell: Callable[[RunOutcome], None] | None = None) -> SettingOutcome:
    """Every seed of one task."""
    rows = load_task(task, suite.data, seed=suite.split_seed)
    data = rows.first(suite.max_train_samples, suite.max_eval_samples)
    setting = Setting(
        checkpoint=suite.checkpoint,
        source=Source(task, data, suite.data, suite.split_seed),
        arguments=suite.arguments,
        reading=suite.reading,
    )
    return run_seeds(
        setting, suite.seeds, suite.folder and suite.folder / task.name, suite.resume, tell or (lambda _: None)
    )
