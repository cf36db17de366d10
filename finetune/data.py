"""Rows of a task: from the synthetic demo, from a folder of files, or from the hub."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow

from design_space.errors import InputError, first_line
from finetune import demo
from finetune.tasks import GLUE, Task

DEMO = "demo"
HUB = "glue"
HUB_NAME = "nyu-mll/glue"
SUFFIXES = (".jsonl", ".csv", ".parquet")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class TaskData:
    """Rows of one task with text fields and `label`, checked.

    Attributes:
        train: To learn from.
        validation: To score on.
    """

    train: Sequence[Row]
    validation: Sequence[Row]


def available_tasks(data: str) -> list[Task]:
    """The tasks of GLUE that a source has.

    Args:
        data: "demo", "glue" (the hub), or a folder with one folder a task.

    Raises:
        InputError: If the folder does not exist or holds no task.
    """
    if data in (DEMO, HUB):
        return list(GLUE.values())
    folder = Path(data)
    if not folder.is_dir():
        raise InputError(f"--data: must be 'demo', 'glue' or a folder, got {data!r}, which does not exist.")
    tasks = [task for task in GLUE.values() if _file(folder, task, "train") and _file(folder, task, "validation")]
    if not tasks:
        raise InputError(
            f"--data: {folder} must hold a folder for at least one of {', '.join(GLUE)}, each with train and "
            f"validation as {' or '.join(SUFFIXES)}; it holds none."
        )
    return tasks


def load_task(task: Task, data: str) -> TaskData:
    """Read and check the rows of a task.

    Args:
        task: Which one.
        data: As for `available_tasks`.

    Raises:
        InputError: If files or columns are missing, or a label is outside the task's codes.
    """
    parts = []
    for split in ("train", "validation"):
        rows, where = _rows(task, data, split)
        _check(task, rows, where)
        parts.append(rows)
    return TaskData(*parts)


def _rows(task: Task, data: str, split: str) -> tuple[list[Row], str]:
    if data == DEMO:
        return list(demo.demo_task(task.name, split)), f"demo {task.name}"
    if data == HUB:
        return _from_hub(task, task.validation_split if split == "validation" else split), f"{HUB_NAME} {task.name}"
    path = _file(Path(data), task, split)
    if path is None:
        raise InputError(f"{Path(data) / task.name}: must hold {split} as {' or '.join(SUFFIXES)}, does not.")
    return list(_read(path)), str(path)


def _from_hub(task: Task, split: str) -> list[Row]:
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # what it warns of stands in the error below
    try:
        return list(datasets.load_dataset(HUB_NAME, task.name, split=split))
    except (OSError, ValueError) as error:
        reason = first_line(error)
        raise InputError(
            f"--data glue: {task.name} cannot be loaded from the hub ({reason}). Give a folder with --data DIR."
        ) from None
    finally:
        logger.setLevel(level)


def _file(folder: Path, task: Task, split: str) -> Path | None:
    """The file of a split: `validation` also under the hub's name for it, such as `validation_matched`."""
    names = [split] if split == "train" else dict.fromkeys([task.validation_split, split])
    candidates = (folder / task.name / f"{name}{suffix}" for name in names for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _read(path: Path) -> Iterator[Row]:
    try:
        if path.suffix == ".jsonl":
            yield from _read_jsonl(path)
        elif path.suffix == ".csv":
            yield from _records(pd.read_csv(path, keep_default_na=False))
        else:
            yield from _records(pd.read_parquet(path))
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ').rstrip('.')}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: must be UTF-8 text, is not. Convert it first.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _records(frame: pd.DataFrame) -> Iterator[Row]:
    if not isinstance(frame.index, pd.RangeIndex):
        raise InputError("rows have more fields than the header. Quote texts that hold commas")
    for row in frame.to_dict("records"):
        yield {str(column): value for column, value in row.items()}


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}: line {number} must be a JSON object: {error.msg}.") from None
            if not isinstance(row, dict):
                raise InputError(f"{path}: line {number} must be a JSON object, got {line.strip():.40}.")
            yield row


def _check(task: Task, rows: Sequence[Row], where: str) -> None:
    if not rows:
        raise InputError(f"{where}: must hold at least one row, holds none.")
    for number, row in enumerate(rows, start=1):
        for field in (*task.text_fields, "label"):
            if field not in row:
                raise InputError(f"{where}: row {number} has no {field!r}; it has {', '.join(map(str, row))}.")
        for field in task.text_fields:
            if not isinstance(row[field], str):
                raise InputError(f"{where}: row {number}: {field} must be text, got {row[field]!r}.")
        label = row["label"]
        if not _valid(task, label):
            low, high = task.value_range
            rule = f"a number from {low:g} to {high:g}" if task.is_regression else f"one of {_codes(task)}"
            raise InputError(f"{where}: row {number}: label of {task.name} must be {rule}, got {label!r}.")


def _valid(task: Task, label: object) -> bool:
    if isinstance(label, bool) or not isinstance(label, int | float):
        return False
    if task.is_regression:
        return task.value_range[0] <= label <= task.value_range[1]  # NaN is in no range
    return label in range(len(task.labels))


def _codes(task: Task) -> str:
    return ", ".join(f"{code} ({name})" for code, name in enumerate(task.labels))
