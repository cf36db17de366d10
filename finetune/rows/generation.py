"""Rows whose answer is a text to be written: a question and its answers, a source and its target.

A row that is read has the task's field, and where its answers are known `label`, the one that is learnt, and `answers`,
all that are right; `subset` where the data mark it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from design_space.errors import InputError
from finetune.data import TaskData
from finetune.rows.checks import check_texts, is_missing, is_text, refuse_missing, warn_of_shared_texts
from finetune.rows.custom import part_tables
from finetune.rows.files import Row, Table
from finetune.rows.splits import complete_parts
from finetune.rows.squad import read_squad
from finetune.tasks import Task

UNANSWERABLE = "unanswerable"
_TARGET_COLUMNS = {"question": ("answers", "answer", "label"), "source": ("target", "label")}
"""By the task's field, where --label_column names no other: the first that is there."""
_DEFAULTS = {"label_column": "label", "subset_column": "subset"}


def generation_data(
    task: Task,
    train_file: str | None,
    validation_file: str | None = None,
    test_file: str | None = None,
    text_columns: Sequence[str] = (),
    label_column: str = _DEFAULTS["label_column"],
    subset_column: str = _DEFAULTS["subset_column"],
    seed: int = 0,
) -> TaskData:
    """Rows of a task of `finetune.tasks.TEXT_TASKS`, checked, from sources of `finetune.rows.files` or SQuAD's JSON.

    Of SQuAD the question alone is read. One that has no answer is to be answered with "unanswerable"; where both kinds
    are there and the data mark no subsets, these are "answerable" and "unanswerable".

    Args:
        task: Which one.
        train_file: A file, folder or data set of the hub; None where nothing is trained.
        validation_file: Instead of its part of that name; drawn by the rule of `finetune.rows.splits` where missing.
        test_file: The same; its rows may lack answers.
        text_columns: The one that holds questions or sources; none: that of the task's field.
        label_column: Holds an answer, or several; "label": `answers` or `answer` of questions, `target` of sources.
        subset_column: Holds the name of the subset that a row is scored in too; a row may have none.
        seed: Of the rule that draws missing parts.

    Raises:
        InputError: If a file cannot be read or lacks a column, or a text, an answer or a subset is missing or of
            another type.
    """
    tables = {part: _readable(table) for part, table in part_tables(train_file, validation_file, test_file).items()}
    (field,) = task.text_fields
    column = _text_column(text_columns, field)
    targets = _TARGET_COLUMNS[field] if label_column == _DEFAULTS["label_column"] else (label_column,)
    if column in targets:
        raise InputError(f"--text_columns: {column!r} must not be the label too. Name or rename another column.")
    raw = {part: table.rows({column, *targets, subset_column}) for part, table in tables.items()}
    wheres = {part: table.where for part, table in tables.items()}
    if subset_column != _DEFAULTS["subset_column"]:
        _require_column(raw, subset_column, wheres)
    rows = {}
    for part in raw:
        check_texts(raw[part], (column,), wheres[part])
        read = _answered(raw[part], targets, wheres[part], is_test=part == "test")
        marked = _with_subsets(read, raw[part], subset_column, wheres[part])
        rows[part] = [{field: one[column]} | row for one, row in zip(raw[part], marked, strict=True)]
    warn_of_shared_texts(rows, (field,), wheres)
    if train_file is None:
        return TaskData([], rows.get("validation", []), rows.get("test"))
    parts = complete_parts(
        rows["train"],
        rows.get("validation"),
        rows.get("test"),
        text_fields=(field,),
        is_regression=True,  # answers are no codes that are to be spread evenly
        seed=seed,
        where=wheres["train"],
    )
    return TaskData(*parts)


def _readable(table: Table) -> Table:
    """A table whose rows come from SQuAD's layout where its file has that."""
    path = Path(table.where)
    if path.suffix != ".json" or not path.is_file():
        return table
    with path.open("rb") as file:
        if not file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            return table
    return replace(table, read=lambda _: [_squad_row(question) for question in read_squad(path)])


def _squad_row(question: Any) -> Row:
    return {"question": question.question, "answers": {"text": list(question.answers)}}


def _text_column(named: Sequence[str], field: str) -> str:
    if len(named) > 1:
        raise InputError(f"--text_columns: must name one column, the {field}, got {', '.join(named)}.")
    return named[0] if named else field


def _require_column(raw: Mapping[str, Sequence[Row]], column: str, wheres: Mapping[str, str]) -> None:
    if not any(column in row for rows in raw.values() for row in rows):
        part = next(iter(raw))
        raise InputError(f"{wheres[part]}: must have the column {column!r}, has {_columns(raw[part])}. Correct it.")


def _columns(rows: Sequence[Row]) -> str:
    return ", ".join(dict.fromkeys(repr(column) for row in rows for column in row))


def _answered(rows: Sequence[Row], columns: Sequence[str], where: str, *, is_test: bool) -> list[dict[str, Any]]:
    """`label` and `answers` of each row; neither where a test row has none."""
    column = next((column for column in columns if any(column in row for row in rows)), None)
    if column is None:
        if is_test:
            return [{} for _ in rows]
        names = " or ".join(map(repr, columns))
        raise InputError(f"{where}: must have the column {names}, has {_columns(rows)}. Give --label_column.")
    found = [_answers(row.get(column), column, f"{where}: row {number}") for number, row in enumerate(rows, start=1)]
    if not is_test:
        refuse_missing([number for number, answers in enumerate(found, start=1) if not answers], column, where)
    return [{"label": answers[0], "answers": answers} if answers else {} for answers in found]


def _answers(cell: object, column: str, where: str) -> list[str]:
    """The answers of a cell: a text, a list, or SQuAD's object of lists; none where it is empty."""
    if _is_unanswerable(cell):
        return [UNANSWERABLE]
    if isinstance(cell, Mapping):
        cell = cell.get("text")
    if is_missing(cell):
        return []
    answers: list[Any] = cell if isinstance(cell, list) else [cell]
    for answer in answers:
        if not is_text(answer) or is_missing(answer):
            raise InputError(
                f"{where}: {column} must be a text, a list of texts or SQuAD's answers, got {answer!r:.40}. Correct it."
            )
    return answers


def _with_subsets(rows: Sequence[dict[str, Any]], raw: Sequence[Row], column: str, where: str) -> list[dict[str, Any]]:
    """Rows with the subset that the column names; where there is none, and both kinds, with that of SQuAD's."""
    if any(column in row for row in raw):
        return [
            row | _subset(one.get(column), column, f"{where}: row {number}")
            for number, (row, one) in enumerate(zip(rows, raw, strict=True), start=1)
        ]
    kinds = {True: "answerable", False: UNANSWERABLE}
    is_answerable = [not any(map(_is_unanswerable, one.values())) for one in raw]
    if len(set(is_answerable)) == 1:
        return [*rows]
    return [row | {"subset": kinds[right]} for row, right in zip(rows, is_answerable, strict=True)]


def _is_unanswerable(cell: object) -> bool:
    """Whether it is how SQuAD 2.0 says that there is no answer."""
    return isinstance(cell, Mapping) and cell.get("text") == []


def _subset(cell: object, column: str, where: str) -> dict[str, str]:
    if is_missing(cell):
        return {}
    if not is_text(cell):
        raise InputError(f"{where}: {column} must be a text, the name of a subset, got {cell!r:.40}. Correct it.")
    return {"subset": " ".join(str(cell).split())}
