"""Whether a folder can be written to, asked before the work whose results go there."""

import os
import tempfile
from pathlib import Path

from boshnas.errors import InputError

LOCK_FILE = ".lock"
HELD_FILE = ".held"
"""What the lock of a run's folder leaves there; see `boshnas.executors.lock`."""


def named_folder(text: str) -> Path:
    """The folder that `--out` names.

    Raises:
        InputError: If it names none: an empty word would be the working folder.
    """
    if not text.strip():
        raise InputError(f"--out: must name a folder, got {text!r}. Name one, or leave the option out.")
    return Path(text)


def why_unwritable(folder: Path) -> str | None:
    """Why nothing can be written into a folder that is there or is still to be made; None where it can be.

    Permissions do not tell it all (a file system may be read-only, or refuse folders), so a hidden folder is made and
    removed again.
    """
    folder = folder.absolute()
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not os.path.isdir(existing):
        return f"{existing} is no folder"
    try:
        with tempfile.TemporaryDirectory(prefix=".writable.", dir=existing):
            return None
    except OSError as error:
        return f"{existing}: {error.strerror}"


def check_run_folder(folder: Path, resume: bool) -> None:
    """Refuse a run's folder that could not be used; nothing is left there.

    Raises:
        InputError: If it exists and `resume` is not given, or cannot be written to.
    """
    if os.path.isfile(folder):
        raise InputError(f"--out: {folder} is a file. Give a folder.")
    if (reason := why_unwritable(folder)) is not None:
        raise InputError(f"--out: {folder} must be a folder that can be written ({reason}). Give another.")
    if not resume and folder.exists() and any(path.name not in (LOCK_FILE, HELD_FILE) for path in folder.iterdir()):
        raise InputError(f"--out: {folder} exists. Give another folder, or --resume to go on with a search of a space.")
