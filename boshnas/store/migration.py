"""From the schema of an older version of this package to the one of today.

1. The first.
2. A trial may have the attribute `attempts`. One without it had none, so an older store is read as it is; its number
   is raised before it is written to, for a package that does not know attempts would lose them.
"""

import logging
from pathlib import Path

from optuna.storages import RDBStorage

from boshnas.errors import InputError
from boshnas.store.location import Location
from boshnas.store.sqlite import back_up

SCHEMA_NUMBER = 2
"""Of the stores that are written now; older ones are updated, newer ones refused."""
SCHEMA_ATTRIBUTE = "schema_number"

_logger = logging.getLogger(__name__)


def check_schema(number: object, where: str) -> int:
    """The schema number of a store, if this package reads it.

    Raises:
        InputError: If it is none, or newer.
    """
    if not isinstance(number, int) or number > SCHEMA_NUMBER:
        raise InputError(
            f"{where}: schema_number of the store must be at most {SCHEMA_NUMBER}, got {number!r}. "
            "Update this package to read it."
        )
    return number


def migrate(storage: RDBStorage, study_id: int, number: int, location: Location) -> None:
    """Bring a store that will be written to up to date, after a copy of its file.

    It is one row in one transaction, in either database; cut short, it is done at the next opening.

    Raises:
        InputError: If the copy cannot be written; the store is as it was then.
    """
    if number == SCHEMA_NUMBER:
        return
    copy = f", copy in {back_up(location, number)}" if isinstance(location, Path) else ""
    storage.set_study_user_attr(study_id, SCHEMA_ATTRIBUTE, SCHEMA_NUMBER)
    _logger.warning("%s: store of schema %d is of schema %d now%s", location, number, SCHEMA_NUMBER, copy)
