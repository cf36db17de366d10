"""Prediction files in the form that gluebenchmark.com takes: one TSV a task, all eleven in one folder.

Reference:
    Wang et al. 2019, "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding",
    arXiv:1804.07461; names and values as on the site's page of submission rules.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from design_space.errors import InputError, did_you_mean
from design_space.files import written_whole
from finetune.tasks import GLUE

HEADER = "index\tprediction"

_BY_NAME = frozenset({"mnli", "qnli", "rte"})
"""Tasks whose labels the site wants by name; of the others by code."""


@dataclass(frozen=True)
class PredictionFile:
    """One file of a submission.

    Attributes:
        name: Without its ending.
        task: Whose model predicts it.
        split: Which rows of the subset are predicted.
        num_rows: How many those are.
        subset: Name in `nyu-mll/glue`; the task's own, but for the diagnostic set.
    """

    name: str
    task: str
    split: str
    num_rows: int
    subset: str

    @property
    def file_name(self) -> str:
        """With its ending."""
        return f"{self.name}.tsv"

    @property
    def words(self) -> tuple[str, ...]:
        """What may stand for each label code, from 0; empty where a number is predicted."""
        labels = GLUE[self.task].labels
        return labels if self.task in _BY_NAME else tuple(map(str, range(len(labels))))


FILES: dict[str, PredictionFile] = {
    name: PredictionFile(name, task, split, num_rows, subset)
    for name, task, split, num_rows, subset in (
        ("CoLA", "cola", "test", 1_063, "cola"),
        ("SST-2", "sst2", "test", 1_821, "sst2"),
        ("MRPC", "mrpc", "test", 1_725, "mrpc"),
        ("STS-B", "stsb", "test", 1_379, "stsb"),
        ("QQP", "qqp", "test", 390_965, "qqp"),
        ("MNLI-m", "mnli", "test_matched", 9_796, "mnli"),
        ("MNLI-mm", "mnli", "test_mismatched", 9_847, "mnli"),
        ("QNLI", "qnli", "test", 5_463, "qnli"),
        ("RTE", "rte", "test", 3_000, "rte"),
        ("WNLI", "wnli", "test", 146, "wnli"),
        ("AX", "mnli", "test", 1_104, "ax"),
    )
}


def write_predictions(folder: Path, name: str, predictions: Sequence[float] | NDArray[np.number]) -> Path:
    """Write the predictions of one file, whole or not at all.

    Args:
        folder: Made where absent.
        name: A key of `FILES`, such as "MNLI-m".
        predictions: Of the test rows in their order, shape (n,): label codes as in `finetune.tasks`, or for STS-B
            similarities, which are cut to [0, 5].

    Returns:
        The file.

    Raises:
        InputError: If the name is unknown, the number of rows is not the site's, a value is none of the task's, or the
            file exists.
    """
    file = _find(name)
    values = np.asarray(predictions)
    if values.shape != (file.num_rows,):
        got = f"{len(values):,}" if values.ndim == 1 else f"shape {values.shape}"
        raise InputError(
            f"{name}: predictions must be {file.num_rows:,}, one a test row, got {got}. Predict the whole of "
            f"{file.split} of {file.subset}."
        )
    lines = [HEADER, *(f"{index}\t{word}" for index, word in enumerate(_words(file, values)))]
    path = folder / file.file_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise InputError(f"{path}: must not exist, does. Remove it, or give another folder.")
        with written_whole(path) as target:
            target.write(("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}. Give another folder.") from None
    return path


def _find(name: str) -> PredictionFile:
    if name in FILES:
        return FILES[name]
    raise InputError(f"name: must be one of {', '.join(FILES)}, got {name!r}.{did_you_mean(name, FILES)}")


def _words(file: PredictionFile, values: NDArray[np.number]) -> list[str]:
    """Each prediction as the site wants it."""
    codes = range(len(file.words))
    rule = " or ".join(map(str, codes)) if file.words else "finite numbers"
    if values.dtype.kind not in "biuf":
        raise InputError(f"{file.name}: predictions must be {rule}, got values of type {values.dtype}. Convert them.")
    wrong = ~(np.isin(values, codes) if file.words else np.isfinite(values))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{file.name}: predictions must be {rule}, got {values[row]} in row {row}. Correct it.")
    if words := file.words:
        return [words[int(code)] for code in values]
    low, high = GLUE[file.task].value_range
    return [f"{value:z.3f}" for value in np.clip(values.astype(float), low, high)]


def check_submission(folder: Path) -> list[str]:
    """Look for what the site would refuse.

    Returns:
        One line a defect; empty where the folder can be sent.

    Raises:
        InputError: If the folder does not exist.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: must be a folder of prediction files, is not. Give the folder.")
    expected = {file.file_name: file for file in FILES.values()}
    present = sorted(path.name for path in folder.iterdir())
    defects = [f"{name}: must not be there. Take it out{_rename(name)}." for name in present if name not in expected]
    for name, file in expected.items():
        defects += _file_defects(file, folder / name) if name in present else [f"{name}: is missing."]
    return defects


def _rename(name: str) -> str:
    """A hint where only the case or the ending is another."""
    stem = name.split(".")[0].lower()
    return next((f", or name it {file.file_name}" for file in FILES.values() if file.name.lower() == stem), "")


def _file_defects(file: PredictionFile, path: Path) -> list[str]:
    name = file.file_name
    try:
        lines = path.read_bytes().decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        return [f"{name}: must be UTF-8 text, is not."]
    except OSError as error:
        return [f"{name}: cannot be read: {error.strerror}."]
    if lines[-1] == "":
        lines.pop()
    defects = []
    first = 1
    if not lines or lines[0] != HEADER:
        defects.append(f"{name}: line 1 must be {HEADER!r}, got {lines[0] if lines else ''!r:.60}.")
        first = 0 if lines and re.match(r"\d+\t", lines[0]) else 1  # the header may be wrong, or absent
    rows = lines[first:]
    defects += _row_defects(file, rows, first_line=first + 1)
    if len(rows) != file.num_rows:
        difference = file.num_rows - len(rows)
        what = f"{difference:,} are missing" if difference > 0 else f"{-difference:,} are too many"
        defects.append(f"{name}: must have {file.num_rows:,} rows after the header, has {len(rows):,}: {what}.")
    return defects


def _row_defects(file: PredictionFile, rows: Sequence[str], first_line: int) -> list[str]:
    """The first line of each kind of defect, with the number of others like it."""
    found: dict[str, list[str]] = {}
    words = file.words
    rule = f"one of {', '.join(words)}" if words else "a number in [0, 5]"
    for index, row in enumerate(rows):
        where = f"{file.file_name}: line {first_line + index}"
        given, tab, prediction = row.partition("\t")
        if not tab or "\t" in prediction:
            found.setdefault("fields", []).append(f"{where} must be an index, a tab and a prediction, got {row!r:.60}")
            continue
        if given != str(index):
            found.setdefault("index", []).append(f"{where}: index must be {index}, got {given!r:.60}")
        if not (prediction in words if words else _is_similarity(prediction)):
            found.setdefault("prediction", []).append(f"{where}: prediction must be {rule}, got {prediction!r:.60}")
    return [
        lines[0] + (f", and {len(lines) - 1:,} more such lines." if len(lines) > 1 else ".") for lines in found.values()
    ]


def _is_similarity(prediction: str) -> bool:
    low, high = GLUE["stsb"].value_range
    return bool(re.fullmatch(r"\d+(\.\d*)?([eE][-+]?\d+)?", prediction)) and low <= float(prediction) <= high
