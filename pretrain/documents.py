"""Documents of one source: files, folders, globs, saved data sets, data sets of the hub, or the synthetic demo."""

import glob
import json
from collections.abc import Iterator
from hashlib import blake2b, file_digest
from pathlib import Path

from design_space.errors import InputError
from pretrain import demo
from pretrain.hub import HubSet
from pretrain.text_files import COMPRESSIONS, SUFFIXES, file_kind, read_file

DEMO = "demo"
NUM_DEMO_SENTENCES = 20_000
_KINDS = f"{', '.join(SUFFIXES[:-1])} (or these with {' or '.join(COMPRESSIONS)} appended) or {SUFFIXES[-1]}"


def read_documents(source: str, column: str = "text") -> Iterator[str]:
    """Documents of a source, in a fixed order, streamed.

    Args:
        source: A file (a line of a `.txt` is a document; a row of a `.jsonl`, `.csv`, `.tsv` or `.parquet`; all but
            the last may be compressed as `.gz` or `.zst`), a folder of these (with its folders, in the order of their
            names), a glob, a folder that `datasets.save_to_disk` wrote (of several splits: `train`), a data set of the
            hub (`owner/name` or `hub:name`, each with `:config` and `@split` where wanted), or "demo".
        column: Which one holds the text, where there are columns.

    Yields:
        Documents without surrounding white space; empty ones are left out.

    Raises:
        InputError: If the source does not exist, is of another kind, or cannot be read.
    """
    if source == DEMO:
        yield from demo.corpus(NUM_DEMO_SENTENCES)
        return
    files = source_files(source)
    if files:
        for file in files:
            yield from read_file(file, column)
    elif hub_set := HubSet.parse(source):
        yield from hub_set.documents(column)


def source_files(source: str) -> list[Path]:
    """The files that `read_documents` would read, in its order; none for "demo" and for a data set of the hub.

    Raises:
        InputError: If the source does not exist, is of another kind, or a file of it is empty.
    """
    if source == DEMO:
        return []
    files = _files(source)
    for file in files:
        if file.stat().st_size == 0:
            raise InputError(f"{file}: must hold at least one document, is empty. Leave it out.")
    return files


def has_columns(source: str) -> bool:
    """Whether documents of a source are cells of a column: all but lines of text, and the demo.

    Raises:
        InputError: As `source_files`.
    """
    return source != DEMO and any(file_kind(file) != ".txt" for file in source_files(source) or [Path("of-the-hub")])


def source_digest(source: str) -> str | None:
    """A hash of what is in a source, whatever its files are called; None for a data set of the hub.

    Raises:
        InputError: As `source_files`.
    """
    digest = blake2b(digest_size=16)
    files = source_files(source)
    if source == DEMO:
        for document in read_documents(source):
            digest.update(f"{document}\n".encode())
    elif not files:
        return None
    for path in files:
        with path.open("rb") as file:
            digest.update(f"{file_kind(path)}{path.suffix}".encode() + file_digest(file, blake2b).digest())
    return digest.hexdigest()


def _files(source: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return _saved_data_set(path) or _folder(path)
    if path.is_file():
        if file_kind(path) is None:
            raise InputError(f"{path}: must end in {_KINDS}.")
        return [path]
    if glob.has_magic(source):
        found = sorted(path for path in map(Path, glob.glob(source, recursive=True)) if _is_text(path))
        if not found:
            raise InputError(
                f"{source}: must match files that end in {_KINDS}, matches none. Give a folder or files that exist."
            )
        return found
    if HubSet.parse(source) and file_kind(path) is None:
        return []
    raise InputError(
        f"{path}: no such file or folder. Give text files, a folder of them, a data set of the hub (owner/name), "
        f"or {DEMO!r}."
    )


def _is_text(path: Path) -> bool:
    return path.is_file() and file_kind(path) in SUFFIXES


def _folder(path: Path) -> list[Path]:
    files = sorted(filter(_is_text, path.rglob("*")))
    if not files:
        raise InputError(f"{path}: must hold files that end in {_KINDS}, holds none.")
    return files


def _saved_data_set(path: Path) -> list[Path]:
    """The Arrow files of a folder that `datasets.save_to_disk` wrote, none where it is no such folder."""
    if (path / "dataset_dict.json").is_file():
        path = path / "train"
        if not path.is_dir():
            raise InputError(f"{path.parent}: must have the split 'train', has not. Give the folder of one split.")
    state = path / "state.json"
    if not state.is_file() or not (path / "dataset_info.json").is_file():
        return []
    try:
        files = [path / entry["filename"] for entry in json.loads(state.read_text("utf-8"))["_data_files"]]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{state}: must be written by datasets.save_to_disk, is not. Save it again.") from None
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: no such file, but {state.name} names it. Save the data set again.")
    return files
