"""Where the trials of a search are kept."""

import os
import sqlite3
from collections.abc import Iterator

from boshnas.doctor.checks import Check, failure, ok
from boshnas.errors import InputError
from boshnas.store import Database, check_database, given_database


def check_storage(named: Database | None) -> Iterator[Check]:
    """SQLite, and the database that was named, or else that whose URL stands in the environment.

    Args:
        named: By an option; its password is never shown.
    """
    yield ok("database", f"SQLite {sqlite3.sqlite_version}")
    try:
        database = named or given_database(None, os.environ)
        if database is not None:
            check_database(database)
            yield ok("database", f"{database} lets user {database.user!r} in")
    except InputError as error:
        said, _, remedy = str(error).rpartition(". ")
        yield failure("database", said, remedy)
