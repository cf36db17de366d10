"""Every evaluation of a run, kept as an Optuna study: in an SQLite file, or in a PostgreSQL database."""

from boshnas.store.database import STUDY_NAME
from boshnas.store.location import (
    STORAGE_FILE,
    STORE_FILE,
    Database,
    Location,
    given_database,
    keep_place,
    new_place,
    place,
)
from boshnas.store.migration import SCHEMA_NUMBER
from boshnas.store.patience import UnavailableError
from boshnas.store.postgres import check_database
from boshnas.store.store import Store

__all__ = [
    "SCHEMA_NUMBER",
    "STORAGE_FILE",
    "STORE_FILE",
    "STUDY_NAME",
    "Database",
    "Location",
    "Store",
    "UnavailableError",
    "check_database",
    "given_database",
    "keep_place",
    "new_place",
    "place",
]
