"""Rows of a source: files of several kinds, folders of them, saved data sets, and data sets of the hub."""

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from design_space.errors import InputError, first_line
from finetune.rows.hub import load_from_hub
from pretrain.hub import HubSet
from pretrain.text_files import damage_refused, delimited_lines, file_kind, json_lines

Row = Mapping[str, Any]

KINDS = (".jsonl", ".csv", ".parquet", ".json", ".tsv")  # of two files of one part the earlier kind is read
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})")  # neither 007 nor a long identifier, which are names
_DECIMAL_NUMBER = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file, or one part of a data set.

    Attributes:
        where: What messages call it.
        read: Gives its rows; told the columns that hold text.
    """

    where: str
    read: Callable[[Collection[str]], Iterable[Row]]

    def rows(self, text_columns: Collection[str] = ()) -> list[Row]:
        """All rows in order.

        Args:
            text_columns: Columns whose cells are text though they may spell a number. In the others a cell of a
                `.csv` or `.tsv` that spells a number is that number; kinds of file with types of their own keep them.

        Raises:
            InputError: If the table is damaged, not UTF-8, or holds no row.
        """
        rows = list(self.read(text_columns))
        if not rows:
            raise InputError(f"{self.where}: must hold at least one row, holds none. Give a file with rows.")
        return rows


def find_tables(source: str, part: str) -> dict[str, Table]:
    """The tables of a source by the names of its parts, such as train, validation and test.

    Args:
        source: A file of one of `KINDS` (`.jsonl`, `.csv` and `.tsv` also compressed, as `.jsonl.gz` or `.jsonl.zst`),
            a folder of these whose parts are the files' names (also as the hub's `train-00000-of-00001`), a folder that
            `datasets.save_to_disk` wrote, or a data set of the hub: `owner/name`, with `:config` and `@split` where
            wanted.
        part: What a source of one table stands for.

    Raises:
        InputError: If the source does not exist, is of another kind, or cannot be read.
    """
    path = Path(source)
    hub_set = HubSet.parse(source)
    if path.is_dir():
        tables = folder_tables(path, part)
        if not tables:
            raise InputError(f"{path}: must hold files that end in {' or '.join(KINDS)}, holds none. Name the file.")
        return tables
    if path.is_file():
        if _kind(path) is None:
            raise InputError(f"{path}: must end in {' or '.join(KINDS)}. Convert or rename it.")
        return {part: _file_table(path)}
    if hub_set is None or _kind(path) is not None:
        raise InputError(f"{path}: no such file or folder. Give one, or a data set of the hub as owner/name.")
    if "@" in source:
        return {part: hub_table(hub_set)}
    return _by_split(load_from_hub(hub_set, None), source, part)


def folder_tables(folder: Path, part: str = "train") -> dict[str, Table]:
    """The tables of a folder by the names of its parts; none where it holds none or does not exist.

    Args:
        folder: As for `find_tables`.
        part: What a saved data set without splits stands for.

    Raises:
        InputError: If it is a damaged folder of `datasets.save_to_disk`.
    """
    if any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        try:
            saved = datasets.load_from_disk(str(folder))
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise InputError(
                f"{folder}: must be as datasets.save_to_disk writes it, is not ({first_line(error).rstrip('.')}). "
                "Save it again."
            ) from None
        return _by_split(saved, str(folder), part)
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    # Earlier kinds overwrite later ones.
    return {
        path.name.split(".")[0].removesuffix("-00000-of-00001"): _file_table(path)
        for kind in reversed(KINDS)
        for path in files
        if _kind(path) == kind and path.is_file()
    }


def hub_table(hub_set: HubSet) -> Table:
    """A split of a data set of the hub; nothing is asked of the hub before its rows are."""
    return Table(where=str(hub_set), read=lambda _: load_from_hub(hub_set, hub_set.split))


def _kind(path: Path) -> str | None:
    kind = ".json" if path.suffix == ".json" else file_kind(path)
    return kind if kind in KINDS else None


def _file_table(path: Path) -> Table:
    return Table(where=str(path), read=partial(_read_file, path))


def _by_split(loaded: Any, source: str, part: str) -> dict[str, Table]:
    """Tables of what `datasets` loaded, which is one data set or several by their names."""
    if not isinstance(loaded, dict):
        return {part: Table(where=source, read=partial(_loaded_rows, loaded))}
    return {name: Table(where=f"{source}@{name}", read=partial(_loaded_rows, split)) for name, split in loaded.items()}


def _loaded_rows(split: Any, _: Collection[str]) -> Iterable[Row]:
    rows: Iterable[Row] = split.with_format(None)  # whatever was saved with it, such as tensors
    return rows


def _read_file(path: Path, text_columns: Collection[str]) -> Iterator[Row]:
    with damage_refused(path):
        match _kind(path):
            case ".jsonl":
                yield from _json_objects(path)
            case ".json":
                yield from _json_list(path)
            case ".parquet":
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches():
                        yield from batch.to_pylist()
            case kind:
                yield from _delimited(path, _SEPARATORS[str(kind)], text_columns)


def _json_objects(path: Path) -> Iterator[Row]:
    for where, row in json_lines(path):
        if row is None:
            raise InputError(f"{where} must be a JSON object. Mend the line.")
        yield row


def _json_list(path: Path) -> Iterator[Row]:
    text = path.read_text("utf-8-sig")
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: must be JSON, is not ({first_line(error)}). Mend it; name a file of one object a line .jsonl."
        ) from None
    if not isinstance(rows, list):
        raise InputError(f"{path}: must be a list of objects, got {rows!r:.40}. Give one object a row.")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(f"{path}: row {number} must be a JSON object, got {row!r:.40}. Mend the row.")
        yield row


def _delimited(path: Path, separator: str, text_columns: Collection[str]) -> Iterator[Row]:
    lines = delimited_lines(path, separator)
    _, header = next(lines, ("", []))
    repeated = [name for place, name in enumerate(header) if name in header[:place]]
    if repeated:
        raise InputError(f"{path}: column names must be distinct, got {repeated[0]!r} twice. Rename one.")
    others = [mark for mark in ";\t," if mark != separator and len(header) == 1 and mark in header[0]]
    if others:
        raise InputError(
            f"{path}: must be separated by {separator!r}, seems to be by {others[0]!r}. "
            "Save it with commas, or with tabs as .tsv."
        )
    for where, cells in lines:
        if len(cells) != len(header):
            raise InputError(
                f"{where} must have {len(header)} cells as the header has, has {len(cells)}. "
                f"Quote texts that hold {separator!r}."
            )
        yield {
            name: cell if name in text_columns else spelled_number(cell)
            for name, cell in zip(header, cells, strict=True)
        }


def spelled_number(text: str) -> int | float | str:
    """The finite number that a text spells, or the text.

    Example:
        >>> [spelled_number(text) for text in ("12", "-0.5", "007", "1e3", "1e999", "")]
        [12, -0.5, '007', 1000.0, '1e999', '']
    """
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if _DECIMAL_NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
