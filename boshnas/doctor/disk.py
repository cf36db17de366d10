"""The disk of a run's folder."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from boshnas.doctor.checks import Check, failure, ok, warning
from boshnas.store.sqlite import on_network_disk
from boshnas.whole_file import write_whole
from boshnas.writable import why_unwritable

_GIB = 2**30
_LITTLE_BYTES = 10 * _GIB
_TOO_LITTLE_BYTES = _GIB
_TRY_LOCK = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def check_disk(folder: Path) -> Iterator[Check]:
    """Whether results can be kept there; nothing is left behind."""
    if (reason := why_unwritable(folder)) is not None:
        yield failure("run folder", f"{folder} cannot be written ({reason})", "Give another: --out FOLDER.")
        return
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    yield ok("run folder", f"{folder} can be written")
    yield _free(existing)
    with tempfile.TemporaryDirectory(prefix=".doctor.", dir=existing) as name:
        yield _written(Path(name))
        yield _locked(Path(name))
    if on_network_disk(existing / "file"):
        yield ok("disk kind", "a network disk: other machines can share it; the store keeps a rollback journal there")
    else:
        yield ok("disk kind", "a local disk: only this machine sees it")


def _free(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    message = f"{free / _GIB:.1f} GiB free"
    if free >= _LITTLE_BYTES:
        return ok("disk space", message)
    remedy = "Make room, or give a folder on another disk: --out FOLDER."
    return (failure if free < _TOO_LITTLE_BYTES else warning)("disk space", message, remedy)


def _written(folder: Path) -> Check:
    try:
        write_whole(folder / "file.json", "{}")
        content = (folder / "file.json").read_text(encoding="utf-8")
    except OSError as error:
        content = error.strerror or type(error).__name__
    if content == "{}":
        return ok("writing", "a file was written, flushed and renamed")
    return failure(
        "writing", f"a file cannot be written, flushed and renamed: {content}", "Give another: --out FOLDER."
    )


def _locked(folder: Path) -> Check:
    """Whether another process is kept out by a lock of this one."""
    remedy = "Start no second search in the same folder, or give a folder on a disk with locks: --out FOLDER."
    path = folder / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other = subprocess.run([sys.executable, "-I", "-S", "-c", _TRY_LOCK, str(path)], capture_output=True, text=True)
    except OSError as error:
        return warning("locks", f"files cannot be locked there: {error.strerror}", remedy)
    finally:
        os.close(descriptor)
    if "BlockingIOError" in other.stderr:
        return ok("locks", "a second search in the folder is kept out")
    return warning("locks", "locks do not hold there: a second process got a file that is locked", remedy)
