"""What needs no server; the rest is in tests/cluster/test_postgres.py."""

import sys

import pytest

from boshnas.errors import InputError
from boshnas.store import Store
from boshnas.store.location import Database, PostgresStudy
from boshnas.store.postgres import check_database, is_passing

DATABASE = Database(host="127.0.0.1", port=1, name="runs", user="ann", password="hidden", given_by="BOSHNAS_STORAGE")


def test_without_the_extra_the_command_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    message = r"^BOSHNAS_STORAGE: PostgreSQL needs psycopg.*pip install -c constraints.txt -e '\.\[postgres\]'"
    for use in (Store.open, lambda study: Store.create(study, {}, {}), lambda study: check_database(study.database)):
        with pytest.raises(InputError, match=message):
            use(PostgresStudy(DATABASE, "mine"))


def test_a_server_that_does_not_answer_is_told_at_once_in_a_line():
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    for use in (Store.open, lambda study: Store.create(study, {}, {})):
        with pytest.raises(InputError, match=r"://127\.0\.0\.1:1/runs must be a server that answers, got: ") as told:
            use(PostgresStudy(DATABASE, "mine"))
        assert "hidden" not in str(told.value)
        assert "\n" not in str(told.value)


def test_which_errors_may_pass():
    psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    for passing in ("AdminShutdown", "CannotConnectNow", "DiskFull", "TooManyConnections", "ReadOnlySqlTransaction"):
        assert is_passing(getattr(psycopg.errors, passing)())
    assert is_passing(psycopg.InterfaceError("the connection is closed"))
    for lasting in ("UndefinedTable", "UniqueViolation", "InsufficientPrivilege", "NumericValueOutOfRange"):
        assert not is_passing(getattr(psycopg.errors, lasting)())
    assert not is_passing(KeyError())
