"""Opens the database of a store, of either kind, and tells its errors in a line."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage

from boshnas.errors import InputError
from boshnas.objective import Direction
from boshnas.store import postgres, sqlite
from boshnas.store.location import Location, PostgresStudy
from boshnas.store.patience import UnavailableError, tell_unavailable

METRIC_NAMES = "study:metric_names"
"""Where Optuna keeps what the objective is called."""
STUDY_NAME = "boshnas"
"""Of the study in a file; one in a shared database has a name of its own."""


def study_name(location: Location) -> str:
    """What Optuna calls the study."""
    return location.name if isinstance(location, PostgresStudy) else STUDY_NAME


def open_storage(location: Location, *, read_only: bool) -> RDBStorage:
    """Check a store and open it.

    Raises:
        InputError: If it is absent, damaged, something else, cannot be reached, or another process writes to it.
    """
    with told_in_a_line(location, f"be readable by Optuna {optuna.__version__}"):
        if isinstance(location, Path):
            sqlite.check_file(location, STUDY_NAME, is_written=not read_only)
            return sqlite.open_storage(location, "ro" if read_only else "rw")
        postgres.check_study(location)
        return postgres.open_storage(location, is_written=not read_only)


def tell_when_away(storage: RDBStorage, location: Location) -> None:
    """From now on, errors that may pass are `UnavailableError`."""
    is_passing = sqlite.is_passing if isinstance(location, Path) else postgres.is_passing
    tell_unavailable(storage.engine, is_passing, lambda text: _without_secret(location, text))


def begin_to_write(storage: RDBStorage, location: Location) -> None:
    """Change what only a store may have changed that was read whole."""
    if isinstance(location, Path):
        close_storage(storage)
        sqlite.set_journal(location)


def close_storage(storage: RDBStorage) -> None:
    """Let go of all connections; the next use makes new ones. May be called again."""
    storage.remove_session()
    storage.engine.dispose()


def create_study(location: Location, direction: Direction, score_name: str, attributes: Mapping[str, Any]) -> None:
    """Make a new study, whose objective has a name, with attributes of its own.

    Raises:
        InputError: If there is a file already, or no folder; or the database cannot be reached or refuses.
    """
    with told_in_a_line(location, "be possible to make"):
        if isinstance(location, Path):
            _create_file(location, direction, score_name, attributes)
        else:
            postgres.check_database(location.database)
            postgres.make_tables(location.database)
            storage = postgres.open_storage(location, is_written=True)
            _create(storage, location.name, direction, score_name, attributes)


def _create_file(path: Path, direction: Direction, score_name: str, attributes: Mapping[str, Any]) -> None:
    if path.exists():
        raise InputError(f"{path}: store must be new, got an existing file. Resume that run or give another folder.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: folder of the store must exist, got {str(path.parent)!r}. Make it first.")
    # Whole or not at all: a search killed in the middle leaves no half-made store to resume from.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    _create(sqlite.open_storage(temporary, "rwc"), STUDY_NAME, direction, score_name, attributes)
    temporary.replace(path)


def _create(
    storage: RDBStorage, name: str, direction: Direction, score_name: str, attributes: Mapping[str, Any]
) -> None:
    try:
        with _quiet_optuna():
            study = optuna.create_study(study_name=name, storage=storage, direction=direction)
        # As study.set_metric_names does, which warns.
        storage.set_study_system_attr(study._study_id, METRIC_NAMES, [score_name])
        for key, value in attributes.items():
            study.set_user_attr(key, value)
    finally:
        close_storage(storage)


@contextmanager
def told_in_a_line(location: Location, rule: str) -> Iterator[None]:
    """Turn errors of the database that do not pass into one line without secrets.

    Args:
        location: Of the store.
        rule: What the store must, for the message.

    Raises:
        InputError: In their place.
    """
    try:
        yield
    except UnavailableError:
        raise
    except (RuntimeError, optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        reason = _without_secret(location, str(getattr(cause, "orig", None) or cause or error))
        raise InputError(f"{location}: store must {rule}, got: {reason}. Mend it, or give another.") from None


def _without_secret(location: Location, text: str) -> str:
    return location.database.redacted(text) if isinstance(location, PostgresStudy) else " ".join(text.split())


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without Optuna's line that a study was made; other users of Optuna keep their level."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
