"""The SQLite file under a store: checked before it is opened, journalled as its disk allows, copied before a change."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal

from optuna.storages import RDBStorage

from boshnas.errors import InputError

Mode = Literal["ro", "rw", "rwc"]
"""Read; read and write; make it where it is absent, too."""

_HEADER = b"SQLite format 3\0"
_BUSY_TIMEOUT_S = 60.0
_MOUNTS = Path("/proc/self/mounts")
# SQLite's write-ahead log shares memory between processes, which these file systems do not.
_NETWORK_DISKS = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "gluster", "afs", "9p", "fuse")
_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


def check_file(path: Path, study_name: str, *, is_written: bool) -> None:
    """Refuse what is not a store before anything could write to it, and a damaged one.

    Args:
        path: Of the store.
        study_name: Of the study that it must hold.
        is_written: It will be written to, so every page is checked.

    Raises:
        InputError: If there is no file, it is no sound SQLite database, or holds no study of that name.
    """
    if not os.path.isfile(path):  # of a name that is too long, too
        kind = "a folder" if os.path.isdir(path) else "nothing"
        raise InputError(
            f"{path}: store must be a file, got {kind}: {path.parent} is no run. `boshnas list` shows those that are."
        )
    try:
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
        if header != _HEADER:
            raise InputError(
                f"{path}: store must be a SQLite database, got another kind of file. Check the run's folder."
            )
        found = _find_study(path, study_name, is_written)
    except OSError as error:
        raise InputError(f"{path}: store must be readable ({error.strerror}). Check disk and permissions.") from None
    except sqlite3.OperationalError as error:
        raise InputError(f"{path}: store must be readable by SQLite: {error}. Check disk and permissions.") from None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: store must be a sound SQLite database: {error}. Restore it from {_copy_of(path)}."
        ) from None
    if not found:
        raise InputError(
            f"{path}: store must hold the study {study_name!r}, got a database without it. Check the run's folder."
        )


def _find_study(path: Path, study_name: str, is_written: bool) -> bool:
    with closing(connect(path, "rw" if is_written else "ro")) as connection:
        # With the indices, which the shorter quick_check leaves out: 0.2 s for 10,000 trials.
        if is_written and (wrong := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(" ".join(wrong.split()))
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'studies'").fetchone():
            return False
        try:
            rows = connection.execute("SELECT 1 FROM studies WHERE study_name = ?", (study_name,)).fetchone()
        except sqlite3.OperationalError:
            return False  # a table of that name, of something else
        return rows is not None


def _copy_of(path: Path) -> str:
    """What to restore from: the newest copy that was made before a migration."""
    copies = sorted(path.parent.glob(f"{path.name}.schema*.bak"))
    return f"{copies[-1]}, its copy before an update of this package" if copies else "a copy"


def open_storage(path: Path, mode: Mode) -> RDBStorage:
    """Open Optuna's storage on a file; `creator` sets it up and frees the path from every rule of URLs."""

    def creator() -> sqlite3.Connection:
        connection = connect(path, mode)
        if mode != "ro" and connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            # Safe with a write-ahead log: a power cut may cost the last trials, never the file.
            connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    return RDBStorage("sqlite:///unused", engine_kwargs={"creator": creator}, skip_table_creation=mode != "rwc")


def connect(path: Path, mode: Mode) -> sqlite3.Connection:
    """Open a database file.

    Raises:
        sqlite3.Error: If it cannot be opened so.
    """
    # SQLite's own mode "ro" leaves the log's files behind, since who only reads may not remove them.
    uri = f"{path.absolute().as_uri()}?mode={'rw' if mode == 'ro' else mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
    if mode != "ro":
        return connection
    try:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise
        # A disk that is read-only has no room for the log's index; nor has it writers, which the index is for.
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    return connection


def set_journal(path: Path) -> None:
    """Have a database journalled as its disk allows; a change of the file, which other connections see."""
    wanted = "DELETE" if on_network_disk(path) else "WAL"
    # Refused while others have the file open, and by some disks: the mode that it has serves too.
    with suppress(sqlite3.OperationalError), closing(connect(path, "rw")) as connection:
        connection.execute(f"PRAGMA journal_mode={wanted}")


def on_network_disk(path: Path) -> bool:
    """Whether the file lies on a disk that other machines share; False where that cannot be told."""
    try:
        mounts = [line.split()[1:3] for line in _MOUNTS.read_text(errors="replace").splitlines()]
    except OSError:
        return False
    folders = set(map(str, path.resolve().parents))
    holding = [(len(point), kind) for point, kind in mounts if point in folders]
    return bool(holding) and max(holding)[1].startswith(_NETWORK_DISKS)


def is_passing(error: BaseException) -> bool:
    """Whether an error may go away by itself or by somebody's help: a full disk, a lock, a disk that is away."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.OperationalError) and code is not None and code & 0xFF in _PASSING


def back_up(path: Path, schema_number: int) -> Path:
    """Copy a database, with what stands in its log alone, whole or not at all; a copy that is there is kept.

    Args:
        path: Of the store.
        schema_number: Of the store, part of the copy's name.

    Returns:
        The copy.

    Raises:
        InputError: If there is no room, or the folder cannot be written to.
    """
    copy = path.with_name(f"{path.name}.schema{schema_number}.bak")
    if copy.exists():
        return copy
    temporary = path.with_name(f".{copy.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        with closing(connect(path, "rw")) as source, closing(sqlite3.connect(temporary)) as target:
            source.backup(target)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(copy)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise InputError(f"{copy}: copy of the store must be written first, got: {error}. Make room.") from None
    return copy
