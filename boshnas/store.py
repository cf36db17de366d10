"""Every evaluation of a run, kept as an Optuna study in one SQLite file.

Optuna's own tools read it: optuna-dashboard, and `optuna.load_study(study_name="boshnas",
storage="sqlite:///RUN/store.db")`.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from boshnas.errors import InputError
from boshnas.job import Result
from boshnas.sqlite import check_file, close_storage, open_storage
from boshnas.trial import Attempt, Decision, Proposal, Status, Trial

SCHEMA_NUMBER = 1
STORE_FILE = "store.db"
STUDY_NAME = "boshnas"


class Store:
    """The trials of one run, in order of number; made by `create` or `open`.

    What it returns is what lay in the file when it was opened and what was added through it since: one process writes.

    Attributes:
        path: The database file.
        identity: What makes this run this run (space, seed, …); a resumed run must have the same.
        choices: Values which each parameter may take.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_file(path, STUDY_NAME)
        try:
            self._storage = open_storage(path)
            self._study = optuna.load_study(study_name=STUDY_NAME, storage=self._storage)
            attributes = self._study.user_attrs
            stored = self._study.get_trials(deepcopy=False)
        except (RuntimeError, optuna.exceptions.StorageInternalError) as error:
            raise InputError(f"{path}: store must be readable by Optuna {optuna.__version__}: {error}") from None
        number = attributes.get("schema_number")
        if not isinstance(number, int) or number > SCHEMA_NUMBER:
            self.close()
            raise InputError(
                f"{path}: schema_number of the store must be at most {SCHEMA_NUMBER}, got {number!r}. "
                "Update this package to read it."
            )
        self.identity: Mapping[str, JsonValue] = attributes["identity"]
        self.choices: Mapping[str, Sequence[str | int]] = attributes["choices"]
        self._distributions = {name: CategoricalDistribution(values) for name, values in self.choices.items()}
        self._optuna_ids = [frozen._trial_id for frozen in stored]
        self._trials = [_trial(frozen) for frozen in stored]

    @classmethod
    def create(
        cls,
        path: Path,
        identity: Mapping[str, JsonValue],
        choices: Mapping[str, Sequence[str | int]],
        *,
        direction: Literal["maximize", "minimize"] = "maximize",
    ) -> Self:
        """Make a new store.

        Args:
            path: The file to make; its folder must exist.
            identity: What makes this run this run.
            choices: Values which each parameter of a trial may take.
            direction: Which way the objective is better.

        Raises:
            InputError: If there is a file already, or no folder.
        """
        if path.exists():
            raise InputError(
                f"{path}: store must be new, got an existing file. Resume that run or give another folder."
            )
        if not path.parent.is_dir():
            raise InputError(f"{path}: folder of the store must exist, got {str(path.parent)!r}. Make it first.")
        # Whole or not at all: a search killed in the middle leaves no half-made store to resume from.
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        with _quiet_optuna():
            storage = open_storage(temporary)
            study = optuna.create_study(study_name=STUDY_NAME, storage=storage, direction=direction)
        study.set_user_attr("schema_number", SCHEMA_NUMBER)
        study.set_user_attr("identity", dict(identity))
        study.set_user_attr("choices", {name: list(values) for name, values in choices.items()})
        close_storage(storage)
        temporary.replace(path)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the store of an earlier run, to go on or to read it.

        Raises:
            InputError: If it is absent, not a database, not ours, or of a newer schema. Nothing is written then.
        """
        return cls(path)

    @property
    def direction(self) -> str:
        """Which way the objective is better: "maximize" or "minimize"."""
        return self._study.direction.name.lower()

    def trials(self) -> list[Trial]:
        """Return all trials in order of number."""
        return list(self._trials)

    def add(self, trial: Trial) -> None:
        """Record a trial that starts to run.

        Raises:
            ValueError: If it does not run, its number is not the next one, or a parameter is not among the choices.
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
        frozen = optuna.create_trial(
            state=TrialState.RUNNING,
            params=dict(trial.parameters),
            distributions={name: self._distributions[name] for name in trial.parameters},
            user_attrs=json.loads(json.dumps(_attributes(trial))),
        )
        self._optuna_ids.append(self._storage.create_new_trial(self._study._study_id, frozen))
        frozen.number = trial.number
        self._trials.append(_trial(frozen))

    def add_attempt(self, number: int, attempt: Attempt) -> Trial:
        """Record a failed attempt of a running trial, which will have another.

        Returns:
            The trial with its attempt.
        """
        trial = self._trials[number]
        trial = replace(trial, attempts=(*trial.attempts, attempt))
        kept = [{"status": one.status.value, "error": one.error} for one in trial.attempts]
        self._storage.set_trial_user_attr(self._optuna_ids[number], "attempts", kept)
        self._trials[number] = trial
        return trial

    def finish(self, result: Result) -> Trial:
        """Record the outcome of a running trial.

        Returns:
            The trial with its outcome.

        Raises:
            ValueError: If there is no such running trial, or score and status contradict each other.
        """
        trial = self._running(result)
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
        optuna_id = self._optuna_ids[trial.number]
        # The state goes last: until then the trial counts as running, and all is written anew if it ends again.
        for name, value in _outcome(finished).items():
            self._storage.set_trial_user_attr(optuna_id, name, value)
        if result.score is None:
            self._storage.set_trial_state_values(optuna_id, TrialState.FAIL)
        else:
            self._storage.set_trial_state_values(optuna_id, TrialState.COMPLETE, [result.score])
        self._trials[trial.number] = finished
        return finished

    def close(self) -> None:
        """Let go of the file. May be called again."""
        close_storage(self._storage)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _running(self, result: Result) -> Trial:
        trial = self._trials[result.number] if 0 <= result.number < len(self._trials) else None
        if trial is None or trial.id != result.id:
            raise ValueError(
                f"Store.finish: number and id must be those of a trial, got {(result.number, result.id)!r}. "
                "Add it first."
            )
        if trial.status is not Status.RUNNING:
            raise ValueError(
                f"Store.finish: trial {trial.number} must be running, got {trial.status.value!r}. Finish a trial once."
            )
        return trial


