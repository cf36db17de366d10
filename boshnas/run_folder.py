"""A run's folder: made, held against every other search, emptied where nothing was begun."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from boshnas.errors import InputError
from boshnas.executors import run_lock
from boshnas.writable import check_run_folder


@contextmanager
def held_folder(folder: Path, resume: bool) -> Iterator[None]:
    """Hold a run's folder against every other search; a new one is made.

    Raises:
        InputError: If another search holds it, it exists and `resume` is not given, or it cannot be used.
    """
    check_run_folder(folder, resume)
    if not resume:
        make_folder(folder)
    with run_lock(folder):
        check_run_folder(folder, resume)  # another search may have been here meanwhile
        yield


def discard(folder: Path) -> None:
    """Empty a folder in which nothing was begun, so that the same command can be given again."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    with suppress(OSError):  # it may be a link to a folder that was there before
        folder.rmdir()


def make_folder(folder: Path) -> None:
    """Make a run's folder, and those that it lies in.

    Raises:
        InputError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out: {folder} cannot be made ({error.strerror}). Give another folder.") from None
