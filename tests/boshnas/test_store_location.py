import json
import logging
import os
from pathlib import Path

import pytest

from boshnas.errors import InputError
from boshnas.store.location import (
    STORAGE_FILE,
    STORE_FILE,
    Database,
    PostgresStudy,
    given_database,
    keep_place,
    new_place,
    parse_url,
    place,
)

SECRET = "hidden@word"
URL = "postgresql://ann:hidden%40word@db.example:5433/runs"
DATABASE = Database(host="db.example", port=5433, name="runs", user="ann", password=SECRET)


def secret_file(path: Path, text: str = URL, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


# URLs


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_url_is_read(scheme: str):
    assert parse_url(URL.replace("postgresql", scheme), "--storage") == DATABASE


def test_what_may_be_left_out_of_a_url():
    database = parse_url("postgresql://[::1]/runs", "--storage")
    assert (database.host, database.port, database.user, database.password) == ("::1", 5432, None, None)


def test_encryption_is_asked_for_in_the_url():
    assert parse_url(f"{URL}?sslmode=require&sslrootcert=ca.pem", "x").options == (
        ("sslmode", "require"),
        ("sslrootcert", "ca.pem"),
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///store.db", "must begin with 'postgresql://', got 'sqlite'.*without it the store is store.db"),
        ("mysql://ann:hidden@host/runs", "must begin with 'postgresql://', got 'mysql'"),
        ("hidden:word", "must begin with 'postgresql://', got another form"),
        ("", "must begin with 'postgresql://', got another form"),
        ("postgresql://", "got one without host, port or database"),
        ("postgresql://ann:hidden@host", "got one without host, port or database"),
        ("postgresql://ann:hidden@/runs", "got one without host, port or database"),
        ("postgresql://ann:hid@den@host/runs", "Write characters such as '@'"),
        ("postgresql://ann:hid#den@host:port/runs", "Write characters such as '@'"),
        ("postgresql://ann:hidden@host:0/runs", "Write characters such as '@'"),
        ("postgresql://ann:hidden@host:99999/runs", "Write characters such as '@'"),
        ("postgresql://ann:hidden@one,two/runs", "got one without host, port or database"),
        ("postgresql://ann@host/runs?password=hidden", "must have no parameters but .*, got 'password'. Drop it"),
        ("postgresql://ann@host/runs?options=-csearch_path%3Dx", "got 'options'"),
    ],
)
def test_another_form_is_refused_without_quoting_it(url: str, message: str):
    with pytest.raises(InputError, match=f"^BOSHNAS_STORAGE: URL .*{message}") as caught:
        parse_url(url, "BOSHNAS_STORAGE")
    assert "hid" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_secret_is_in_no_text():
    study = PostgresStudy(DATABASE, "mine")
    for text in (str(DATABASE), repr(DATABASE), str(study), repr(study)):
        assert "hidden" not in text
    assert str(study) == "postgresql://db.example:5433/runs study mine"


def test_messages_are_redacted_in_every_spelling():
    database = Database(host="h", port=1, name="n", password="a b/c")
    assert database.redacted("a b/c, a%20b%2Fc\nand a+b%2Fc") == "***, *** and ***"
    assert Database(host="h", port=1, name="n").redacted("as it is") == "as it is"


# What the user gives


def test_nothing_given_is_no_database():
    assert given_database(None, {}) is None
    assert given_database(None, {"BOSHNAS_STORAGE": " "}) is None


def test_the_variable_is_read_and_taken_out():
    environment = {"BOSHNAS_STORAGE": f"{URL}\n", "HOME": "/"}
    database = given_database(None, environment)
    assert database is not None
    assert (str(database), database.password, database.given_by) == (str(DATABASE), SECRET, "BOSHNAS_STORAGE")
    assert environment == {"HOME": "/"}


def test_the_variable_is_taken_out_even_where_it_is_wrong_or_not_used(tmp_path: Path):
    environment = {"BOSHNAS_STORAGE": "mysql://x"}
    with pytest.raises(InputError):
        given_database(None, environment)
    assert environment == {}
    environment = {"BOSHNAS_STORAGE": "mysql://x"}
    assert given_database(secret_file(tmp_path / "url"), environment) == DATABASE
    assert environment == {}


