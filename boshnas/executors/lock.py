"""One search a folder: a lock that ends with the process which holds it."""

import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from boshnas.errors import InputError
from boshnas.executors.identity import ProcessIdentity
from boshnas.job import read_model, write_model
from boshnas.writable import HELD_FILE, LOCK_FILE

TOUCH_SECONDS = 30.0
STALE_SECONDS = 300.0
_logger = logging.getLogger(__name__)


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run's folder against every other search.

    The operating system frees the lock when the holder ends, however it ends; the file stays. Children do not inherit
    it: Python opens files so that they are closed on exec. On a disk that cannot lock (some network disks) a file says
    who holds the folder. It is stale where its process has gone or its host was booted again; one of another host,
    which cannot be asked, where it was not touched for five minutes.

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
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(folder, _holder(path)) from None
        except OSError as error:
            _logger.info("%s cannot be locked (%s): %s says who holds it.", folder, error.strerror, HELD_FILE)
            with _held_file(folder):
                yield
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, ProcessIdentity.own().model_dump_json().encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether a search holds a run's folder now, as far as can be told from here; nothing is changed there.

    Who held it last stands in the lock's file for ever: one of this host that is gone needs no further question, so
    that a search which begins at this moment is not refused because of it.
    """
    path = folder / LOCK_FILE
    holder = _holder(path)
    may_be_locked = holder is None or not holder.is_here or holder.is_alive
    return (may_be_locked and _is_locked(path)) or _is_held_by_file(folder / HELD_FILE)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a disk that cannot lock
    finally:
        os.close(descriptor)
    return False


def _is_held_by_file(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    holder = _holder(path)
    return holder.is_alive if holder is not None and holder.is_here else age <= STALE_SECONDS


def _refusal(folder: Path, holder: ProcessIdentity | None) -> InputError:
    return InputError(
        f"{folder}: run folder must be used by one search at a time, got one that {holder or 'another process'} holds. "
        "Wait for it, stop it, or give another folder."
    )


def _holder(path: Path) -> ProcessIdentity | None:
    try:
        return read_model(path, ProcessIdentity)
    except InputError:
        return None


@contextmanager
def _held_file(folder: Path) -> Iterator[None]:
    path = folder / HELD_FILE
    _remove_stale(folder, path)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        raise _refusal(folder, _holder(path)) from None
    write_model(path, ProcessIdentity.own())
    ended = threading.Event()
    toucher = threading.Thread(target=_touch, args=(path, ended), name="hold-run-folder", daemon=True)
    toucher.start()
    try:
        yield
    finally:
        ended.set()
        toucher.join()
        if _holder(path) == ProcessIdentity.own():
            path.unlink(missing_ok=True)


def _touch(path: Path, ended: threading.Event) -> None:
    while not ended.wait(TOUCH_SECONDS):
        with suppress(OSError):
            if _holder(path) == ProcessIdentity.own():
                os.utime(path)


def _remove_stale(folder: Path, path: Path) -> None:
    """Remove the file of a holder that is gone."""
    try:
        status = path.stat()
        age = _now(folder) - status.st_mtime
    except FileNotFoundError:
        return
    holder = _holder(path)
    is_gone = not holder.is_alive if holder is not None and holder.is_here else age > STALE_SECONDS
    if not is_gone:
        return
    # Another may have judged the same and hold the folder by now: what was renamed must be what was judged.
    taken = path.with_name(f"{HELD_FILE}.{uuid.uuid4().hex}")
    try:
        path.rename(taken)
    except FileNotFoundError:
        return
    if taken.stat().st_mtime_ns == status.st_mtime_ns and _holder(taken) == holder:
        _logger.warning("%s was held by %s, which is gone: taken over.", folder, holder or "another process")
    elif not path.exists():
        taken.rename(path)
    taken.unlink(missing_ok=True)


def _now(folder: Path) -> float:
    """The disk's own clock: that of another host may differ from ours."""
    probe = folder / f"{HELD_FILE}.{os.getpid()}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)
