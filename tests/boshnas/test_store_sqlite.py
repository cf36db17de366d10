import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from boshnas.errors import InputError
from boshnas.store.sqlite import back_up, check_file, connect, is_passing

ROWS = 2000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a study and an index over some pages, its log emptied."""
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE studies (study_name)")
        connection.execute("INSERT INTO studies VALUES ('boshnas')")
        connection.execute("CREATE TABLE numbers (number, text)")
        connection.execute("CREATE INDEX by_number ON numbers (number)")
        connection.executemany("INSERT INTO numbers VALUES (?, ?)", ((row, "x" * 20) for row in range(ROWS)))
        connection.commit()
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("is_written", [False, True])
def test_a_sound_store_passes_unchanged(path: Path, is_written: bool):
    before = files(path.parent)
    check_file(path, "boshnas", is_written=is_written)
    assert files(path.parent) == before


def damage(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xff" * 16)


def test_every_damaged_page_is_found_before_writing(path: Path):
    content = path.read_bytes()
    assert len(content) // 4096 > 10
    for page in range(1, len(content) // 4096):
        path.write_bytes(content)
        damage(path, page)
        with pytest.raises(InputError, match=r"must be a sound SQLite database: .*Restore it from a copy\.") as told:
            check_file(path, "boshnas", is_written=True)
        assert "\n" not in str(told.value)


def test_an_index_that_lost_rows_is_found(path: Path):
    content = path.read_bytes().replace(
        b"CREATE INDEX by_number ON numbers (number)", b"CREATE INDEX by_number ON numbers (text  )"
    )
    path.write_bytes(content)
    with pytest.raises(InputError, match="must be a sound SQLite database"):
        check_file(path, "boshnas", is_written=True)


def test_a_store_that_was_cut_short_is_damaged_and_its_copy_named(path: Path):
    copy = back_up(path, 1)
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(InputError, match=rf"Restore it from {copy}, its copy before an update"):
        check_file(path, "boshnas", is_written=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_refused(path: Path):
    path.chmod(0)
    with pytest.raises(InputError, match=r"must be readable \(Permission denied\)"):
        check_file(path, "boshnas", is_written=False)


def test_reading_takes_in_what_only_the_log_holds_and_leaves_nothing_behind(path: Path):
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO numbers VALUES (-1, 'new')")
        writer.commit()
        with closing(connect(path, "ro")) as reader:
            assert reader.execute("SELECT text FROM numbers WHERE number = -1").fetchone() == ("new",)
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.execute("DELETE FROM numbers")
    with closing(connect(path, "ro")) as reader:
        assert reader.execute("SELECT count(*) FROM numbers").fetchone() == (ROWS + 1,)
    assert list(files(path.parent)) == ["store.db"]


def test_what_is_absent_is_not_made(tmp_path: Path):
    for mode in ("ro", "rw"):
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            connect(tmp_path / "absent", mode)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_whole_and_kept(path: Path):
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO numbers VALUES (-1, 'new')")
        writer.commit()
        copy = back_up(path, 1)
    assert copy == path.with_name("store.db.schema1.bak")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (ROWS + 1,)
    content = copy.read_bytes()
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("DELETE FROM numbers")
        writer.commit()
    assert back_up(path, 1) == copy
    assert copy.read_bytes() == content


def test_a_copy_cut_short_leaves_none(path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("boshnas.store.sqlite.os.fsync", full)
    with pytest.raises(InputError, match="copy of the store must be written first, got: .*No space left"):
        back_up(path, 1)
    assert list(files(path.parent)) == ["store.db"]


def test_a_full_disk_and_a_lock_pass_but_not_a_mistake(path: Path):
    with closing(sqlite3.connect(path, timeout=0)) as one, closing(sqlite3.connect(path, timeout=0)) as two:
        one.execute(f"PRAGMA max_page_count={one.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(sqlite3.OperationalError, match="full") as full:
            one.executemany("INSERT INTO numbers VALUES (?, ?)", ((row, "x" * 100) for row in range(ROWS)))
        one.rollback()
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked") as locked:
            two.execute("DELETE FROM numbers")
        with pytest.raises(sqlite3.OperationalError, match="no such table") as mistake:
            two.execute("SELECT 1 FROM absent")
    assert is_passing(full.value)
    assert is_passing(locked.value)
    assert not is_passing(mistake.value)
    assert not is_passing(sqlite3.OperationalError("without a code"))