def test_a_file_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert given_database(secret_file(tmp_path / "url", f"{URL}\n"), {}) == DATABASE
    assert caplog.records == []


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int):
    caplog.set_level(logging.WARNING)
    assert given_database(secret_file(tmp_path / "url", mode=mode), {}) == DATABASE
    (record,) = caplog.records
    assert "others can read" in record.message
    assert "hidden" not in record.message


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"what", b"x" * 10_000])
def test_a_file_that_holds_no_url_is_refused(tmp_path: Path, content: bytes | None):
    path = tmp_path / "url"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="^--storage: "):
        given_database(str(path), {})
    with pytest.raises(InputError, match="must be a file that holds a URL"):
        given_database(str(tmp_path), {})


def test_a_password_on_the_command_line_is_refused():
    with pytest.raises(
        InputError, match="no password on the command line.*Set BOSHNAS_STORAGE, or give a file"
    ) as told:
        given_database(URL, {})
    assert "hidden" not in str(told.value)
    database = given_database("postgresql://ann@db.example:5433/runs", {})
    assert database is not None
    assert database.password is None


# The run's folder


def test_a_new_run_has_a_file_or_a_study_of_its_own(tmp_path: Path):
    assert new_place(tmp_path, None) == tmp_path / STORE_FILE
    first, second = new_place(tmp_path, DATABASE), new_place(tmp_path, DATABASE)
    assert isinstance(first, PostgresStudy)
    assert isinstance(second, PostgresStudy)
    assert first.name != second.name
    assert tmp_path.name[:100] in first.name


def test_the_folder_tells_where_the_study_is_but_no_secret(tmp_path: Path):
    study = PostgresStudy(DATABASE, "mine")
    keep_place(tmp_path, study)
    kept = json.loads((tmp_path / STORAGE_FILE).read_text())
    assert kept == {"host": "db.example", "port": 5433, "database": "runs", "user": "ann", "study": "mine"}
    assert place(tmp_path, DATABASE) == study
    other_user = parse_url("postgresql://bob:new@db.example:5433/runs", "BOSHNAS_STORAGE")
    assert place(tmp_path, other_user) == PostgresStudy(other_user, "mine")


def test_a_folder_with_a_file_needs_no_word(tmp_path: Path):
    keep_place(tmp_path, tmp_path / STORE_FILE)
    assert list(tmp_path.iterdir()) == []
    assert place(tmp_path, None) == tmp_path / STORE_FILE


def test_the_variable_is_for_other_runs_where_the_folder_has_a_file_but_the_option_is_refused(tmp_path: Path):
    (tmp_path / STORE_FILE).touch()
    assert place(tmp_path, parse_url(URL, "BOSHNAS_STORAGE")) == tmp_path / STORE_FILE
    with pytest.raises(InputError, match=r"--storage: .* keeps its store in store\.db\. Leave the option out"):
        place(tmp_path, DATABASE)


def test_a_study_without_its_url_is_refused(tmp_path: Path):
    keep_place(tmp_path, PostgresStudy(DATABASE, "mine"))
    with pytest.raises(
        InputError, match=r"its store lies in postgresql://db\.example:5433/runs, whose URL must be given"
    ):
        place(tmp_path, None)


@pytest.mark.parametrize("url", [URL.replace("5433", "5432"), URL.replace("runs", "other"), URL.replace("db.", "")])
def test_another_database_is_refused(tmp_path: Path, url: str):
    keep_place(tmp_path, PostgresStudy(DATABASE, "mine"))
    with pytest.raises(InputError, match=r"^BOSHNAS_STORAGE: .* has its store in postgresql://db\.example:5433/runs"):
        place(tmp_path, parse_url(url, "BOSHNAS_STORAGE"))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"host": 1}'])
def test_a_damaged_storage_file_is_refused(tmp_path: Path, content: str):
    (tmp_path / STORAGE_FILE).write_text(content)
    with pytest.raises(InputError, match=STORAGE_FILE):
        place(tmp_path, DATABASE)


def test_the_storage_file_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        keep_place(tmp_path, PostgresStudy(DATABASE, "mine"))
    assert not (tmp_path / STORAGE_FILE).exists()
