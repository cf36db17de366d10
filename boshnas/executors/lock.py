"""One search a folder: a lock that ends with the process which holds it."""

import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boshnas.errors import InputError

LOCK_FILE = ".lock"
_logger = logging.getLogger(__name__)


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run's folder against every other search.

    The operating system frees the lock when the holder ends, however it ends; the file stays. Children do not inherit
    it: Python opens files so that they are closed on exec.

    Args:
        folder: Of the run; must exist.

    Raises:
        InputError: If the folder is absent, or another process holds it.
    """
    path = folder / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"{folder}: run folder must exist and be writable: {error.strerror}. Make it first.") from None
    try:
        _lock(descriptor, folder)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{folder}: run folder must be used by one search at a time, got one that {_holder(descriptor)} holds. "
            "Wait for it, stop it, or give another folder."
        ) from None
    except OSError as error:
        # Some network disks cannot lock: better an unguarded run than none.
        _logger.warning("%s cannot be locked (%s): start no second search in it.", folder, error.strerror)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']} on host {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
