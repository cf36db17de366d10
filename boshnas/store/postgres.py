"""A run's study in a PostgreSQL database, and the lock that gives it one driver.

The lock is held by the very connection that writes. So nothing is written without it, and a connection that was cut
on its way to a commit has either committed or gone once the lock is taken again.
"""

import hashlib
import os
import re
import socket
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from optuna.storages import RDBStorage
from sqlalchemy.pool import StaticPool

from boshnas.errors import InputError
from boshnas.store.location import Database, PostgresStudy
from boshnas.store.patience import UnavailableError

if TYPE_CHECKING:
    import psycopg

# How soon a peer counts as gone: for the client where what it sent is not received, and where nothing is sent.
_CLIENT_SETTINGS: dict[str, Any] = {
    "connect_timeout": 10,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
# For the server: a driver whose machine died holds its lock no longer than a minute.
_SERVER_SETTINGS = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
_LOCK_WAIT_S = 3.0
_LOCK_POLL_S = 0.1
# What libpq says where nobody has asked for a user yet.
_NO_ANSWER = re.compile(
    "refused|timed out|timeout|translate host|resolve|No route|unreachable|starting up|shutting down"
)
_TABLES_KEY = "boshnas tables"
_MAX_NAME = 63

_HOLDER = """
SELECT activity.pid, activity.application_name
FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
  AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND lock.classid::bigint = (%(key)s::bigint >> 32) & 4294967295
  AND lock.objid::bigint = %(key)s::bigint & 4294967295
"""


def require_driver(database: Database) -> None:
    """Refuse a database where psycopg is not installed.

    Raises:
        InputError: If it cannot be imported.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise InputError(
            f"{database.given_by}: PostgreSQL needs psycopg, which is not installed. "
            "Install it: pip install -c constraints.txt -e '.[postgres]'."
        ) from None


def check_database(database: Database) -> None:
    """Log in and out again.

    Raises:
        InputError: If the server, the database or the password is wrong, or psycopg is absent.
    """
    require_driver(database)
    import psycopg

    try:
        _connect(database).close()
    except psycopg.Error as error:
        said = database.redacted(str(error)).rstrip("?.")
        if _NO_ANSWER.search(said):
            raise InputError(
                f"{database.given_by}: {database} must be a server that answers, got: {said}. "
                "Start it, or correct host and port."
            ) from None
        raise InputError(
            f"{database.given_by}: {database} must let user {database.user!r} in, got: {said}. "
            "Check database, user and password."
        ) from None


def check_study(study: PostgresStudy) -> None:
    """Refuse a database that does not hold the study, before Optuna could make tables in it.

    Raises:
        InputError: If it cannot be reached, or holds no such study.
    """
    check_database(study.database)
    import psycopg

    try:
        with _connect(study.database) as connection:
            query = "SELECT 1 FROM studies WHERE study_name = %s"
            found = connection.execute(query, (study.name,)).fetchone()
    except psycopg.ProgrammingError:
        found = None  # no such table, or one of something else
    if found is None:
        raise InputError(
            f"{study.database}: database must hold the study {study.name!r}, got one without it. "
            "Check the URL; if the study was deleted, start a new run."
        )


def open_storage(study: PostgresStudy, *, is_written: bool) -> RDBStorage:
    """Open Optuna's storage on a study that exists or will; a writer's connection takes the study's lock.

    Raises:
        InputError: If another process writes to the study.
    """
    connect = partial(_connect_locked, study, uuid.uuid4().hex[:8]) if is_written else partial(_read, study.database)
    # One connection for all: the lock is its own. The URL stands for the dialect; the secret stays in `connect`.
    return _storage(connect, skip_table_creation=True)


def make_tables(database: Database) -> None:
    """Make Optuna's tables where they are absent, one process at a time."""
    with _connect(database) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", (_key(_TABLES_KEY),))
        storage = _storage(partial(_connect, database), skip_table_creation=False)
        storage.remove_session()
        storage.engine.dispose()


def _storage(connect: Callable[[], "psycopg.Connection[Any]"], *, skip_table_creation: bool) -> RDBStorage:
    return RDBStorage(
        "postgresql+psycopg://",
        engine_kwargs={"creator": connect, "poolclass": StaticPool},
        skip_table_creation=skip_table_creation,
    )


def is_passing(error: BaseException) -> bool:
    """Whether an error may go away by itself or by somebody's help: a server that is away, a full disk."""
    import psycopg

    passing = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
    return isinstance(error, passing)


def _connect(database: Database, name: str = "boshnas") -> "psycopg.Connection[Any]":
    import psycopg

    return psycopg.connect(
        host=database.host,
        port=database.port,
        dbname=database.name,
        user=database.user,
        password=database.password,
        application_name=name[:_MAX_NAME],
        **(_CLIENT_SETTINGS | dict(database.options)),
    )


def _read(database: Database) -> "psycopg.Connection[Any]":
    connection = _connect(database)
    connection.read_only = True
    return connection


def _connect_locked(study: PostgresStudy, token: str) -> "psycopg.Connection[Any]":
    """A connection that holds the study's lock.

    Args:
        study: To lock.
        token: Tells this driver's connections from others'.

    Raises:
        InputError: If another driver holds it.
        UnavailableError: If a broken connection of this driver holds it still.
    """
    connection = _connect(study.database, f"boshnas {token} process {os.getpid()} on host {socket.gethostname()}")
    try:
        connection.autocommit = True  # what a transaction sees of other connections does not change
        for name, value in _SERVER_SETTINGS.items():
            connection.execute(f"SET {name} = {value}".encode())
        _lock(connection, study, token)
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection


def _lock(connection: "psycopg.Connection[Any]", study: PostgresStudy, token: str) -> None:
    key, deadline = _key(study.name), time.monotonic() + _LOCK_WAIT_S
    while True:
        if connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone() == (True,):
            return
        pid, name = connection.execute(_HOLDER, {"key": key}).fetchone() or (None, None)
        is_own = (name or "").startswith(f"boshnas {token} ")
        if is_own:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        if time.monotonic() > deadline:
            break
        # The server takes a moment to see that a killed driver's connection is closed.
        time.sleep(_LOCK_POLL_S)
    if is_own:
        raise UnavailableError("the server has not yet closed the connection that was lost")
    holder = " ".join((name or "").split()[2:]) or "another process"
    raise InputError(
        f"{study}: study must be written by one search at a time, got one that {holder} holds. "
        "Stop that one, or wait a minute if its machine is gone."
    )


def _key(name: str) -> int:
    """The number by which PostgreSQL knows a lock: 64 bits with a sign."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