def _attributes(trial: Trial) -> dict[str, Any]:
    """What is known at the start, under names to be read by people."""
    proposal = trial.proposal
    return {
        "architecture_id": proposal.id,
        "decision": proposal.decision.value,
        "predicted_mean": proposal.mean,
        "predicted_epistemic_std": proposal.epistemic_std,
        "predicted_aleatoric_std": proposal.aleatoric_std,
        "level": trial.level,
        "parent": trial.parent_id,
        "seed": trial.seed,
        "model_dict": dict(trial.architecture),
        "status": trial.status.value,
    }


def _outcome(trial: Trial) -> dict[str, Any]:
    return {
        "status": trial.status.value,
        "task_scores": dict(trial.task_scores),
        "stage_seconds": dict(trial.stage_seconds),
        "details": dict(trial.details),
        "error": trial.error,
    }


def _trial(frozen: FrozenTrial) -> Trial:
    """The inverse of `_attributes`."""
    attributes = frozen.user_attrs
    trial = Trial(
        number=frozen.number,
        proposal=Proposal(
            id=attributes["architecture_id"],
            decision=Decision(attributes["decision"]),
            mean=attributes["predicted_mean"],
            epistemic_std=attributes["predicted_epistemic_std"],
            aleatoric_std=attributes["predicted_aleatoric_std"],
        ),
        level=attributes["level"],
        architecture=attributes["model_dict"],
        parameters=dict(frozen.params),
        seed=attributes["seed"],
        parent_id=attributes["parent"],
        attempts=tuple(
            Attempt(status=Status(one["status"]), error=one["error"]) for one in attributes.get("attempts", ())
        ),
    )
    if not frozen.state.is_finished():
        return trial
    return replace(
        trial,
        status=Status(attributes["status"]),
        score=frozen.value,
        task_scores=attributes["task_scores"],
        stage_seconds=attributes["stage_seconds"],
        details=attributes["details"],
        error=attributes["error"],
    )


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without Optuna's line that a study was made; other users of Optuna keep their level."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
