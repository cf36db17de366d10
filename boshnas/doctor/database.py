"""Where the trials of a search are kept."""

import os
import sqlite3
from collections.abc import Iterator

from boshnas.doctor.checks import Check, ok, warning

STORAGE_VARIABLE = "BOSHNAS_STORAGE"


def check_database() -> Iterator[Check]:
    """SQLite by default; the URL in the environment is never shown."""
    yield ok("database", f"SQLite {sqlite3.sqlite_version}")
    if os.environ.get(STORAGE_VARIABLE):
        yield warning(
            "database",
            f"{STORAGE_VARIABLE} is set, and this version does not check it",
            "Try it with the database's own client.",
        )
