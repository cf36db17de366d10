"""Documents of one file: text, JSON lines, CSV, TSV, Parquet or Arrow, read piece by piece.

No file is ever in memory as a whole: lines, record batches and compressed streams are read as they are needed, and a
text longer than `MAX_DOCUMENT_CHARS` becomes several documents.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from design_space.errors import InputError, first_line
from pretrain.columns import MAX_DOCUMENT_CHARS, checked_text, column_position, nearest, pieces

SUFFIXES = (".txt", ".jsonl", ".csv", ".tsv", ".parquet")
COMPRESSIONS = (".gz", ".zst")
MAX_ROW_CHARS = 100_000_000  # of a JSON line or a CSV cell, which can only be read whole
_BUFFER_BYTES = 1 << 16
_ROWS = 256


def file_kind(path: Path) -> str | None:
    """What a file holds by its name: one of `SUFFIXES`, ".arrow", or None where it is no file of documents.

    Example:
        >>> file_kind(Path("a.txt.gz")), file_kind(Path("a.parquet")), file_kind(Path("a.parquet.gz"))
        ('.txt', '.parquet', None)
    """
    is_compressed = path.suffix in COMPRESSIONS
    kind = Path(path.stem).suffix if is_compressed else path.suffix
    known = SUFFIXES[:-1] if is_compressed else (*SUFFIXES, ".arrow")
    return kind if kind in known else None


def read_file(path: Path, column: str = "text") -> Iterator[str]:
    """Documents of a file, in its order.

    Args:
        path: Of a kind that `file_kind` knows. A line of a `.txt` file is a document, in the others a row is.
        column: Which one holds the text; not used by `.txt`.

    Yields:
        Documents without surrounding white space; empty ones are left out.

    Raises:
        InputError: If the file is damaged, binary or not UTF-8, has not the column, or holds no document.
    """
    holds_any = False
    with damage_refused(path):
        for text in _texts(path, column):
            for document in pieces(text):
                holds_any = True
                yield document
    if not holds_any:
        raise InputError(f"{path}: must hold at least one document, is empty. Leave it out.")


@contextmanager
def damage_refused(path: Path) -> Iterator[None]:
    """Read a file, and turn what the decoders say of damage into a refusal that names the file.

    Raises:
        InputError: If the file is damaged, or is text that is not UTF-8, with the line.
    """
    try:
        yield
    except UnicodeDecodeError:
        raise InputError(_why_not_text(path)) from None
    except (OSError, pa.ArrowException) as error:
        reason = first_line(error).rstrip(".")
        raise InputError(f"{path}: must be a whole {path.suffix} file, is not ({reason}). Copy it again.") from None


def _texts(path: Path, column: str) -> Iterator[str]:
    match file_kind(path):
        case ".txt":
            return (line for _, line in _lines(path, MAX_DOCUMENT_CHARS))
        case ".jsonl":
            return _jsonl(path, column)
        case ".csv":
            return _csv(path, column, ",")
        case ".tsv":
            return _csv(path, column, "\t")
        case ".parquet":
            return _parquet(path, column)
        case _:
            return _arrow(path, column)


def _opened(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed while they are read."""
    if path.suffix in COMPRESSIONS:
        return io.BufferedReader(pa.input_stream(str(path), compression="detect"), _BUFFER_BYTES)
    return path.open("rb")


def _lines(path: Path, max_chars: int) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; one longer than the limit comes in parts."""
    with _opened(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        number, is_new = 0, True
        while line := text.readline(max_chars):
            number += is_new
            is_new = line[-1] in "\r\n"
            if "\0" in line:
                raise InputError(f"{path}: line {number}: must be text, is binary. Give text files.")
            yield number, line


def _rows_of_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are of use only when they are whole."""
    for number, line in _lines(path, MAX_ROW_CHARS):
        if len(line) == MAX_ROW_CHARS:
            raise InputError(f"{path}: line {number} must have less than {MAX_ROW_CHARS:,} characters. Break the line.")
        yield number, line


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Filled lines of a `.jsonl` file, each as (file and line, object); None for a line that is no JSON object."""
    for number, line in _rows_of_lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield f"{path}: line {number}", row if isinstance(row, dict) else None


def _jsonl(path: Path, column: str) -> Iterator[str]:
    for where, row in json_lines(path):
        if row is None or column not in row:
            there = f", has {', '.join(map(repr, row))}.{nearest(column, row)}" if row is not None else "."
            raise InputError(f"{where} must be a JSON object with the field {column!r}{there}")
        text = checked_text(row[column], where, column)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"{where}: {column!r} must be text, has half a surrogate pair. Mend the line.") from None
        yield text


def delimited_lines(path: Path, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Filled rows of a `.csv` or `.tsv` file, the header first, each as (file and last line, cells).

    A quoted cell may hold line breaks and delimiters.

    Raises:
        InputError: If quotes are not closed or stand within a cell, with the line.
    """
    csv.field_size_limit(MAX_ROW_CHARS)  # the module has one limit for all readers, far too low for documents
    rows = csv.reader((line for _, line in _rows_of_lines(path)), delimiter=delimiter, strict=True)
    try:
        for cells in filter(None, rows):
            yield f"{path}: line {rows.line_num}", cells
    except csv.Error as error:
        raise InputError(f"{path}: line {rows.line_num}: must be {delimiter!r}-separated cells ({error}).") from None


def _csv(path: Path, column: str, delimiter: str) -> Iterator[str]:
    rows = delimited_lines(path, delimiter)
    _, header = next(rows, ("", None))
    position = 0 if header is None else column_position(column, header, str(path))
    for where, cells in rows:
        if len(cells) <= position:
            raise InputError(f"{where}: must have a cell for {column!r}, has {len(cells)} cells. Mend the line.")
        yield cells[position]


def _parquet(path: Path, column: str) -> Iterator[str]:
    with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES) as file:
        column_position(column, file.schema_arrow.names, str(path))
        yield from _cells(file.iter_batches(_ROWS, columns=[column]), path, column)


def _arrow(path: Path, column: str) -> Iterator[str]:
    """An Arrow stream, as `datasets.save_to_disk` writes it; read, not mapped, so that no page stays."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as batches:
        position = column_position(column, batches.schema.names, str(path))
        yield from _cells((batch.select([position]) for batch in batches), path, column)


def _cells(batches: Iterable[Any], path: Path, column: str) -> Iterator[str]:
    number = 0
    for batch in batches:
        for value in batch.column(0).to_pylist():
            number += 1
            yield checked_text(value, f"{path}: row {number}", column)


def _why_not_text(path: Path) -> str:
    """Which line and byte of a file is not UTF-8."""
    number = 0
    with suppress(OSError), _opened(path) as file:  # a damaged stream may break later
        for number, line in enumerate(iter(lambda: file.readline(MAX_ROW_CHARS), b""), start=1):
            if b"\0" in line:
                return f"{path}: line {number}: must be text, is binary. Give text files."
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"{path}: line {number}, byte {error.start + 1}: must be UTF-8 text, is not. Convert it first."
    return f"{path}: line {number}: must be UTF-8 text, is not. Convert it first."
