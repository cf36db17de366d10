"""The folder that a command fills: for one command at a time, and nothing in it is written over."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from design_space.errors import InputError
from design_space.files import require_writable

RESULT_FILE = "result.json"
_LOCK_FILE = ".lock"


def require_free(output_dir: str, *, resume: bool) -> None:
    """Refuse a folder that could not be filled.

    Args:
        output_dir: Folder, there or still to be made; none: nothing is kept.
        resume: What it holds is to be gone on with.

    Raises:
        InputError: If it cannot be written to, holds results that are not to be gone on with, or is missing.
    """
    if not output_dir:
        if resume:
            raise InputError("--resume: needs the folder of the runs. Give --output_dir.")
        return
    folder = Path(output_dir)
    if not resume:
        kept = "a result" if (folder / RESULT_FILE).exists() else "runs" if any(folder.glob("**/run-*.json")) else None
        if kept:
            raise InputError(f"--output_dir: {folder} holds {kept} already. Give another folder, or --resume.")
    require_writable(folder)


@contextmanager
def output_folder(folder: Path | None, is_first: bool = True) -> Iterator[None]:
    """Hold a folder against other commands; where it is left by Ctrl-C, say how to go on.

    The operating system frees it when the holder ends, however it ends; the lock's file stays.

    Args:
        folder: Made where it is absent; None: nothing is kept.
        is_first: Whether this is the first of the processes of one command, which holds the folder for all of them.

    Raises:
        InputError: If another command holds it.
    """
    if folder is None or not is_first:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"--output_dir: {folder} must be filled by one command at a time, another one is at it. "
            "Wait for it, or give another folder."
        ) from None
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"What is done is kept in {folder}. The same command with --resume goes on.\n")
        raise
    finally:
        lock.release()
