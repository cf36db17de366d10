"""A search that has been begun, read from its folder and its store; it may still be running."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

import pandas as pd
from pydantic import JsonValue

from boshnas.objective import Objective
from boshnas.ranking import best_trial
from boshnas.store import Database, Store, place
from boshnas.trial import Status, Trial

PICTURE_FILE = "architecture.svg"
"""The best architecture, drawn by the search into its folder."""

Times = tuple[datetime, datetime | None]

_NESTED = ("task", "seconds", "choice")
_COLUMNS = {
    "number": "int64",
    "id": "str",
    "status": "str",
    "decision": "str",
    "level": "int64",
    "score": "float64",
    "params": "Int64",
    "parent": "str",
    "seed": "int64",
    "attempts": "int64",
    "predicted_mean": "float64",
    "predicted_epistemic_std": "float64",
    "predicted_aleatoric_std": "float64",
    "began": "datetime64[us]",
    "ended": "datetime64[us]",
    "hours": "float64",
    "error": "str",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is known of a search; nothing of it is changed.

    Attributes:
        folder: Of the run.
        identity: What makes it this run: space, seed, options, versions.
        trials: All, in the order of proposal.
        score_name: What the objective is called.
        objective: Which way it is better.
        times: When each began and, where it has, ended, by its number, in local time of the search's machine.
    """

    folder: Path
    identity: Mapping[str, JsonValue]
    trials: Sequence[Trial]
    score_name: str = "score"
    objective: Objective = field(default_factory=Objective)
    times: Mapping[int, Times] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path | str, database: Database | None = None) -> Self:
        """Read a run as it is now.

        Args:
            folder: Of the run.
            database: Where its store lies; None: in the folder.

        Raises:
            InputError: If there is no store, or it is not one of this package, damaged or newer.
        """
        with Store.open(place(Path(folder), database), read_only=True) as store:
            return cls(
                folder=Path(folder),
                identity=store.identity,
                score_name=store.score_name,
                objective=Objective(store.direction),
                trials=store.trials(),
                times=store.times(),
            )

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name

    @property
    def is_of_table(self) -> bool:
        """Whether rows of a table were looked up, and nothing was trained."""
        return "table" in self.identity

    @property
    def best(self) -> Trial | None:
        """The finished trial of the best score, baselines left out; None where there is none."""
        return best_trial(self.trials, self.objective)

    def to_pandas(self) -> pd.DataFrame:
        """One row a trial, in the order of proposal.

        Columns: `number`, `id`, `status`, `decision`, `level`, `score`, `params`, `parent`, `seed`, `attempts` (those
        that failed before), `predicted_mean`, `predicted_epistemic_std`, `predicted_aleatoric_std` (the score as it was
        foreseen at the proposal), `began`, `ended` (local time), `hours` (from the first begin to this end), `error`
        (its first line); then `task.NAME` (scores), `seconds.STAGE`, and `choice.NAME` (the architecture's parameters).
        """
        table = pd.DataFrame(list(map(self._row, self.trials)), columns=[*_COLUMNS, *self._names()]).astype(_COLUMNS)
        table["hours"] = (table["ended"] - table["began"].min()).dt.total_seconds() / 3600
        return table

    def _row(self, trial: Trial) -> dict[str, object]:
        began, ended = self.times.get(trial.number, (None, None))
        proposal = trial.proposal
        return {
            "number": trial.number,
            "id": trial.id,
            "status": trial.status.value,
            "decision": proposal.decision.value,
            "level": trial.level,
            "score": trial.score,
            "params": trial.params,
            "parent": trial.parent_id,
            "seed": trial.seed,
            "attempts": len(trial.attempts),
            "predicted_mean": proposal.mean,
            "predicted_epistemic_std": proposal.epistemic_std,
            "predicted_aleatoric_std": proposal.aleatoric_std,
            "began": began,
            "ended": ended if trial.status is not Status.RUNNING else None,
            "error": next(iter((trial.error or "").strip().splitlines()), None),
        } | self._nested(trial)

    def _names(self) -> list[str]:
        """The columns that differ from run to run, by kind."""
        names = dict.fromkeys(name for trial in self.trials for name in self._nested(trial))
        return sorted(names, key=lambda name: list(_NESTED).index(name.split(".")[0]))

    @staticmethod
    def _nested(trial: Trial) -> dict[str, object]:
        kinds = zip(_NESTED, (trial.task_scores, trial.stage_seconds, trial.parameters), strict=True)
        return {f"{kind}.{name}": value for kind, values in kinds for name, value in values.items()}
