import logging
import random
import sqlite3
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from boshnas.errors import InputError
from boshnas.job import Result
from boshnas.store import SCHEMA_NUMBER, STORE_FILE, STUDY_NAME, Store, UnavailableError, sqlite
from boshnas.store.choices import Range
from boshnas.trial import Attempt, Decision, Proposal, Status, Trial

IDENTITY = {"space": "flexibert_mini", "seed": 3, "nested": {"tasks": ["cola"]}}
WORDS_OF_A_STORE = (b"architecture_id", b"COMPLETE", b"FINITE", b"identity", b"schema_number", b'{"l"', b"optimise")
CHOICES = {"num_layers": [2, 4], "operation_1": ["sa", "l", "c"], "hidden_3": [128, 256]}


def make_trial(number: int = 0, **changes: object) -> Trial:
    trial = Trial(
        number=number,
        proposal=Proposal(
            id=f"arch{number}", decision=Decision.OPTIMISE, mean=0.1 + 0.2, epistemic_std=1e-17, aleatoric_std=2.5
        ),
        level=2,
        architecture={"l": 2, "o": ["sa", "l"], "h": [128, 256]},
        parameters={"operation_1": "l", "num_layers": 2},
        seed=2**40,
        parent_id="arch9",
    )
    return replace(trial, **changes)  # type: ignore[arg-type]


