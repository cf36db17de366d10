"""Both ways to write Optuna's tables leave the same; each reads what the other wrote."""

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage

from boshnas.store import tables as module
from boshnas.store.tables import Tables, _CalledTables, _DirectTables, open_tables

CHOICES = {"operation": ["sa", "l"], "layers": [2, 4]}
PARAMETERS = {"layers": 4, "operation": "l"}
ATTRIBUTES = {"text": "ä\0\ud800", "none": None, "nested": {"h": [1, 0.1 + 0.2]}, "status": "running"}
NOTHING = ({}, {"status": "running"})


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[RDBStorage]:
    storage = RDBStorage(f"sqlite:///{tmp_path / 'optuna.db'}")
    yield storage
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture
def study(storage: RDBStorage) -> optuna.Study:
    return optuna.create_study(study_name="mine", storage=storage)


def called(storage: RDBStorage, study: optuna.Study) -> Tables:
    return _CalledTables(storage, study._study_id, CHOICES)


def direct(storage: RDBStorage, study: optuna.Study) -> Tables:
    return _DirectTables(storage, study._study_id, CHOICES, module._models)


WAYS = [called, direct]


@pytest.fixture(params=WAYS, ids=["called", "direct"])
def tables(request: pytest.FixtureRequest, storage: RDBStorage, study: optuna.Study) -> Tables:
    made: Tables = request.param(storage, study)
    return made


def test_installed_optuna_has_the_known_tables(storage: RDBStorage, study: optuna.Study):
    assert isinstance(open_tables(storage, study._study_id, CHOICES), _DirectTables)


@pytest.mark.parametrize("change", ["layout", "models"])
def test_unknown_tables_are_left_to_optuna(
    storage: RDBStorage, study: optuna.Study, monkeypatch: pytest.MonkeyPatch, change: str
):
    if change == "layout":
        monkeypatch.setattr(module, "_KNOWN_LAYOUT", "v0")
    else:
        monkeypatch.setattr(module, "_models", None)
    assert isinstance(open_tables(storage, study._study_id, CHOICES), _CalledTables)


def test_a_trial_passes_through_its_states(tables: Tables):
    first, second, third = (tables.add(number, PARAMETERS, ATTRIBUTES) for number in range(3))
    tables.set_attributes(first, {"attempts": [1]})
    tables.set_attributes(first, {"attempts": [1, 2], "new": True})
    tables.finish(first, {"status": "finished", "details": {}}, 0.1 + 0.2)
    tables.finish(second, {"status": "crashed"}, None)
    rows = tables.read()
    assert [(row.trial_id, row.number, row.has_ended, row.score) for row in rows] == [
        (first, 0, True, 0.1 + 0.2),
        (second, 1, True, None),
        (third, 2, False, None),
    ]
    ended = {"status": "finished", "attempts": [1, 2], "new": True, "details": {}}
    assert rows[0].attributes == ATTRIBUTES | ended
    assert rows[1].attributes == ATTRIBUTES | {"status": "crashed"}
    assert rows[2].attributes == ATTRIBUTES
    assert all(list(row.parameters.items()) == list(PARAMETERS.items()) for row in rows)


@pytest.mark.parametrize("reading", WAYS)
def test_either_way_reads_the_other_and_so_does_optuna(
    tables: Tables, storage: RDBStorage, study: optuna.Study, reading: object
):
    tables.finish(tables.add(0, PARAMETERS, ATTRIBUTES), {"status": "finished"}, -1.5)
    tables.finish(tables.add(1, *NOTHING), {"status": "crashed"}, None)
    assert reading(storage, study).read() == tables.read()  # type: ignore[operator]
    best, failed = study.trials
    assert (best.number, best.value, best.params, best.state.name) == (0, -1.5, PARAMETERS, "COMPLETE")
    assert best.distributions == {
        name: optuna.distributions.CategoricalDistribution(CHOICES[name]) for name in PARAMETERS
    }
    assert (failed.number, failed.value, failed.state.name) == (1, None, "FAIL")
    assert best.duration is not None
    assert 0 <= best.duration.total_seconds() < 60
    assert abs((best.datetime_start - study.ask().datetime_start).total_seconds()) < 60


def test_another_study_in_the_same_database_is_left_alone(tables: Tables, storage: RDBStorage):
    other = optuna.create_study(study_name="other", storage=storage)
    other.add_trial(optuna.create_trial(value=1.0))
    id_ = tables.add(0, PARAMETERS, ATTRIBUTES)
    assert [row.trial_id for row in tables.read()] == [id_]
    assert tables.find(0) == id_
    assert tables.find(1) is None
    assert len(other.trials) == 1


def test_ending_twice_changes_nothing(tables: Tables):
    id_ = tables.add(0, *NOTHING)
    tables.finish(id_, {"status": "finished"}, 1.0)
    before = tables.read()
    tables.finish(id_, {"status": "crashed"}, None)
    tables.finish(id_, {"status": "finished"}, 2.0)
    assert tables.read() == before


def test_a_failure_in_the_middle_leaves_nothing_of_a_trial(
    storage: RDBStorage, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
):
    tables = direct(storage, study)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tables, "_insert_attributes", die)
        with pytest.raises(KeyboardInterrupt):
            tables.add(0, PARAMETERS, ATTRIBUTES)
    assert tables.read() == []
    assert tables.find(0) is None
