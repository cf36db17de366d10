import sqlite3

import pytest
import sqlalchemy

from boshnas.store import patience as module
from boshnas.store.patience import LONGEST_WAIT_S, Patience, UnavailableError, tell_unavailable


class Clock:
    """Time that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


class Database:
    """Away for some tries; with `loses_answer` the first try is written all the same."""

    def __init__(self, num_away: int, loses_answer: bool = False) -> None:
        self.num_away = num_away
        self.loses_answer = loses_answer
        self.written: list[int] = []
        self.num_reconnects = 0

    def write(self) -> int:
        if self.num_away:
            self.num_away -= 1
            if self.loses_answer and not self.written:
                self.written.append(7)
            raise UnavailableError("it is away")
        self.written.append(7)
        return 7

    def find(self) -> int | None:
        return self.written[0] if self.written else None

    def reconnect(self) -> None:
        self.num_reconnects += 1


def patience(database: Database, told: list[str], max_wait_s: float = 3600) -> Patience:
    return Patience("store", told.append, database.reconnect, max_wait_s)


def test_what_works_at_once_is_neither_looked_for_nor_told(clock: Clock):
    told: list[str] = []
    database = Database(0)

    def find() -> int:
        raise AssertionError

    assert patience(database, told).write(database.write, find) == 7
    assert (database.written, told, clock.slept, database.num_reconnects) == ([7], [], [], 0)


def test_one_failure_is_answered_at_once_and_in_silence(clock: Clock):
    told: list[str] = []
    database = Database(1)
    assert patience(database, told).write(database.write, database.find) == 7
    assert (database.written, told, clock.slept, database.num_reconnects) == ([7], [], [], 1)


def test_waits_grow_to_a_limit_and_the_user_is_told_twice(clock: Clock):
    told: list[str] = []
    database = Database(9)
    assert patience(database, told).write(database.write, database.find) == 7
    assert clock.slept == [0.5, 1, 2, 4, 8, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert told == ["store: waiting for the store: it is away", "store: the store is back after 46 s"]
    assert database.written == [7]
    assert database.num_reconnects == 9


def test_what_was_written_without_an_answer_is_not_written_again(clock: Clock):
    database = Database(3, loses_answer=True)
    assert patience(database, []).write(database.write, database.find) == 7
    assert database.written == [7]


def test_a_look_that_fails_is_waited_for_too(clock: Clock):
    database = Database(1)
    looks = iter([UnavailableError("still away"), None])

    def find() -> int | None:
        if (error := next(looks)) is not None:
            raise error
        return None

    assert patience(database, []).write(database.write, find) == 7
    assert database.written == [7]


def test_patience_ends_with_a_word_on_what_to_do(clock: Clock):
    told: list[str] = []
    database = Database(10**6)
    with pytest.raises(UnavailableError, match=r"^store: store must come back within 60 s, got: it is away\. Mend it"):
        patience(database, told, max_wait_s=60).write(database.write, database.find)
    assert clock.now == 60
    assert len(told) == 1


def test_another_error_is_not_waited_for(clock: Clock):
    def write() -> int:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        patience(Database(0), []).write(write)
    assert clock.slept == []


def test_errors_of_the_driver_are_sorted_and_redacted():
    engine = sqlalchemy.create_engine("sqlite://")
    tell_unavailable(engine, lambda error: "no such table" in str(error), lambda text: text.replace("hidden", "***"))
    with engine.connect() as connection:
        with pytest.raises(UnavailableError, match=r"^no such table: \*\*\*$"):
            connection.execute(sqlalchemy.text("SELECT 1 FROM hidden"))
        with pytest.raises(sqlalchemy.exc.OperationalError):
            connection.execute(sqlalchemy.text("SELECT"))


def test_errors_while_connecting_are_sorted_too():
    def connect() -> sqlite3.Connection:
        raise sqlite3.OperationalError("away")

    engine = sqlalchemy.create_engine("sqlite://", creator=connect)
    tell_unavailable(engine, lambda error: isinstance(error, sqlite3.OperationalError), str)
    with pytest.raises(UnavailableError, match="^away$"):
        engine.connect()
