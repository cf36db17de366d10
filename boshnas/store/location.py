"""Where a run's store lies: a file in its folder, or a study in a PostgreSQL database whose URL is a secret."""

import logging
import os
import stat
import uuid
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import sqlalchemy
from pydantic import BaseModel, ConfigDict

from boshnas.errors import InputError
from boshnas.job import read_model, write_model

STORE_FILE = "store.db"
"""Of a run's folder, where its store is a file."""
STORAGE_FILE = "storage.json"
"""Of a run's folder: where its store lies, if that is a database."""
OPTION = "--storage"
VARIABLE = "BOSHNAS_STORAGE"
_FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_MAX_FILE_BYTES = 4096
# What libpq takes from a URL's query and is no secret.
_QUERY = ("channel_binding", "sslcert", "sslkey", "sslmode", "sslrootcert")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Database:
    """A PostgreSQL database; it prints without its password.

    Attributes:
        host: Of the server.
        port: Of the server.
        name: Of the database.
        user: Role to log in as; None: as libpq chooses.
        password: None: as libpq finds it (`~/.pgpass`).
        options: How to encrypt, by libpq's names.
        given_by: The option or variable that named it, for messages.
    """

    host: str
    port: int
    name: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    options: tuple[tuple[str, str], ...] = ()
    given_by: str = OPTION

    def __str__(self) -> str:
        return f"postgresql://{self.host}:{self.port}/{self.name}"

    def redacted(self, text: str) -> str:
        """A text of the server or its driver on one line, without the password in any spelling."""
        for secret in {self.password, quote(self.password or "", safe=""), quote_plus(self.password or "")}:
            text = text.replace(secret, "***") if secret else text
        return " ".join(text.split())


@dataclass(frozen=True)
class PostgresStudy:
    """One run's study in a database that others may share."""

    database: Database
    name: str

    def __str__(self) -> str:
        return f"{self.database} study {self.name}"


Location = Path | PostgresStudy
"""A file, or a study in a database."""


class StorageFile(BaseModel):
    """What a run's folder tells of its database (storage.json): all but the secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int
    database: str
    user: str | None
    study: str


def parse_url(text: str, given_by: str) -> Database:
    """Read the URL of a PostgreSQL database.

    Args:
        text: Of the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE; reserved characters written as %40 etc.
        given_by: The option or variable it stands in, for messages.

    Raises:
        InputError: If it is of another form. The text is not quoted: it may hold a secret.
    """
    scheme = text.partition("://")[0]
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        known = f"got {scheme!r}" if scheme in ("sqlite", "mysql", "mariadb", "oracle", "redis") else "got another form"
        raise InputError(
            f"{given_by}: URL must begin with 'postgresql://', {known}. Give {_FORM}; without it the store is "
            f"{STORE_FILE} in the run's folder."
        )
    try:
        url = sqlalchemy.make_url(text)
        host, port = url.host, 5432 if url.port is None else url.port
    except (ValueError, sqlalchemy.exc.ArgumentError):
        host, port = None, 0
    if not host or "@" in host or "," in host or not 0 < port < 65536 or not url.database:
        raise InputError(
            f"{given_by}: URL must be of the form {_FORM}, got one without host, port or database. Write characters "
            "such as '@', '/', ':' or '#' of a password as %40, %2F, %3A, %23."
        )
    if wrong := sorted(set(url.query) - set(_QUERY)):
        raise InputError(f"{given_by}: URL must have no parameters but {', '.join(_QUERY)}, got {wrong[0]!r}. Drop it.")
    return Database(
        host=host,
        port=port,
        name=url.database,
        user=url.username,
        password=None if url.password is None else str(url.password),
        options=tuple(sorted((name, str(value)) for name, value in url.query.items())),
        given_by=given_by,
    )


def given_database(option: str | None, environment: MutableMapping[str, str]) -> Database | None:
    """The database that the user names; None where the store is a file of the run.

    The variable is taken out of the environment, so that no process started later inherits it.

    Args:
        option: A URL without a password, or a file that holds a URL; it stands before the variable.
        environment: `os.environ`.

    Raises:
        InputError: If a password stands in the option, the file cannot be read, or the URL is of another form.
    """
    variable = environment.pop(VARIABLE, "")
    if option is None:
        return parse_url(variable.strip(), VARIABLE) if variable.strip() else None
    if "://" not in option:
        return parse_url(_read_url(Path(option)), OPTION)
    database = parse_url(option, OPTION)
    if database.password is not None:
        raise InputError(
            f"{OPTION}: URL must have no password on the command line, where every user sees it. "
            f"Set {VARIABLE}, or give a file that only you can read."
        )
    return database


def _read_url(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES)
            mode = os.fstat(file.fileno()).st_mode
        text = content.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{OPTION}: {path} must be a file that holds a URL ({reason}). Give {_FORM} in it.") from None
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        _logger.warning("%s: others can read the database's password in %s: chmod 600 it.", OPTION, path)
    return text


def place(folder: Path, database: Database | None) -> Location:
    """Where the store of a run that has been begun lies, as its folder tells.

    Args:
        folder: Of the run.
        database: What the user names. A run that has a file needs none; BOSHNAS_STORAGE is for others then.

    Raises:
        InputError: If the run's database is not named, another is, or storage.json cannot be read.
    """
    kept_at = folder / STORAGE_FILE
    if not os.path.exists(kept_at):  # of a name that is too long, too
        if database is not None and database.given_by == OPTION and (folder / STORE_FILE).exists():
            raise InputError(f"{OPTION}: {folder} keeps its store in {STORE_FILE}. Leave the option out.")
        return folder / STORE_FILE
    kept = read_model(kept_at, StorageFile)
    expected = Database(host=kept.host, port=kept.port, name=kept.database)
    if database is None:
        raise InputError(
            f"{folder}: its store lies in {expected}, whose URL must be given. Set {VARIABLE}, or give {OPTION} FILE."
        )
    if str(database) != str(expected):
        raise InputError(f"{database.given_by}: {folder} has its store in {expected}, got {database}. Give that one.")
    return PostgresStudy(database, kept.study)


def new_place(folder: Path, database: Database | None) -> Location:
    """Where to make the store of a new run; a study's name is its own among all runs that share a database."""
    if database is None:
        return folder / STORE_FILE
    return PostgresStudy(database, f"boshnas-{folder.resolve().name[:100]}-{uuid.uuid4().hex[:8]}")


def keep_place(folder: Path, location: Location) -> None:
    """Write where the store is into the run's folder, without the secret; a file needs no word."""
    if isinstance(location, PostgresStudy):
        database = location.database
        kept = StorageFile(
            host=database.host, port=database.port, database=database.name, user=database.user, study=location.name
        )
        write_model(folder / STORAGE_FILE, kept)