def finished(number: int = 0, score: float = 0.1 + 0.2) -> Result:
    return Result(
        number=number,
        id=f"arch{number}",
        status=Status.FINISHED,
        score=score,
        task_scores={"cola": 1 / 3, "sst2": 90.0},
        stage_seconds={"pretrain": 12.5},
        details={"params": 4, "curve": [1.0, {"x": None}]},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Store:
    return Store.create(path, IDENTITY, CHOICES)


def reopened(store: Store) -> list[Trial]:
    store.close()
    with Store.open(store.location) as again:
        return again.trials()


def test_trials_come_back_exactly_after_reopening(store: Store):
    store.add(make_trial(0))
    baseline = Proposal(id="arch1", decision=Decision.BASELINE)
    store.add(make_trial(1, proposal=baseline, parent_id=None, parameters={}, level=0))
    store.add(make_trial(2))
    done = store.finish(finished(0))
    failed = store.finish(Result(number=1, id="arch1", status=Status.OUT_OF_MEMORY, error="one\ntwo"))

    assert done == replace(
        make_trial(0),
        status=Status.FINISHED,
        score=0.1 + 0.2,
        task_scores={"cola": 1 / 3, "sst2": 90.0},
        stage_seconds={"pretrain": 12.5},
        details={"params": 4, "curve": [1.0, {"x": None}]},
    )
    assert failed.failed
    assert failed.error == "one\ntwo"
    assert store.trials() == [done, failed, make_trial(2)]
    assert reopened(store) == [done, failed, make_trial(2)]


def test_parameters_keep_their_order_and_types(store: Store):
    store.add(make_trial())
    (trial,) = reopened(store)
    assert list(trial.parameters.items()) == [("operation_1", "l"), ("num_layers", 2)]
    assert type(trial.parameters["num_layers"]) is int


def test_tuples_read_the_same_before_and_after_reopening(store: Store):
    store.add(make_trial(architecture={"o": ("sa", "l")}))
    before = store.trials()
    assert reopened(store) == before


def test_a_parameter_may_be_a_number(path: Path):
    choices = {"lr": Range(low=0.1, high=0.5, is_whole=False), "width": Range(low=1, high=9, is_whole=True)}
    with Store.create(path, IDENTITY, choices) as store:
        store.add(make_trial(parameters={"lr": 0.1 + 0.2, "width": 9}))
        for wrong in ({"lr": 0.6}, {"width": 2.5}, {"width": True}, {"width": "2"}, {"depth": 2}):
            with pytest.raises(ValueError, match="must be one of"):
                store.add(make_trial(1, parameters=wrong))
    with Store.open(path) as store:
        assert store.choices == choices
        assert store.trials()[0].parameters == {"lr": 0.1 + 0.2, "width": 9}
        assert isinstance(store.trials()[0].parameters["width"], int)


def test_identity_choices_and_direction_come_back(path: Path):
    Store.create(path, IDENTITY, CHOICES, direction="minimize").close()
    with Store.open(path) as store:
        assert store.identity == IDENTITY
        assert store.choices == CHOICES
        assert store.direction == "minimize"
        assert store.trials() == []


def test_a_reopened_store_goes_on(store: Store):
    store.add(make_trial(0))
    store.close()
    with Store.open(store.location) as again:
        again.finish(finished(0))
        again.add(make_trial(1))
        assert [trial.status for trial in reopened(again)] == [Status.FINISHED, Status.RUNNING]


def test_plain_optuna_reads_the_study(store: Store):
    store.add(make_trial(0))
    store.add(make_trial(1, parameters={"operation_1": "sa", "num_layers": 4, "hidden_3": 256}))
    store.add(make_trial(2))
    store.finish(finished(0, score=1.0))
    store.finish(finished(1, score=2.0))
    store.finish(Result(number=2, id="arch2", status=Status.DIVERGED, error="loss is nan"))
    store.close()

    study = optuna.load_study(study_name="boshnas", storage=f"sqlite:///{store.location}")
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.best_trial.number == 1
    assert study.best_params == {"operation_1": "sa", "num_layers": 4, "hidden_3": 256}
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert study.user_attrs["schema_number"] == SCHEMA_NUMBER
    attributes = study.trials[0].user_attrs
    assert attributes["architecture_id"] == "arch0"
    assert attributes["predicted_mean"] == 0.1 + 0.2
    assert attributes["model_dict"] == {"l": 2, "o": ["sa", "l"], "h": [128, 256]}
    assert attributes["task_scores"] == {"cola": 1 / 3, "sst2": 90.0}
    assert study.trials[2].user_attrs["status"] == "diverged"
    assert study.trials[1].duration is not None


def test_a_finish_cut_short_leaves_the_trial_running(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.add(make_trial())

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sqlalchemy.orm.SessionTransaction.commit", die)
        with pytest.raises(KeyboardInterrupt):
            store.finish(finished())
    store.close()
    with Store.open(store.location) as again:
        assert again.trials() == [make_trial()]
        failed = again.finish(Result(number=0, id="arch0", status=Status.KILLED, error="gone"))
        assert reopened(again) == [failed]


def test_attempts_that_failed_are_kept_in_order(store: Store):
    store.add(make_trial())
    first = Attempt(status=Status.OUT_OF_MEMORY, error="one\ntwo")
    second = Attempt(status=Status.PREEMPTED, error="")
    assert store.add_attempt(0, first) == make_trial(attempts=(first,))
    running = store.add_attempt(0, second)
    assert reopened(store) == [running] == [make_trial(attempts=(first, second))]
    with Store.open(store.location) as again:
        done = again.finish(finished())
        assert done.attempts == (first, second)
        assert reopened(again) == [done]


def test_refuses_an_attempt_of_what_does_not_run(store: Store):
    attempt = Attempt(status=Status.CRASHED, error="bug")
    with pytest.raises(ValueError, match="Store.add_attempt: number and id must be those of a trial"):
        store.add_attempt(0, attempt)
    store.add(make_trial())
    store.finish(finished())
    with pytest.raises(ValueError, match="Store.add_attempt: trial 0 must be running, got 'finished'"):
        store.add_attempt(0, attempt)


def test_a_store_for_reading_refuses_to_write(store: Store):
    store.add(make_trial())
    with Store.open(store.location, read_only=True) as reader:
        assert reader.trials() == [make_trial()]
        with pytest.raises(ValueError, match="store must be open for writing"):
            reader.finish(finished())
        assert reader.trials() == [make_trial()]
    assert reopened(store) == [make_trial()]


def test_optunas_own_calls_keep_the_same(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("boshnas.store.tables._models", None)
    with Store.open(store.location) as slow:
        slow.add(make_trial(0))
        slow.add_attempt(0, Attempt(status=Status.CRASHED, error="bug"))
        slow.finish(finished(0))
        slow.add(make_trial(1))
        kept = slow.trials()
        assert reopened(slow) == kept
    monkeypatch.undo()
    assert reopened(store) == kept


def limit_pages(monkeypatch: pytest.MonkeyPatch, path: Path) -> Callable[[], None]:
    """A full disk: no connection can make the file grow until the returned function is called."""
    limits = [int(path.stat().st_size / 4096)]
    connect = sqlite.connect

    def limited(path: Path, mode: sqlite.Mode) -> sqlite3.Connection:
        connection = connect(path, mode)
        if limits:
            connection.execute(f"PRAGMA max_page_count={limits[0]}")
        return connection

    monkeypatch.setattr(sqlite, "connect", limited)
    return limits.clear


@pytest.mark.parametrize("models", ["known", "unknown"])
def test_a_full_disk_is_waited_for(path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, models: str):
    store.add(make_trial(0))
    store.close()
    if models == "unknown":
        monkeypatch.setattr("boshnas.store.tables._models", None)
    make_room = limit_pages(monkeypatch, path)
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 3:
            make_room()

    monkeypatch.setattr("boshnas.store.patience.time.sleep", sleep)
    told: list[str] = []
    long = "x" * 100_000
    with Store.open(path, on_wait=told.append) as full:
        full.add_attempt(0, Attempt(status=Status.CRASHED, error=long))
        assert len(sleeps) == 3
        assert told == [
            f"{path}: waiting for the store: database or disk is full",
            f"{path}: the store is back after 0 s",
        ]
        full.finish(finished(0))
        full.add(make_trial(1))
        assert [len(trial.attempts) for trial in full.trials()] == [1, 0]
        assert reopened(full) == full.trials()


def test_a_disk_that_stays_full_ends_the_search_and_loses_nothing(
    path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.add(make_trial(0))
    store.close()
    make_room = limit_pages(monkeypatch, path)
    with Store.open(path, max_wait_s=0.0) as full:
        with pytest.raises(
            UnavailableError, match=r"must come back within 0 s, got: database or disk is full\. Mend it"
        ):
            full.add(make_trial(1, architecture={"text": "x" * 100_000}))
        assert full.trials() == [make_trial(0)]
    make_room()
    assert reopened(store) == [make_trial(0)]


@pytest.mark.parametrize("read_only", [False, True])
def test_damage_of_any_kind_is_told_in_a_line(path: Path, store: Store, read_only: bool):
    store.add(make_trial())
    store.finish(finished())
    store.close()
    sound = path.read_bytes()
    rng = random.Random(0)
    told: list[str] = []
    for _ in range(60):
        damaged = bytearray(sound)
        start = rng.randrange(len(damaged)) if rng.random() < 0.5 else sound.index(rng.choice(WORDS_OF_A_STORE))
        damaged[start : start + rng.choice([1, 4, 300])] = rng.randbytes(rng.choice([1, 4, 300]))
        path.write_bytes(damaged)
        try:
            Store.open(path, read_only=read_only).close()
        except InputError as error:
            told.append(str(error))
        for file in path.parent.iterdir():
            file.unlink()
    assert len(told) > 20
    assert all(str(path) in line and "\n" not in line for line in told)


def test_a_trial_of_something_else_is_refused(store: Store):
    store.close()
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{store.location}")
    study.ask()
    with pytest.raises(
        InputError, match="trial 0 must be made by this package, got one with KeyError: 'architecture_id'"
    ):
        Store.open(store.location)


def test_refuses_to_create_over_a_file(path: Path):
    path.write_text("precious")
    with pytest.raises(InputError, match=r"store must be new, got an existing file\. Resume"):
        Store.create(path, IDENTITY, CHOICES)
    assert path.read_text() == "precious"


def test_refuses_to_create_without_a_folder(tmp_path: Path):
    with pytest.raises(InputError, match="folder of the store must exist"):
        Store.create(tmp_path / "absent" / "store.db", IDENTITY, CHOICES)


def test_refuses_to_open_what_is_absent(path: Path):
    with pytest.raises(InputError, match="store must be a file, got nothing"):
        Store.open(path)
    with pytest.raises(InputError, match="store must be a file, got a folder"):
        Store.open(path.parent)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_refuses_to_open_another_kind_of_file(path: Path, content: bytes):
    path.write_bytes(content)
    with pytest.raises(InputError, match="must be a SQLite database, got another kind of file"):
        Store.open(path)
    assert path.read_bytes() == content


def test_refuses_to_open_a_damaged_database(path: Path):
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(InputError, match="must be a sound SQLite database"):
        Store.open(path)


def test_refuses_to_open_a_database_without_our_study(path: Path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="must hold the study 'boshnas', got a database without it"):
        Store.open(path)
    assert path.read_bytes() == before


def test_refuses_to_open_another_study_of_optuna(path: Path):
    optuna.create_study(study_name="other", storage=f"sqlite:///{path}")
    with pytest.raises(InputError, match="must hold the study 'boshnas'"):
        Store.open(path)


def test_refuses_a_newer_schema(store: Store):
    store.close()
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{store.location}")
    study.set_user_attr("schema_number", SCHEMA_NUMBER + 1)
    with pytest.raises(InputError, match=r"schema_number of the store must be at most 2, got 3\. Update"):
        Store.open(store.location)


def test_refuses_tables_of_another_optuna(store: Store):
    store.close()
    with closing(sqlite3.connect(store.location)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99'")
        connection.commit()
    with pytest.raises(InputError, match="store must be readable by Optuna .* no longer compatible"):
        Store.open(store.location)


def test_refuses_a_number_out_of_order(store: Store):
    with pytest.raises(ValueError, match="number must be 0, the count of trials so far, got 1"):
        store.add(make_trial(1))


def test_refuses_to_add_an_ended_trial(store: Store):
    with pytest.raises(ValueError, match="status must be 'running', got 'crashed'"):
        store.add(make_trial(status=Status.CRASHED))


@pytest.mark.parametrize("parameters", [{"operation_1": "x"}, {"unknown": 1}])
def test_refuses_parameters_that_are_no_choice(store: Store, parameters: dict[str, str | int]):
    with pytest.raises(ValueError, match=r"parameter '.*' must be one of .* Give the store all choices"):
        store.add(make_trial(parameters=parameters))
    assert reopened(store) == []


def test_refuses_to_finish_twice(store: Store):
    store.add(make_trial())
    store.finish(finished())
    with pytest.raises(ValueError, match="trial 0 must be running, got 'finished'"):
        store.finish(finished())


@pytest.mark.parametrize("number", [-1, 1])
def test_refuses_to_finish_what_was_not_added(store: Store, number: int):
    store.add(make_trial())
    with pytest.raises(ValueError, match="number and id must be those of a trial"):
        store.finish(finished(number))


def test_refuses_the_result_of_another_architecture(store: Store):
    store.add(make_trial())
    with pytest.raises(ValueError, match="number and id must be those of a trial"):
        store.finish(finished().model_copy(update={"id": "arch7"}))


@pytest.mark.parametrize(
    "changes", [{"score": None}, {"status": Status.CRASHED}, {"status": Status.RUNNING, "score": None}]
)
def test_refuses_a_result_that_contradicts_itself(store: Store, changes: dict[str, object]):
    store.add(make_trial())
    with pytest.raises(ValueError, match="score must be there if and only if status is 'finished'"):
        store.finish(finished().model_copy(update=changes))


def test_a_path_may_hold_any_character(tmp_path: Path):
    folder = tmp_path / "odd {x} %20?a=b #ü"
    folder.mkdir()
    with Store.create(folder / "store.db", IDENTITY, CHOICES) as store:
        store.add(make_trial())
        assert reopened(store) == [make_trial()]
    assert {file.name for file in folder.iterdir()} == {"store.db"}


def test_a_local_disk_gets_a_write_ahead_log_and_a_network_one_a_rollback_journal(
    path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    def journal() -> str:
        with closing(sqlite3.connect(path)) as connection:
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])

    assert journal() == "wal"
    store.close()
    mounts = path.parent / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {path.parent} nfs4 rw 0 0\n")
    monkeypatch.setattr("boshnas.store.sqlite._MOUNTS", mounts)
    with Store.open(path) as again:
        again.add(make_trial())
        assert journal() == "delete"


def test_a_store_that_others_have_open_keeps_its_journal(path: Path, store: Store, monkeypatch: pytest.MonkeyPatch):
    store.add(make_trial())
    monkeypatch.setattr("boshnas.store.sqlite.on_network_disk", lambda _: True)
    with Store.open(path) as again:
        assert again.trials() == store.trials()


def test_neither_logs_nor_warns_nor_touches_optunas_level(path: Path, caplog: pytest.LogCaptureFixture):
    logger = logging.getLogger("optuna")
    logger.propagate, level = True, logger.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Store.create(path, IDENTITY, CHOICES) as store:
                store.add(make_trial())
                store.finish(finished())
    finally:
        logger.propagate = False
    assert [record.message for record in caplog.records if record.levelno >= logging.INFO] == []
    assert logger.level == level


def test_keeps_up_with_quick_evaluations(path: Path):
    names = [f"parameter_{index}" for index in range(24)]
    with Store.create(path, IDENTITY, {name: [1, 2, 3] for name in names}) as store:
        started = time.perf_counter()
        for number in range(15):
            store.add(make_trial(number, parameters=dict.fromkeys(names, 2)))
            store.finish(finished(number))
        elapsed_s = time.perf_counter() - started
    # 20 a second where the machine is ours; a quarter of it on a shared one.
    assert 15 / elapsed_s > 5


@pytest.mark.parametrize("schema_number", [1, 2])
def test_a_store_that_is_refused_for_one_trial_is_not_changed(tmp_path: Path, schema_number: int):
    path = tmp_path / STORE_FILE
    with Store.create(path, {}, CHOICES) as store:
        store.add(make_trial())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("UPDATE trial_user_attributes SET value_json = '\"who\"' WHERE key = 'status'")
        connection.execute("UPDATE trial_user_attributes SET value_json = '\"who\"' WHERE key = 'decision'")
        connection.execute(
            "UPDATE study_user_attributes SET value_json = ? WHERE key = 'schema_number'", (str(schema_number),)
        )
        connection.commit()
    content = path.read_bytes()
    with pytest.raises(InputError, match="trial 0 must be made by this package"):
        Store.open(path)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == [STORE_FILE]
