"""A file that is whole or not there, whatever ends the process that writes it."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text under a temporary name, flush it to the disk, and rename it; what was there before stays until then.

    Args:
        path: The file; its folder must exist.
        text: All that it holds, written as UTF-8.

    Raises:
        OSError: If it cannot be written; nothing is left of it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # a full disk has no room for halves
        raise
