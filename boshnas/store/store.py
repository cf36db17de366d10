"""The trials of one run: in memory as they were read, every change first written to the database.

Optuna's own tools read it: optuna-dashboard, and `optuna.load_study(study_name="boshnas",
storage="sqlite:///RUN/store.db")`.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from pydantic import JsonValue

from boshnas.errors import InputError
from boshnas.job import Result
from boshnas.objective import Direction
from boshnas.store.choices import Choices, from_json, to_json
from boshnas.store.database import (
    METRIC_NAMES,
    begin_to_write,
    close_storage,
    create_study,
    open_storage,
    study_name,
    tell_when_away,
    told_in_a_line,
)
from boshnas.store.location import Location
from boshnas.store.migration import SCHEMA_ATTRIBUTE, SCHEMA_NUMBER, check_schema, migrate
from boshnas.store.patience import MAX_WAIT_S, Patience
from boshnas.store.tables import Times, open_tables
from boshnas.store.trials import Row, attempt_attributes, end_attributes, start_attributes, trial_of
from boshnas.trial import Attempt, Status, Trial

Value = TypeVar("Value")
_logger = logging.getLogger(__name__)


class Store:
    """The trials of one run, in order of number; made by `create` or `open`.

    What it returns is what lay in the database when it was opened and what was added through it since: one process
    writes. Where the database is away for a while (restarted, cut off, its disk full), a write waits for it.

    Attributes:
        location: The database file, or the study in a database.
        identity: What makes this run this run (space, seed, …); a resumed run must have the same.
        choices: Values which each parameter may take.
        direction: Which way the objective is better: "maximize" or "minimize".
        score_name: What the objective is called.
    """

    def __init__(
        self, location: Location, *, read_only: bool, on_wait: Callable[[str], None], max_wait_s: float
    ) -> None:
        self.location = location
        self._read_only = read_only
        self._storage = open_storage(location, read_only=read_only)
        try:
            with told_in_a_line(location, "be readable"):
                self._read(read_only)
        except InputError:
            self.close()
            raise
        except (LookupError, TypeError, ValueError) as error:
            self.close()
            raise InputError(
                f"{location}: store must be made by this package, got {type(error).__name__}: {error}. "
                "Restore it from a copy, or give another."
            ) from None
        tell_when_away(self._storage, location)
        self._patience = Patience(str(location), on_wait, self.close, max_wait_s)

    def _read(self, read_only: bool) -> None:
        study_id = self._storage.get_study_id_from_name(study_name(self.location))
        attributes = self._storage.get_study_user_attrs(study_id)
        schema_number = check_schema(attributes.get(SCHEMA_ATTRIBUTE), str(self.location))
        self.identity: Mapping[str, JsonValue] = attributes["identity"]
        self.choices: Choices = from_json(attributes["choices"])
        self.direction = self._storage.get_study_directions(study_id)[0].name.lower()
        # A store of an older version does not tell.
        names: Sequence[str] = self._storage.get_study_system_attrs(study_id).get(METRIC_NAMES, ["score"])
        self.score_name = names[0]
        self._tables = open_tables(self._storage, study_id, self.choices)
        rows = self._tables.read()
        self._database_ids = [row.trial_id for row in rows]
        self._trials = [trial_of(row, str(self.location)) for row in rows]
        if not read_only:  # nothing of a store that is refused is changed
            migrate(self._storage, study_id, schema_number, self.location)
            begin_to_write(self._storage, self.location)

    @classmethod
    def create(
        cls,
        location: Location,
        identity: Mapping[str, JsonValue],
        choices: Choices,
        *,
        direction: Direction = "maximize",
        score_name: str = "score",
        on_wait: Callable[[str], None] = _logger.warning,
        max_wait_s: float = MAX_WAIT_S,
    ) -> Self:
        """Make a new store.

        Args:
            location: The file to make, whose folder must exist; or a study, whose database must.
            identity: What makes this run this run.
            choices: Values which each parameter of a trial may take.
            direction: Which way the objective is better.
            score_name: What the objective is called.
            on_wait: Told once that a write waits for the database, and once that it goes on.
            max_wait_s: How long a write waits at most.

        Raises:
            InputError: If there is a file already, or no folder; or the database refuses.
        """
        attributes = {
            SCHEMA_ATTRIBUTE: SCHEMA_NUMBER,
            "identity": dict(identity),
            "choices": to_json(choices),
        }
        create_study(location, direction, score_name, attributes)
        return cls(location, read_only=False, on_wait=on_wait, max_wait_s=max_wait_s)

    @classmethod
    def open(
        cls,
        location: Location,
        *,
        read_only: bool = False,
        on_wait: Callable[[str], None] = _logger.warning,
        max_wait_s: float = MAX_WAIT_S,
    ) -> Self:
        """Open the store of an earlier run, to go on or to read it.

        Args:
            location: As it was made.
            read_only: Change nothing, whatever the schema; another process may be writing.
            on_wait: As in `create`.
            max_wait_s: As in `create`.

        Raises:
            InputError: If it is absent, not a database, not ours, damaged, of a newer schema, or written to by another
                process. Nothing is written then.
        """
        return cls(location, read_only=read_only, on_wait=on_wait, max_wait_s=max_wait_s)

    def trials(self) -> list[Trial]:
        """Return all trials in order of number."""
        return list(self._trials)

    def times(self) -> dict[int, Times]:
        """When each trial began and, where it has, ended, by its number: local time of the search's machine."""
        with told_in_a_line(self.location, "be readable"):
            return self._tables.times()

    def add(self, trial: Trial) -> None:
        """Record a trial that starts to run.

        Raises:
            ValueError: If it does not run, its number is not the next one, or a parameter is not among the choices.
            UnavailableError: If the database was away too long.
        """
        if trial.status is not Status.RUNNING:
            raise ValueError(
                f"Store.add: status must be 'running', got {trial.status.value!r}. Use finish for results."
            )
        if trial.number != len(self._trials):
            raise ValueError(
                f"Store.add: number must be {len(self._trials)}, the count of trials so far, got {trial.number!r}. "
                "Number trials in the order they are added."
            )
        for name, value in trial.parameters.items():
            if value not in self.choices.get(name, ()):
                raise ValueError(
                    f"Store.add: parameter {name!r} must be one of {self.choices.get(name, ())!r}, got {value!r}. "
                    "Give the store all choices when it is created."
                )
        attributes = json.loads(json.dumps(start_attributes(trial)))
        parameters = dict(trial.parameters)
        database_id = self._write(
            partial(self._tables.add, trial.number, parameters, attributes),
            # Its answer was lost on the way where it is there already.
            partial(self._tables.find, trial.number),
        )
        self._database_ids.append(database_id)
        row = Row(database_id, trial.number, False, None, parameters, attributes)
        self._trials.append(trial_of(row, str(self.location)))

    def add_attempt(self, number: int, attempt: Attempt) -> Trial:
        """Record an attempt of a running trial that failed and is followed by another.

        Returns:
            The trial with all its attempts.

        Raises:
            ValueError: If there is no such running trial.
            UnavailableError: If the database was away too long.
        """
        trial = self._running("add_attempt", number)
        changed = replace(trial, attempts=(*trial.attempts, attempt))
        attributes = attempt_attributes(changed.attempts)
        self._write(partial(self._tables.set_attributes, self._database_ids[number], attributes))
        self._trials[number] = changed
        return changed

    def finish(self, result: Result) -> Trial:
        """Record the outcome of a running trial.

        Returns:
            The trial with its outcome.

        Raises:
            ValueError: If there is no such running trial, or score and status contradict each other.
            UnavailableError: If the database was away too long.
        """
        trial = self._running("finish", result.number, result.id)
        if result.status is Status.RUNNING or (result.status is Status.FINISHED) != (result.score is not None):
            raise ValueError(
                f"Store.finish: score must be there if and only if status is 'finished', "
                f"got status {result.status.value!r} and score {result.score!r}. Correct what made the result."
            )
        finished = replace(
            trial,
            status=result.status,
            score=result.score,
            task_scores=dict(result.task_scores),
            stage_seconds=dict(result.stage_seconds),
            details=dict(result.details),
            error=result.error,
        )
        database_id = self._database_ids[trial.number]
        self._write(partial(self._tables.finish, database_id, end_attributes(finished), result.score))
        self._trials[trial.number] = finished
        return finished

    def close(self) -> None:
        """Let go of the database. May be called again."""
        close_storage(self._storage)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, write: Callable[[], Value], find: Callable[[], Value | None] = lambda: None) -> Value:
        if self._read_only:
            raise ValueError(f"{self.location}: store must be open for writing. Open it without read_only.")
        with told_in_a_line(self.location, "be writable"):
            return self._patience.write(write, find)

    def _running(self, method: str, number: int, id_: str | None = None) -> Trial:
        trial = self._trials[number] if 0 <= number < len(self._trials) else None
        if trial is None or id_ not in (None, trial.id):
            raise ValueError(
                f"Store.{method}: number and id must be those of a trial, got {(number, id_)!r}. Add it first."
            )
        if trial.status is not Status.RUNNING:
            raise ValueError(
                f"Store.{method}: trial {number} must be running, got {trial.status.value!r}. Finish a trial once."
            )
        return trial
