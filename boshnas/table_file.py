"""Reads a table of measured architectures from a file, or one that is shipped with the package."""

import csv
import difflib
import gzip
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from boshnas.errors import InputError

MAX_BYTES = 1_000_000_000
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_TEXT_FORMATS = (*_SEPARATORS, ".json", ".jsonl")
_FOLDER = Path(__file__).parent / "tables"


@dataclass(frozen=True, kw_only=True)
class ShippedTable:
    """A table that comes with the package, and what its columns are for.

    Attributes:
        path: The file.
        objective: Column to optimise.
        minimize: True where less is better.
        id: Column of identifiers.
        features: Columns that describe an architecture.
    """

    path: Path
    objective: str
    minimize: bool
    id: str
    features: tuple[str, ...]


def shipped_names() -> list[str]:
    """Names of the shipped tables."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def shipped_table(name: str) -> ShippedTable:
    """The shipped table of a name, one of `shipped_names()`."""
    declared = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    return ShippedTable(path=_FOLDER / f"{name}.csv", **declared | {"features": tuple(declared["features"])})


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table with a header, one row an architecture.

    Args:
        path: A .csv, .tsv, .json (a list of objects) or .jsonl file, each also with .gz, or a .parquet file; text in
            UTF-8, at most a gigabyte.

    Returns:
        Its rows in order. Cells of .csv and .tsv are text as it stands in the file, empty ones the empty text.

    Raises:
        InputError: If there is no such file, or it is not what its name says, with the line where there is one.
    """
    path = Path(path)
    kind, is_packed = _format(path)
    if kind == ".parquet":
        return _parquet(path)
    text = _text(path, is_packed)
    if not text.strip():
        raise InputError(f"{path}: a table must have a header and rows, got an empty file. Write the table there.")
    if kind in _SEPARATORS:
        return _delimited(text, _SEPARATORS[kind], path)
    return pd.DataFrame(_objects(text, kind == ".jsonl", path))


def _format(path: Path) -> tuple[str, bool]:
    """The last ending but .gz, and whether there was a .gz, of a file that exists and is not too large."""
    if path.is_dir():
        raise InputError(f"{path}: --table must be a file, got a directory. Name a file in it.")
    if not path.is_file():
        near = difflib.get_close_matches(str(path), shipped_names(), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Check the path."
        raise InputError(f"--table must be a file or one of {', '.join(shipped_names())}, got {str(path)!r}. {hint}")
    endings = [ending.lower() for ending in path.suffixes]
    is_packed = endings[-1:] == [".gz"]
    kind = next(reversed(endings[:-1] if is_packed else endings), "")
    if kind not in _TEXT_FORMATS and (is_packed or kind != ".parquet"):
        raise InputError(
            f"{path}: a table's name must end in {', '.join(_TEXT_FORMATS)} (also with .gz) or .parquet, "
            f"got {path.suffix!r}. Convert or rename it."
        )
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            f"{path}: a table must have at most {MAX_BYTES:,} bytes, got {path.stat().st_size:,}. Take fewer rows."
        )
    return kind, is_packed


def _text(path: Path, is_packed: bool) -> str:
    try:
        with gzip.open(path) if is_packed else path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: a table must be readable, got {_cut(str(error))!r}. Check the file.") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: a table must have at most {MAX_BYTES:,} bytes unpacked. Take fewer rows.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: text must be UTF-8, got byte 0x{error.object[error.start]:02x} at position {error.start} "
            f"(line {line}). Save it as UTF-8."
        ) from None


def _delimited(text: str, separator: str, path: Path) -> pd.DataFrame:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        header = next(row for row in reader if row)
        require_distinct(header, str(path))
        for row in reader:  # pandas would fill a short row up in silence
            if row and len(row) != len(header):
                raise InputError(
                    f"{path}: line {reader.line_num} must have {len(header)} fields as the header has, "
                    f"got {len(row)}. Correct the line, or quote a field that holds {separator!r}."
                )
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} must be well formed, got {error}. Correct it.") from None
    if len(header) == 1 and any(sign in header[0] for sign in ",;\t"):
        raise InputError(
            f"{path}: fields must be separated by {separator!r}, got the header {header[0]!r}. Convert it."
        )
    return pd.read_csv(
        io.StringIO(text), sep=separator, dtype=str, na_filter=False, skipinitialspace=True, index_col=False
    )


def _objects(text: str, is_lines: bool, path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a row."""
    where = str(path)
    try:
        if not is_lines:
            objects = json.loads(text, object_pairs_hook=_distinct)
        else:
            objects = []
            for number, line in enumerate(text.split("\n"), 1):
                where = f"{path}: line {number}"
                objects += [json.loads(line, object_pairs_hook=_distinct)] if line.strip() else []
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: must be JSON, got {error}. Correct it.") from None
    if not isinstance(objects, list) or not objects:
        raise InputError(
            f"{path}: a table must be a list of objects, got {_cut(str(objects), 40)!r}. Give one object a row."
        )
    for row, item in enumerate(objects):
        if not isinstance(item, dict):
            raise InputError(
                f"{path}: row {row} must be an object, got {_cut(str(item), 40)!r}. Give its fields names."
            )
    return objects


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's fields; JSON itself would keep the last of two of one name in silence."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"one name twice among {_cut(', '.join(name for name, _ in pairs))}")
    return dict(pairs)


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
        for name in frame:  # text is read from a damaged file only when it is looked at
            frame[name].to_numpy()
    except Exception as error:  # of a damaged file pandas and Arrow raise whatever they stumble over
        raise InputError(f"{path}: must be a Parquet file, got {_cut(str(error))!r}. Write it anew.") from None
    return frame if frame.index.names == [None] else frame.reset_index()


def _cut(text: str, width: int = 100) -> str:
    """A library's words on one line, up to the end of a word."""
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    whole = text[: width + 1].rpartition(" ")[0]
    return f"{whole or text[:width]} …"


def require_distinct(names: list[str], where: str) -> None:
    """Refuse two columns of one name."""
    repeated = [name for place, name in enumerate(names) if name in names[:place]]
    if repeated:
        raise InputError(f"{where}: column names must be distinct, got {repeated[0]!r} twice. Rename one.")
