"""A trial as the attributes of one of Optuna's, under names to be read by people, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from boshnas.errors import InputError
from boshnas.trial import Attempt, Decision, Proposal, Status, Trial


@dataclass(frozen=True, slots=True)
class Row:
    """What the database holds of a trial.

    Attributes:
        trial_id: The database's own.
        number: Counts from 0 within the study.
        has_ended: True where it does not run.
        score: None where it has none.
        parameters: By name, in the order given.
        attributes: By name, as JSON values.
    """

    trial_id: int
    number: int
    has_ended: bool
    score: float | None
    parameters: Mapping[str, Any]
    attributes: Mapping[str, Any]


def start_attributes(trial: Trial) -> dict[str, Any]:
    """What is known at the start."""
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
        "params": trial.params,
        "model_dict": dict(trial.architecture),
        "status": trial.status.value,
    } | attempt_attributes(trial.attempts)


def attempt_attributes(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """The attempts that failed; nothing where there are none."""
    if not attempts:
        return {}
    return {"attempts": [{"status": attempt.status.value, "error": attempt.error} for attempt in attempts]}


def end_attributes(trial: Trial) -> dict[str, Any]:
    """What is known at the end."""
    return {
        "status": trial.status.value,
        "task_scores": dict(trial.task_scores),
        "stage_seconds": dict(trial.stage_seconds),
        "details": dict(trial.details),
        "error": trial.error,
    }


def trial_of(row: Row, where: str) -> Trial:
    """The inverse of the above.

    Args:
        row: Of the database.
        where: The store, for messages.

    Raises:
        InputError: If something else than this package made the trial.
    """
    try:
        return _trial_of(row)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{where}: trial {row.number} must be made by this package, got one with {type(error).__name__}: {error}. "
            "Delete it, or give another store."
        ) from None


def _trial_of(row: Row) -> Trial:
    attributes = row.attributes
    trial = Trial(
        number=row.number,
        proposal=Proposal(
            id=attributes["architecture_id"],
            decision=Decision(attributes["decision"]),
            mean=attributes["predicted_mean"],
            epistemic_std=attributes["predicted_epistemic_std"],
            aleatoric_std=attributes["predicted_aleatoric_std"],
        ),
        level=attributes["level"],
        architecture=attributes["model_dict"],
        parameters=row.parameters,
        seed=attributes["seed"],
        params=attributes.get("params"),  # an older run does not tell
        parent_id=attributes["parent"],
        attempts=tuple(
            Attempt(status=Status(attempt["status"]), error=attempt["error"])
            for attempt in attributes.get("attempts", ())
        ),
    )
    if not row.has_ended:
        return trial
    return replace(
        trial,
        status=Status(attributes["status"]),
        score=row.score,
        task_scores=attributes["task_scores"],
        stage_seconds=attributes["stage_seconds"],
        details=attributes["details"],
        error=attributes["error"],
    )
