"""The task and its rows that the flags name."""

from dataclasses import dataclass, replace
from pathlib import Path

from design_space.errors import InputError
from finetune.checkpoint import label_names
from finetune.config import FinetuneConfig
from finetune.data import TaskData, load_task, read_questions, source_name
from finetune.heads.head import Reading
from finetune.rows.custom import custom_data
from finetune.rows.generation import generation_data
from finetune.tasks import SQUAD, TEXT_TASKS, Problem, Task, find_task

MAX_SEQ_LENGTH = 128
MAX_SEQ_LENGTH_OF_QUESTIONS = 384
_WITHOUT_TASK_TYPE = ("task_name", "problem", "version_2_with_negative")
_WITH_TASK_TYPE = ("subset_column", "source_prefix", "max_target_length", "num_beams")


@dataclass(frozen=True)
class Source:
    """What to learn from.

    Attributes:
        task: What is predicted.
        data: Its rows.
        name: Where they come from, for results.
        split_seed: Of the parts that were drawn.
    """

    task: Task
    data: TaskData
    name: str
    split_seed: int = 42


def find_source(config: FinetuneConfig, *, with_test: bool = False) -> Source:
    """Read the rows that the flags name, cut to the numbers that they ask for.

    Args:
        config: The flags.
        with_test: Read the test rows of a named task too.

    Raises:
        InputError: If no task is named, or more than one, or its rows cannot be read.
    """
    _require_fitting_flags(config)
    named = [name for name in ("task_name", "dataset_name") if getattr(config, name)]
    task_name = config.task_name or (config.dataset_name if config.dataset_name in SQUAD else None)
    if len(named) > 1:
        raise InputError("--dataset_name: must not be given with --task_name. Leave one of them out.")
    if config.version_2_with_negative and task_name in (None, "squad", "squad_v2"):
        task_name = "squad_v2"
    if config.task_type is not None:
        found = _text(TEXT_TASKS[config.task_type], config)
    elif task_name is not None:
        found = _named(find_task(task_name), config, with_test)
    elif config.dataset_name or config.train_file or config.validation_file or config.test_file:
        found = _own(config)
    else:
        raise InputError("--task_name: must name a task; or give --dataset_name, or --train_file. See --help.")
    numbers = config.max_train_samples, config.max_eval_samples, config.max_predict_samples
    return replace(found, data=found.data.first(*numbers))


def reading(config: FinetuneConfig, task: Task) -> Reading:
    """How the flags want texts to be read."""
    default = MAX_SEQ_LENGTH_OF_QUESTIONS if task.problem is Problem.ANSWER else MAX_SEQ_LENGTH
    return Reading(
        max_seq_length=default if config.max_seq_length is None else config.max_seq_length,
        doc_stride=config.doc_stride,
        n_best_size=config.n_best_size,
        max_answer_length=config.max_answer_length,
        null_score_diff_threshold=config.null_score_diff_threshold,
        max_target_length=config.max_target_length,
        num_beams=config.num_beams,
        source_prefix=config.source_prefix,
    )


def _require_fitting_flags(config: FinetuneConfig) -> None:
    """Refuse flags that do not go with --task_type, or not without it."""
    given = [name for name in (*_WITHOUT_TASK_TYPE, *_WITH_TASK_TYPE) if _differs(config, name)]
    for name in given:
        if config.task_type is not None and name in _WITHOUT_TASK_TYPE:
            raise InputError(f"--{name}: must not be given with --task_type. Leave one of them out.")
        if config.task_type is None and name in _WITH_TASK_TYPE:
            raise InputError(f"--{name}: is for --task_type. Give that too, or leave --{name} out.")


def _differs(config: FinetuneConfig, name: str) -> bool:
    return bool(getattr(config, name) != getattr(FinetuneConfig, name))


def _named(task: Task, config: FinetuneConfig, with_test: bool) -> Source:
    if task.problem is not Problem.ANSWER or config.train_file is None:
        for name in ("train_file", "validation_file", "test_file"):
            if getattr(config, name):
                raise InputError(f"--{name}: is for rows of your own, not for {task.name}. Leave --task_name out.")
        data = load_task(task, config.data, seed=config.split_seed, with_test=with_test)
        return Source(task, data, source_name(config.data), config.split_seed)
    if config.validation_file is None:
        raise InputError("--validation_file: must name the questions to score on. Give it beside --train_file.")
    data = TaskData(read_questions(config.train_file), read_questions(config.validation_file))
    return Source(task, data, str(Path(config.train_file).resolve()))


def _own(config: FinetuneConfig) -> Source:
    """Rows of one's own; without training rows their labels are those of the checkpoint."""
    train = _train_source(config)
    names = label_names(config.model_name_or_path) if train is None else ()
    task, data = custom_data(
        train,
        config.validation_file,
        config.test_file,
        config.text_columns,
        config.label_column,
        config.split_seed,
        config.problem,
        names,
    )
    return Source(task, data, _name(config), config.split_seed)


def _text(task: Task, config: FinetuneConfig) -> Source:
    """Rows of one's own whose answers are to be written."""
    data = generation_data(
        task,
        _train_source(config),
        config.validation_file,
        config.test_file,
        config.text_columns,
        config.label_column,
        config.subset_column,
        config.split_seed,
    )
    return Source(task, data, _name(config), config.split_seed)


def _train_source(config: FinetuneConfig) -> str | None:
    """File, folder or data set of the hub with the training rows."""
    if config.train_file is not None or config.dataset_name is None:
        return config.train_file
    return config.dataset_name + (f":{config.dataset_config_name}" if config.dataset_config_name else "")


def _name(config: FinetuneConfig) -> str:
    """What results call the rows."""
    file = config.train_file or config.validation_file or config.test_file
    return str(Path(file).resolve()) if file else str(_train_source(config))
