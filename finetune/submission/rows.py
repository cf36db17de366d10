"""The rows that a submission has to predict: the test rows of GLUE, as many and in the order as the site has them.

The site numbers the lines of each of its test files from 0, and so does the hub in `idx`. A prediction is handed in
under such a number, so rows in another order would be scored against the wrong labels.
"""

from collections.abc import Iterable
from pathlib import Path

from design_space.errors import InputError
from finetune.data import DEMO, HUB
from finetune.rows.checks import check_texts
from finetune.rows.files import KINDS, Row, Table, folder_tables, hub_table
from finetune.submission.files import FILES, PredictionFile
from finetune.tasks import GLUE, Task
from pretrain.hub import HubSet

_WAY_OUT = "or leave --submission out"
_NUMBERS = ("idx", "index")


def find_test_tables(tasks: Iterable[Task], data: str) -> dict[str, Table]:
    """Where the test rows of a submission are; none is read yet.

    Args:
        tasks: Of GLUE, whose models will predict them.
        data: "demo", "glue" (the hub) or a folder with one folder a task; the diagnostic set is in the folder `ax`.

    Returns:
        A table for each prediction file of these tasks, by its name in `FILES`. "AX" is left out where a folder does
        not hold it.

    Raises:
        InputError: If the source has no test rows, or a folder lacks a split.
    """
    if data == DEMO:
        raise InputError(f"--submission: needs the test rows of GLUE, the demo has none. Give --data DIR, {_WAY_OUT}.")
    names = {task.name for task in tasks}
    files = [file for file in FILES.values() if file.task in names]
    tables = {file.name: table for file in files if (table := _find(file, data)) is not None}
    absent = [file for file in files if file.name not in tables and file.subset in GLUE]
    if absent:
        places = ", ".join(str(Path(data) / file.subset / file.split) for file in absent)
        raise InputError(
            f"--submission: needs {places} as {' or '.join(KINDS)}, not there. "
            f"Add them, leave {', '.join(dict.fromkeys(file.task for file in absent))} out of --tasks, {_WAY_OUT}."
        )
    return tables


def read_test_rows(name: str, table: Table) -> list[Row]:
    """The rows of one prediction file: their texts, in order.

    Args:
        name: A key of `FILES`.
        table: Its rows. Labels are not looked at. A column `idx` or `index` must count from 0.

    Raises:
        InputError: If a row has no text, there are not as many as the site has, or they are in another order.
    """
    file = FILES[name]
    fields = GLUE[file.task].text_fields
    rows = table.rows(fields)
    if len(rows) != file.num_rows:
        raise InputError(
            f"{table.where}: must hold the {file.num_rows:,} test rows of {name}, holds {len(rows):,}. "
            f"Give all of them and no others, {_WAY_OUT}."
        )
    check_texts(rows, fields, table.where)
    for place, row in enumerate(rows):
        for column in _NUMBERS:
            if column in row and row[column] != place:
                raise InputError(
                    f"{table.where}: row {place + 1}: {column} must be {place}, got {row[column]!r:.40}. "
                    f"Give the rows in the order of the site, {_WAY_OUT}."
                )
    return [{field: row[field] for field in fields} for row in rows]


def _find(file: PredictionFile, data: str) -> Table | None:
    if data == HUB:
        return hub_table(HubSet(GLUE[file.task].hub_name or "", file.subset, file.split))
    return folder_tables(Path(data) / file.subset, file.split).get(file.split)
