"""A store of the first schema, made by the version that had it (data/store_schema_1.sql)."""

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from boshnas.errors import InputError
from boshnas.job import Result
from boshnas.store import SCHEMA_NUMBER, Store
from boshnas.store.migration import check_schema
from boshnas.trial import Attempt, Decision, Status

DUMP = Path(__file__).parent / "data" / "store_schema_1.sql"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(DUMP.read_text("utf-8"))
    return path


def schema_of(path: Path) -> object:
    study = optuna.load_study(study_name="boshnas", storage=f"sqlite:///{path}")
    return study.user_attrs["schema_number"]


def assert_as_it_was(store: Store) -> None:
    first, second, third = store.trials()
    assert (first.id, first.status, first.score, first.task_scores["cola"]) == ("arch0", "finished", 0.1 + 0.2, 1 / 3)
    assert list(first.parameters.items()) == [("operation_1", "l"), ("num_layers", 2)]
    assert (first.proposal.decision, first.proposal.epistemic_std) == (Decision.OPTIMISE, 1e-17)
    assert first.details == {"params": 4, "curve": [1.0, {"x": None}]}
    assert (second.status, second.error, second.level) == (Status.OUT_OF_MEMORY, "one\ntwo", 0)
    assert (third.status, third.seed, third.parent_id) == (Status.RUNNING, 2**40, "arch9")
    assert [trial.attempts for trial in (first, second, third)] == [(), (), ()]
    assert store.identity == {"space": "flexibert_mini", "seed": 3, "nested": {"tasks": ["cola"]}}
    assert store.direction == "maximize"


def test_it_is_read_without_a_change(path: Path):
    content = path.read_bytes()
    with Store.open(path, read_only=True) as store:
        assert_as_it_was(store)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]


def test_it_is_migrated_after_a_copy_and_goes_on(path: Path, caplog: pytest.LogCaptureFixture):
    with Store.open(path) as store:
        assert_as_it_was(store)
        attempted = store.add_attempt(2, Attempt(status=Status.PREEMPTED, error="gone"))
        finished = store.finish(Result(number=2, id="arch2", status=Status.FINISHED, score=1.0))
    assert schema_of(path) == SCHEMA_NUMBER == 2
    copy = path.with_name("store.db.schema1.bak")
    assert schema_of(copy) == 1
    assert f"store of schema 1 is of schema 2 now, copy in {copy}" in caplog.text
    with Store.open(copy, read_only=True) as before:
        assert_as_it_was(before)
    caplog.clear()
    with Store.open(path) as again:
        assert again.trials()[2] == finished
        assert again.trials()[2].attempts == attempted.attempts != ()
    assert caplog.text == ""


def test_a_migration_cut_short_is_done_again(path: Path, monkeypatch: pytest.MonkeyPatch):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("optuna.storages.RDBStorage.set_study_user_attr", die)
        with pytest.raises(KeyboardInterrupt):
            Store.open(path)
    assert schema_of(path) == 1
    Store.open(path).close()
    assert schema_of(path) == SCHEMA_NUMBER


def test_without_a_copy_nothing_is_changed(path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("boshnas.store.sqlite.os.fsync", full)
    with pytest.raises(InputError, match="copy of the store must be written first"):
        Store.open(path)
    monkeypatch.undo()
    assert schema_of(path) == 1


@pytest.mark.parametrize("number", [None, "1", 3, 2.0])
def test_another_number_is_refused(number: object):
    with pytest.raises(InputError, match="schema_number of the store must be at most 2, got"):
        check_schema(number, "store.db")


def test_known_numbers_pass():
    assert [check_schema(number, "store.db") for number in (1, 2)] == [1, 2]
