"""From the best models of a benchmark to the folder that gluebenchmark.com takes."""

import contextlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from design_space.errors import InputError
from design_space.files import require_writable
from design_space.progress import progress
from finetune.predict import predict
from finetune.rows.files import Row
from finetune.runs import MODEL_FOLDER, read_runs
from finetune.submission.files import FILES, check_submission, write_predictions
from finetune.submission.rows import find_test_tables, read_test_rows
from finetune.suite import Suite
from finetune.tasks import GLUE


def prepare(suite: Suite, target: Path) -> dict[str, list[Row]]:
    """Read all test rows, and refuse before any training what could not be handed in after it.

    Args:
        suite: What will be run, on tasks of GLUE.
        target: Folder of the submission.

    Returns:
        The rows of each prediction file, by its name.

    Raises:
        InputError: If rows are absent, too many, too few or in another order; if a prediction file is there already or
            none can be written; or if a model of runs that are done is gone.
    """
    tables = find_test_tables(suite.tasks, suite.data)
    _require_room(target, tables)
    if suite.resume and suite.folder is not None:
        for task in suite.tasks:
            read_runs(suite.folder / task.name, suite.seeds)
    left_out = [file for file in FILES.values() if GLUE[file.task] in suite.tasks and file.name not in tables]
    for file in left_out:
        place = Path(suite.data) / file.subset / file.split
        sys.stderr.write(f"--submission: {place} is not there: {file.file_name} is left out.\n")
    return {name: read_test_rows(name, table) for name, table in tables.items()}


def submit(suite: Suite, rows: Mapping[str, Sequence[Row]], target: Path) -> None:
    """Predict test rows with the best model of each task, write them, and tell what a whole submission lacks.

    Nothing is written before all is predicted, so that an interrupted run can be resumed with the same folder.

    Args:
        suite: What was run; its folder holds the models.
        rows: From `prepare`.
        target: Folder of the submission.

    Raises:
        InputError: If a file cannot be written.
        DivergedError: If a model's outputs are not finite.
    """
    assert suite.folder is not None
    predictions = {}
    quiet = suite.arguments.disable_tqdm
    for name, of_file in rows.items():
        task = GLUE[FILES[name].task]
        with contextlib.nullcontext() if quiet else progress(f"{name}: {len(of_file):,} test rows") as report:
            model = suite.folder / task.name / MODEL_FOLDER
            predictions[name] = predict(str(model), task, of_file, suite.arguments, suite.reading, report).predictions
    for name, values in predictions.items():
        sys.stderr.write(f"{write_predictions(target, name, values)} is written.\n")
    defects = check_submission(target)
    for defect in defects:
        sys.stderr.write(f"{target}: {defect}\n")
    if not defects:
        sys.stderr.write(f"{target}: all {len(FILES)} files are there.\n")


def _require_room(target: Path, names: Iterable[str]) -> None:
    """Refuse a folder that could not take these files; nothing is made or left there."""
    require_writable(target, "--submission")
    for name in names:
        path = target / FILES[name].file_name
        if path.exists():
            raise InputError(f"--submission: {path} must not exist, does. Remove it, or give another folder.")
