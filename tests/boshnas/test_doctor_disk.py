import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from boshnas.doctor import database, disk
from boshnas.doctor.checks import Check, Outcome
from boshnas.store import Database


def by_name(folder: Path) -> dict[str, Check]:
    return {check.name: check for check in disk.check_disk(folder)}


def test_a_sound_disk_is_well_and_nothing_is_left_there(tmp_path: Path):
    checks = by_name(tmp_path / "run")
    assert list(checks) == ["run folder", "disk space", "writing", "locks", "disk kind"]
    assert {checks[name].status for name in ("run folder", "writing", "locks", "disk kind")} == {Outcome.OK}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_the_only_line(tmp_path: Path):
    (tmp_path / "file").touch()
    (check,) = disk.check_disk(tmp_path / "file" / "run")
    assert check.status is Outcome.FAILURE
    assert "is no folder" in check.message


@pytest.mark.parametrize(("gib", "status"), [(0.5, Outcome.FAILURE), (5, Outcome.WARNING), (50, Outcome.OK)])
def test_little_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gib: float, status: Outcome):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=gib * 2**30))
    check = by_name(tmp_path)["disk space"]
    assert (check.status, check.message) == (status, f"{gib:.1f} GiB free")


def test_locks_that_do_not_hold_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    check = by_name(tmp_path)["locks"]
    assert check.status is Outcome.WARNING
    assert "do not hold" in check.message


def test_a_disk_without_locks_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr("fcntl.flock", refuse)
    check = by_name(tmp_path)["locks"]
    assert check.status is Outcome.WARNING
    assert "cannot be locked there: Operation not supported" in check.message


def test_a_file_that_cannot_be_flushed_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(descriptor: int) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr("os.fsync", refuse)
    check = by_name(tmp_path)["writing"]
    assert check.status is Outcome.FAILURE
    assert "Input/output error" in check.message


def test_a_network_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/home {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr("boshnas.store.sqlite._MOUNTS", mounts)
    assert "a network disk" in by_name(tmp_path)["disk kind"].message


def test_the_url_of_a_database_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("BOSHNAS_STORAGE", raising=False)
    (check,) = database.check_storage(None)
    assert (check.status, check.message[:7]) == (Outcome.OK, "SQLite ")
    for url in ("postgresql://me:secret@127.0.0.1:1/db", "mysql://me:secret@host/db"):
        monkeypatch.setenv("BOSHNAS_STORAGE", url)
        _, told = database.check_storage(None)
        assert told.status is Outcome.FAILURE
        assert told.remedy
        assert "secret" not in repr(told)


def test_a_database_that_is_named_stands_before_the_environments(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BOSHNAS_STORAGE", "postgresql://me:secret@127.0.0.1:2/environment")
    asked: list[Database] = []
    monkeypatch.setattr(database, "check_database", asked.append)
    named = Database(host="h", port=1, name="named", user="ann")
    _, told = database.check_storage(named)
    assert (told.message, asked) == ("postgresql://h:1/named lets user 'ann' in", [named])
    _, told = database.check_storage(None)
    assert told.message == "postgresql://127.0.0.1:2/environment lets user 'me' in"
