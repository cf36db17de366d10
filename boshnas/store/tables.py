"""The trials of a study in Optuna's tables: by Optuna's own calls, or in few statements where the tables are known."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import ModuleType
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.orm import Session

from boshnas.store.choices import Choices, distribution
from boshnas.store.trials import Row

try:
    from optuna.storages._rdb import models as _models
except ImportError:
    _models = None  # type: ignore[assignment]

Times = tuple[datetime, datetime | None]

# Alembic's name for the layout of the tables that `_DirectTables` writes.
_KNOWN_LAYOUT = "v3.2.0.a"


class Tables(ABC):
    """Reads and writes the trials of one study.

    Each call is written whole or counts as not written; all but `add` may be repeated and change nothing then.

    Args:
        storage: Optuna's.
        study_id: The database's own.
        choices: Values which each parameter may take.
    """

    def __init__(self, storage: RDBStorage, study_id: int, choices: Choices) -> None:
        self._storage = storage
        self._study_id = study_id
        self._distributions = {name: distribution(values) for name, values in choices.items()}

    @abstractmethod
    def read(self) -> list[Row]:
        """All trials, in the order they were added."""

    @abstractmethod
    def times(self) -> dict[int, Times]:
        """When each trial began and ended, by its number, as the database has it now."""

    @abstractmethod
    def add(self, number: int, parameters: Mapping[str, Any], attributes: Mapping[str, Any]) -> int:
        """Add a running trial; the database's id of it."""

    @abstractmethod
    def set_attributes(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        """Write attributes of a running trial."""

    @abstractmethod
    def finish(self, trial_id: int, attributes: Mapping[str, Any], score: float | None) -> None:
        """Write the last attributes of a running trial and end it; it has failed where there is no score."""

    def find(self, number: int) -> int | None:
        """The database's id of a trial; None where it is not there."""
        try:
            return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        except KeyError:
            return None


class _CalledTables(Tables):
    """By Optuna's own calls: one transaction an attribute."""

    def read(self) -> list[Row]:
        return [
            Row(
                frozen._trial_id,
                frozen.number,
                frozen.state.is_finished(),
                frozen.value,
                dict(frozen.params),
                frozen.user_attrs,
            )
            for frozen in self._storage.get_all_trials(self._study_id, deepcopy=False)
        ]

    def times(self) -> dict[int, Times]:
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return {
            frozen.number: (frozen.datetime_start, frozen.datetime_complete)
            for frozen in trials
            if frozen.datetime_start is not None
        }

    def add(self, number: int, parameters: Mapping[str, Any], attributes: Mapping[str, Any]) -> int:
        frozen = optuna.create_trial(
            state=TrialState.RUNNING,
            params=dict(parameters),
            distributions={name: self._distributions[name] for name in parameters},
            user_attrs=dict(attributes),
        )
        return self._storage.create_new_trial(self._study_id, frozen)

    def set_attributes(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            self._storage.set_trial_user_attr(trial_id, name, value)

    def finish(self, trial_id: int, attributes: Mapping[str, Any], score: float | None) -> None:
        if self._storage.get_trial(trial_id).state.is_finished():
            return
        # The state goes last: until then the trial counts as running, and all is written anew if it ends again.
        self.set_attributes(trial_id, attributes)
        if score is None:
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        else:
            self._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [score])


class _DirectTables(Tables):
    """By statements of our own, one transaction a call and one statement for all rows of a table."""

    def __init__(self, storage: RDBStorage, study_id: int, choices: Choices, models: ModuleType) -> None:
        super().__init__(storage, study_id, choices)
        self._trial = models.TrialModel
        self._trials: Any = models.TrialModel.__table__
        self._values: Any = models.TrialValueModel.__table__
        self._finite = models.TrialValueModel.TrialValueType.FINITE
        self._parameters: Any = models.TrialParamModel.__table__
        self._attributes: Any = models.TrialUserAttributeModel.__table__
        self._texts = {name: distribution_to_json(kind) for name, kind in self._distributions.items()}

    def read(self) -> list[Row]:
        with self._storage.engine.connect() as connection:
            trials = connection.execute(
                sqlalchemy.select(self._trials.c.trial_id, self._trials.c.number, self._trials.c.state)
                .where(self._trials.c.study_id == self._study_id)
                .order_by(self._trials.c.trial_id)
            ).all()
            scores = {id_: score for id_, score in self._of_study(connection, self._values, "value")}
            parameters: dict[int, dict[str, Any]] = {trial.trial_id: {} for trial in trials}
            for id_, name, value in self._of_study(connection, self._parameters, "param_name", "param_value"):
                parameters[id_][name] = self._distributions[name].to_external_repr(value)
            attributes: dict[int, dict[str, Any]] = {trial.trial_id: {} for trial in trials}
            for id_, name, text in self._of_study(connection, self._attributes, "key", "value_json"):
                attributes[id_][name] = json.loads(text)
        return [
            Row(id_, number, state.is_finished(), scores.get(id_), parameters[id_], attributes[id_])
            for id_, number, state in trials
        ]

    def times(self) -> dict[int, Times]:
        table = self._trials.c
        columns = sqlalchemy.select(table.number, table.datetime_start, table.datetime_complete)
        with self._storage.engine.connect() as connection:
            rows = connection.execute(columns.where(table.study_id == self._study_id)).all()
        return {number: (began, ended) for number, began, ended in rows}

    def _of_study(self, connection: sqlalchemy.Connection, table: Any, *columns: str) -> Iterable[Any]:
        """Rows of the study's trials in a table, as (trial_id, *columns), in the order they were written."""
        return connection.execute(
            sqlalchemy.select(table.c.trial_id, *(table.c[name] for name in columns))
            .join(self._trials, self._trials.c.trial_id == table.c.trial_id)
            .where(self._trials.c.study_id == self._study_id)
            .order_by(*table.primary_key.columns)
        )

    def add(self, number: int, parameters: Mapping[str, Any], attributes: Mapping[str, Any]) -> int:
        with Session(self._storage.engine) as session, session.begin():
            trial = self._trial(
                study_id=self._study_id, number=number, state=TrialState.RUNNING, datetime_start=datetime.now()
            )
            session.add(trial)
            session.flush()
            id_: int = trial.trial_id
            rows = [
                {
                    "trial_id": id_,
                    "param_name": name,
                    "param_value": self._distributions[name].to_internal_repr(value),
                    "distribution_json": self._texts[name],
                }
                for name, value in parameters.items()
            ]
            if rows:
                session.execute(sqlalchemy.insert(self._parameters), rows)
            self._insert_attributes(session, id_, attributes)
            return id_

    def set_attributes(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        with Session(self._storage.engine) as session, session.begin():
            self._replace_attributes(session, trial_id, attributes)

    def finish(self, trial_id: int, attributes: Mapping[str, Any], score: float | None) -> None:
        with Session(self._storage.engine) as session, session.begin():
            trial = session.get_one(self._trial, trial_id)
            if trial.state.is_finished():
                return
            self._replace_attributes(session, trial_id, attributes)
            trial.state = TrialState.FAIL if score is None else TrialState.COMPLETE
            trial.datetime_complete = datetime.now()
            if score is not None:
                row = {"trial_id": trial_id, "objective": 0, "value": score, "value_type": self._finite}
                session.execute(sqlalchemy.insert(self._values), row)

    def _replace_attributes(self, session: Session, trial_id: int, attributes: Mapping[str, Any]) -> None:
        table = self._attributes
        session.execute(sqlalchemy.delete(table).where(table.c.trial_id == trial_id, table.c.key.in_(list(attributes))))
        self._insert_attributes(session, trial_id, attributes)

    def _insert_attributes(self, session: Session, trial_id: int, attributes: Mapping[str, Any]) -> None:
        rows = [
            {"trial_id": trial_id, "key": name, "value_json": json.dumps(value)} for name, value in attributes.items()
        ]
        session.execute(sqlalchemy.insert(self._attributes), rows)


def open_tables(storage: RDBStorage, study_id: int, choices: Choices) -> Tables:
    """The fast way where the tables are those it was written for, else the way that every version of Optuna has."""
    if _models is None or storage.get_current_version() != _KNOWN_LAYOUT:
        return _CalledTables(storage, study_id, choices)
    return _DirectTables(storage, study_id, choices, _models)
