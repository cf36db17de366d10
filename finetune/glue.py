"""Several tasks from one checkpoint, and their GLUE score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.config import FinetuneArguments
from finetune.data import load_task
from finetune.tasks import Task, glue_score
from finetune.train import TaskResult, finetune


@dataclass(frozen=True, kw_only=True)
class GlueResult:
    """Outcome over tasks.

    Attributes:
        score: Mean of the task scores.
        score_without_wnli: The same without WNLI, as most papers report; None where there is no other task.
        tasks: One result a task.
    """

    score: float
    score_without_wnli: float | None
    tasks: list[TaskResult]


def finetune_tasks(
    checkpoint: str,
    tasks: Sequence[Task],
    data: str,
    arguments: FinetuneArguments,
    max_seq_length: int = 128,
    max_train_samples: int | None = None,
    max_eval_samples: int | None = None,
    keep_models: bool = False,
    report: Callable[[str, int, int], None] | None = None,
) -> GlueResult:
    """Fine-tune and score each task from the same checkpoint.

    Args:
        checkpoint: Folder or hub name of an encoder.
        tasks: At least one.
        data: "demo", "glue" or a folder (see `finetune.data`).
        arguments: Of the Trainer, the same for every task.
        max_seq_length: Tokens after which a pair is cut.
        max_train_samples: First training rows to use; all where None.
        max_eval_samples: First validation rows to use; all where None.
        keep_models: Save each fine-tuned model under `output_dir/TASK`.
        report: Told task, step and number of steps.
    """
    results = []
    for task in tasks:
        rows = load_task(task, data)
        rows = replace(rows, train=rows.train[:max_train_samples], validation=rows.validation[:max_eval_samples])
        results.append(
            finetune(
                checkpoint,
                task,
                rows,
                arguments,
                max_seq_length,
                save_to=str(Path(str(arguments.output_dir)) / task.name) if keep_models else None,
                report=_for_task(report, task.name),
            )
        )
    others = [result.score for result in results if result.task != "wnli"]
    return GlueResult(
        score=glue_score([result.score for result in results]),
        score_without_wnli=glue_score(others) if others else None,
        tasks=results,
    )


def _for_task(report: Callable[[str, int, int], None] | None, name: str) -> Callable[[int, int], None] | None:
    if report is None:
        return None
    return lambda step, num_steps: report(name, step, num_steps)
