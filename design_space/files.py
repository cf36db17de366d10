"""Files and folders that are written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from design_space.errors import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Write to a temporary name beside the file, and rename it when all is on disk; after an error nothing is left.

    Args:
        path: What it is called in the end; replaced where it exists.

    Yields:
        A binary file to write to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def folder_written_whole(target: Path, option: str = "--to") -> Iterator[Path]:
    """Fill a folder under a temporary name beside the target, and rename it at the end; after an error nothing is left.

    Args:
        target: What it is called in the end; must not exist. Folders above it are made.
        option: Named in the refusal.

    Yields:
        An empty folder to write into.

    Raises:
        InputError: If the target exists, or cannot be made.
    """
    made: list[Path] = []
    try:
        if target.exists():
            raise InputError(f"{option}: {target} exists. Give another folder.")
        made = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        _remove_empty(made)
        raise InputError(f"{option}: {target} cannot be made ({error.strerror}). Give another folder.") from None
    try:
        whole = scratch / "whole"
        whole.mkdir()
        yield whole
        try:
            whole.rename(target)
        except OSError as error:
            raise InputError(f"{option}: {target} cannot be made ({error.strerror}). Give another folder.") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        _remove_empty(made)


def require_writable(folder: Path, option: str = "--output_dir") -> None:
    """Refuse a folder that could not be made, or not be written to.

    Args:
        folder: There or still to be made.
        option: Named in the refusal.

    Raises:
        InputError: With the part of its path that stands in the way.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise InputError(f"{option}: {folder} must be a folder, but {there} is none. Give another.")
    try:  # permissions do not tell it all: a file system may be read-only, or refuse folders
        with tempfile.TemporaryDirectory(prefix=".writable.", dir=there):
            pass
    except OSError:
        raise InputError(
            f"{option}: {folder} must be a folder to write to, but {there} is not. Give another."
        ) from None


def _remove_empty(folders: list[Path]) -> None:
    """Remove those that hold nothing, the innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
