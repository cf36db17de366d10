"""Rows of a task: from the synthetic demo, from a folder of files, or from the hub."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from design_space.errors import InputError, did_you_mean
from finetune.demo import tasks as demo
from finetune.rows.checks import (
    check_texts,
    refuse_other_validation,
    require_two_labels,
    warn_of_shared_texts,
    without_label,
)
from finetune.rows.files import KINDS, Table, find_tables, folder_tables, hub_table
from finetune.rows.files import Row as Row
from finetune.rows.splits import complete_parts
from finetune.rows.squad import Question, questions, read_squad
from finetune.tasks import GLUE, Problem, Task, label_code, label_rule
from pretrain.hub import HubSet

DEMO = "demo"
HUB = "glue"
_QUESTION_FILES = {"train": ("train",), "validation": ("dev", "validation")}


@dataclass(frozen=True)
class TaskData:
    """Rows of one task with text fields and `label`, checked; of SQuAD its questions.

    Attributes:
        train: To learn from.
        validation: To score on.
        test: To report on; a row whose label is not known has no `label`. None where the source has none, or it was
            not asked for.
    """

    train: Sequence[Any]
    validation: Sequence[Any]
    test: Sequence[Any] | None = None

    def first(self, train: int | None, validation: int | None, test: int | None = None) -> Self:
        """The first rows of each part; None: all."""
        return replace(
            self,
            train=self.train[:train],
            validation=self.validation[:validation],
            test=None if self.test is None else self.test[:test],
        )


def source_name(data: str) -> str:
    """What results call a source: its own name, or the whole path of a folder."""
    return data if data in (DEMO, HUB) else str(Path(data).resolve())


def available_tasks(data: str, among: Iterable[Task] = GLUE.values()) -> list[Task]:
    """The tasks that a source has.

    Args:
        data: "demo", "glue" (the hub), or a folder with one folder a task, each of these with files or as
            `datasets.save_to_disk` writes it (see `finetune.rows.files.find_tables`).
        among: Those that are asked for, of GLUE where not said.

    Raises:
        InputError: If the folder does not exist or holds no task.
    """
    if data in (DEMO, HUB):
        there = [task for task in among if data == HUB or task in GLUE.values()]
        if not there:
            raise InputError("--data: must have tasks of the benchmark, but the demo has GLUE's alone. Give a folder.")
        return there
    folder = _folder(data)
    among = list(among)
    tasks = [task for task in among if _missing_part(_tables(task, data)) is None]
    if not tasks:
        names = ", ".join(task.name for task in among)
        raise InputError(
            f"--data: {folder} must hold a folder for at least one of {names}, each with train and "
            f"validation (or test) as {' or '.join(KINDS)}; it holds none."
        )
    return tasks


def load_task(task: Task, data: str, *, with_test: bool = False, seed: int = 0) -> TaskData:
    """Read and check the rows of a task.

    Args:
        task: Which one.
        data: As for `available_tasks`. A task with training and test rows alone gets validation rows by the rule of
            `finetune.rows.splits`.
        with_test: Read the test rows too, where there are some. The demo has none.
        seed: Of that rule.

    Raises:
        InputError: If files or columns are missing, a row has no text, or a label is outside the task's codes.
    """
    if task.problem is Problem.ANSWER:
        return _load_questions(task, data)
    tables = _tables(task, data)
    missing = _missing_part(tables)
    if missing is not None:
        raise InputError(f"{Path(data) / task.name}: must hold {missing} as {' or '.join(KINDS)}, does not.")
    if "validation" not in tables:
        refuse_other_validation(folder_tables(Path(data) / task.name), str(Path(data) / task.name))
    rows = {
        part: _checked(task, table, is_test=part == "test")
        for part, table in tables.items()
        if part != "test" or with_test
    }
    require_two_labels(rows["train"], tables["train"].where)
    if data not in (DEMO, HUB):
        warn_of_shared_texts(rows, task.text_fields, {part: tables[part].where for part in rows})
    parts = complete_parts(
        rows["train"],
        rows.get("validation"),
        rows.get("test", ()) if "test" in tables else None,
        text_fields=task.text_fields,
        is_regression=task.is_regression,
        seed=seed,
        where=tables["train"].where,
    )
    return TaskData(parts.train, parts.validation, rows.get("test"))


def _tables(task: Task, data: str) -> dict[str, Table]:
    """The tables of train, validation and test, as far as the source has them."""
    if data == DEMO:
        _require_source(task, task in GLUE.values(), "the demo has the tasks of GLUE alone")
        return {split: _demo_table(task, split) for split in ("train", "validation")}
    names = {
        "train": ["train"],
        "validation": [task.validation_split, "validation"],
        "test": [*task.test_splits[:1], "test"],
    }
    if data == HUB:
        _require_source(task, task.hub_name is not None, "the hub has no data set of its name")
        asked = {"train": "train", "validation": task.validation_split}
        if task.test_splits:
            asked["test"] = task.test_splits[0]
        hub_name = task.hub_name or ""
        return {part: hub_table(HubSet(hub_name, task.hub_config, split)) for part, split in asked.items()}
    found = folder_tables(_folder(data) / task.name)
    present = {part: [name for name in splits if name in found] for part, splits in names.items()}
    return {part: found[there[0]] for part, there in present.items() if there}


def _folder(data: str) -> Path:
    if not Path(data).is_dir():
        hint = did_you_mean(data, (DEMO, HUB))
        raise InputError(f"--data: must be 'demo', 'glue' or a folder, got {data!r}, which does not exist.{hint}")
    return Path(data)


def _require_source(task: Task, has: bool, reason: str) -> None:
    if not has:
        raise InputError(f"--data: must have {task.name}, but {reason}. Give a folder with --data DIR.")


def _load_questions(task: Task, data: str) -> TaskData:
    """Questions of `train` and `validation` (also `dev`), of SQuAD's own files or of rows as the hub's."""
    if data in (DEMO, HUB):
        tables = _tables(task, data)
        return TaskData(*(questions(tables[part].rows(), tables[part].where) for part in ("train", "validation")))
    folder = _folder(data) / task.name
    found = {part: _question_file(folder, names) for part, names in _QUESTION_FILES.items()}
    for part, names in _QUESTION_FILES.items():
        if found[part] is None:
            raise InputError(f"{folder}: must hold {' or '.join(f'{name}*.json' for name in names)}, does not.")
    return TaskData(*(read_questions(str(path)) for path in found.values()))


def read_questions(source: str) -> list[Question]:
    """Questions of a file: SQuAD's own JSON, or rows as the hub's in any kind of `finetune.rows.files`.

    Raises:
        InputError: If the file cannot be read, or an answer does not lie where it says.
    """
    if Path(source).suffix == ".json" and Path(source).is_file():
        return read_squad(source)
    table = next(iter(find_tables(source, "train").values()))
    return questions(table.rows(("question", "context", "id", "title")), table.where)


def _question_file(folder: Path, names: Sequence[str]) -> Path | None:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return next((file for name in names for file in files if file.name.startswith(name)), None)


def _missing_part(tables: dict[str, Table]) -> str | None:
    """What a task must have and has not."""
    if "train" not in tables:
        return "train"
    return None if "validation" in tables or "test" in tables else "validation"


def _demo_table(task: Task, split: str) -> Table:
    return Table(where=f"demo {task.name}", read=lambda _: demo.demo_task(task.name, split))


def _checked(task: Task, table: Table, *, is_test: bool) -> list[Row]:
    rows = list(_converted(task, table))
    check_texts(rows, task.text_fields, table.where)
    return [_coded(task, row, f"{table.where}: row {number}", is_test) for number, row in enumerate(rows, start=1)]


def _converted(task: Task, table: Table) -> Iterator[Row]:
    """The rows that are read, made of the raw ones."""
    for number, row in enumerate(table.rows(task.text_fields), start=1):
        try:
            yield from (row,) if task.convert is None else task.convert(row)
        except InputError as error:
            raise InputError(f"{table.where}: row {number}: {error}") from None


def _coded(task: Task, row: Row, where: str, is_test: bool) -> Row:
    """A row with the code of its label; a test row may have none."""
    if "label" not in row and not is_test:
        raise InputError(f"{where} has no 'label'; it has {', '.join(map(str, row))}.")
    try:
        code = label_code(task, row.get("label"))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if code is None and not is_test:
        raise InputError(f"{where}: {label_rule(task)}, got {row['label']!r:.40}.")
    return without_label(row) if code is None else {**row, "label": code}
