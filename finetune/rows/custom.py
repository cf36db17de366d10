"""Any classification or regression from the user's own files: its task and its rows."""

import logging
import math
from collections.abc import Sequence

from design_space.errors import InputError, did_you_mean
from finetune.data import TaskData
from finetune.rows.checks import (
    check_texts,
    is_missing,
    refuse_missing,
    refuse_other_validation,
    warn_of_shared_texts,
    without_label,
)
from finetune.rows.files import Row, Table, find_tables
from finetune.rows.labels import Labels, find_labels
from finetune.rows.splits import complete_parts
from finetune.tasks import Problem, Task

# Columns that are taken for the text where none is named.
KNOWN_TEXT_COLUMNS = (
    ("text",),
    ("sentence",),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence", "aspect"),
)

_logger = logging.getLogger(__name__)


def custom_data(
    train_file: str | None,
    validation_file: str | None = None,
    test_file: str | None = None,
    text_columns: Sequence[str] = (),
    label_column: str = "label",
    seed: int = 0,
    problem: str | None = None,
    names: Sequence[str] = (),
) -> tuple[Task, TaskData]:
    """A task and its rows, checked, from files of any source that `finetune.rows.files` reads.

    The score of a classification is the mean of accuracy and macro F1, that of a regression the mean of Pearson's and
    Spearman's correlation. A part that is missing is drawn by the rule of `finetune.rows.splits`.

    Args:
        train_file: A file; or a folder or data set of the hub, whose parts validation and test are used too; None where
            nothing is trained.
        validation_file: Instead of the part of that name.
        test_file: The same; its rows may lack labels.
        text_columns: One or two; where none is named they are inferred (`KNOWN_TEXT_COLUMNS`).
        label_column: Which one holds the labels.
        seed: Of the rule that draws missing parts.
        problem: "classification", "regression", or None to tell by the labels (`finetune.rows.labels.find_labels`).
        names: Of the classes where there are no training rows to tell them; none: a regression.

    Returns:
        The task, and rows whose `label` is a code or a value; a test row whose label is not known has none. Where
        nothing is trained, a part that is not given has no rows.

    Raises:
        InputError: If a file cannot be read, lacks a column, or holds texts or labels that cannot be used.
    """
    tables = part_tables(train_file, validation_file, test_file)
    known = text_columns or [column for columns in KNOWN_TEXT_COLUMNS for column in columns]
    raw = {part: table.rows(known) for part, table in tables.items()}
    first = next(iter(tables))
    where = tables[first].where
    fields = _text_fields(raw[first], text_columns, label_column, where)
    for part, table in tables.items():
        check_texts(raw[part], fields, table.where)
    for part in raw.keys() - {"test"}:
        _require_labels(raw[part], label_column, tables[part].where)
    labels = Labels(label_column, tuple(names))
    if train_file is not None:
        labels = find_labels([row[label_column] for row in raw["train"]], label_column, problem, where)
    rows = {part: _labelled(raw[part], labels, tables[part].where, is_test=part == "test") for part in raw}
    warn_of_shared_texts(rows, fields, {part: table.where for part, table in tables.items()})
    if train_file is None:
        return _task(fields, labels), TaskData([], rows.get("validation", []), rows.get("test"))
    parts = complete_parts(
        *(rows["train"], rows.get("validation"), rows.get("test")),
        text_fields=fields,
        is_regression=not labels.names,
        seed=seed,
        where=where,
    )
    _logger.info("%s: %s is taken as %s.", where, label_column, labels.description)
    return _task(fields, labels), TaskData(*parts)


def _task(fields: tuple[str, ...], labels: Labels) -> Task:
    return Task(
        name="custom",
        text_fields=fields,
        labels=labels.names,
        metrics=("accuracy", "macro_f1") if labels.names else ("pearson", "spearman"),
        problem=Problem.CLASSIFICATION if labels.names else Problem.REGRESSION,
        value_range=(-math.inf, math.inf),
    )


def part_tables(train_file: str | None, validation_file: str | None, test_file: str | None) -> dict[str, Table]:
    """The tables of train, validation and test; those of their own files go before parts of the training source.

    Raises:
        InputError: If none is named, one cannot be found, or a part looks as if it held validation rows.
    """
    if not (train_file or validation_file or test_file):
        raise InputError("--train_file: must name a file, a folder or a data set of the hub, got none.")
    found = find_tables(train_file, "train") if train_file else {}
    tables = {"train": _required(found, "train", train_file)} if train_file else {}
    tables |= {part: found[part] for part in ("validation", "test") if part in found}
    for part, source in (("validation", validation_file), ("test", test_file)):
        if source:
            tables[part] = _required(find_tables(source, part), part, source)
    if train_file and "validation" not in tables:
        refuse_other_validation(found, train_file)
    return tables


def _required(tables: dict[str, Table], part: str, source: str) -> Table:
    if part not in tables:
        names = ", ".join(tables)
        raise InputError(f"{source}: must have a part called {part}, has {names}. Name the file or @split to use.")
    return tables[part]


def _text_fields(rows: Sequence[Row], named: Sequence[str], label_column: str, where: str) -> tuple[str, ...]:
    """The columns that hold the texts, checked to be there, or inferred."""
    columns = list(dict.fromkeys(str(column) for row in rows for column in row))
    if named:
        if len(named) > 2 or len(set(named)) < len(named):
            raise InputError(f"--text_columns: must name one or two different columns, got {', '.join(named)}.")
        for column in named:
            if column not in columns:
                names = ", ".join(map(repr, columns))
                raise InputError(
                    f"{where}: must have the column {column!r}, has {names}.{did_you_mean(column, columns)} "
                    "Correct --text_columns."
                )
            if column in (label_column, "label"):
                raise InputError(
                    f"--text_columns: {column!r} must not be the label too. Name or rename another column."
                )
        return tuple(named)
    there = [known for known in KNOWN_TEXT_COLUMNS if set(known) <= set(columns) - {label_column, "label"}]
    widest = [known for known in there if not any(set(known) < set(other) for other in there)]
    if len(widest) != 1:
        raise InputError(
            f"{where}: --text_columns must name the one or two columns that hold text; there are "
            f"{', '.join(map(repr, columns))}."
        )
    unused = [column for column in columns if column not in (*widest[0], label_column)]
    _logger.info(
        "%s: text columns are %s%s.",
        where,
        " and ".join(widest[0]),
        f"; not used: {', '.join(unused)}" if unused else "",
    )
    return widest[0]


def _require_labels(rows: Sequence[Row], column: str, where: str) -> None:
    if not any(column in row for row in rows):
        columns = dict.fromkeys(repr(column) for row in rows for column in row)
        raise InputError(
            f"{where}: must have the label column {column!r}, has {', '.join(columns)}. Give --label_column."
        )
    missing = [number for number, row in enumerate(rows, start=1) if is_missing(row.get(column))]
    refuse_missing(missing, column, where)


def _labelled(rows: Sequence[Row], labels: Labels, where: str, *, is_test: bool) -> list[Row]:
    """Rows with the code or value as `label`; without it where a test row's label is not known."""
    return [
        without_label(row)
        if is_test and _is_hidden(row.get(labels.column), labels)
        else {**row, "label": labels.read(row[labels.column], f"{where}: row {number}")}
        for number, row in enumerate(rows, start=1)
    ]


def _is_hidden(cell: object, labels: Labels) -> bool:
    """Whether a label is missing, or the -1 by which test sets hide their classes."""
    return is_missing(cell) or (cell == -1 and bool(labels.names) and "-1" not in labels.names)
