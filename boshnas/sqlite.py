"""The SQLite file under a store: checked before it is opened, journalled as its disk allows."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json

from boshnas.errors import InputError

_HEADER = b"SQLite format 3\0"
_BUSY_TIMEOUT_S = 60.0
_INSERT_PARAMETER = sqlalchemy.text(
    "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
    "VALUES (:trial_id, :name, :value, :distribution)"
)
_MOUNTS = Path("/proc/self/mounts")
# SQLite's write-ahead log shares memory between processes, which these file systems do not.
_NETWORK_DISKS = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "gluster", "afs", "9p", "fuse")


def check_file(path: Path, study_name: str) -> None:
    """Refuse what is not a store before anything could write to it.

    Raises:
        InputError: If there is no file, it is no SQLite database, or holds no study of that name.
    """
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "nothing"
        raise InputError(f"{path}: store must be a file, got {kind}. Check the run's folder or start a new run.")
    with path.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            raise InputError(
                f"{path}: store must be a SQLite database, got another kind of file. Check the run's folder."
            )
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_TIMEOUT_S)
        try:
            found = connection.execute("SELECT 1 FROM studies WHERE study_name = ?", (study_name,)).fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise InputError(
                f"{path}: store must be readable by SQLite: {error}. Check disk and permissions."
            ) from None
        found = None
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path}: store must be a sound SQLite database: {error}. Restore it from a copy.") from None
    if found is None:
        raise InputError(
            f"{path}: store must hold the study {study_name!r}, got a database without it. Check the run's folder."
        )


class _Storage(optuna.storages.RDBStorage):
    """Optuna's storage with one statement a parameter where it has three, for the store checks values itself.

    Were the method called otherwise in another version of Optuna, adding would be slower, not wrong.
    """

    def _set_trial_param_without_commit(
        self,
        session: Any,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None = None,
    ) -> None:
        row = {
            "trial_id": trial_id,
            "name": param_name,
            "value": param_value_internal,
            "distribution": distribution_to_json(distribution),
        }
        session.execute(_INSERT_PARAMETER, row)


def open_storage(path: Path) -> optuna.storages.RDBStorage:
    """Open Optuna's storage on a file; `creator` sets it up and frees the path from every rule of URLs."""
    return _Storage("sqlite:///unused", engine_kwargs={"creator": lambda: _connect(path)})


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
    wanted = "DELETE" if on_network_disk(path) else "WAL"
    # Refused while others have the file open, and by some disks: the mode that it has serves too.
    with suppress(sqlite3.OperationalError):
        connection.execute(f"PRAGMA journal_mode={wanted}")
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        # Safe with a write-ahead log: a power cut may cost the last trials, never the file.
        connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def on_network_disk(path: Path) -> bool:
    """Whether the file lies on a disk that other machines share; False where that cannot be told."""
    try:
        mounts = [line.split()[1:3] for line in _MOUNTS.read_text(errors="replace").splitlines()]
    except OSError:
        return False
    folders = set(map(str, path.resolve().parents))
    holding = [(len(point), kind) for point, kind in mounts if point in folders]
    return bool(holding) and max(holding)[1].startswith(_NETWORK_DISKS)


def close_storage(storage: optuna.storages.RDBStorage) -> None:
    """Let go of the file. May be called again."""
    storage.remove_session()
    storage.engine.dispose()
