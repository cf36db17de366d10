"""What is known of a search, and of one evaluation of it, as values for people and machines."""

from collections import Counter
from collections.abc import Mapping

from boshnas.errors import InputError, did_you_mean
from boshnas.executors import is_held
from boshnas.executors.outcome import LOG_FILE
from boshnas.job import job_folder
from boshnas.ranking import best_trial, results_of
from boshnas.saved_run import Run
from boshnas.standing import rank_correlation
from boshnas.trial import Decision, Status, Trial
from boshnas.wording import error_end

Value = Mapping[str, object]

NUM_ERROR_LINES = 20
UNFINISHED = "unfinished"


def settings(run: Run) -> dict[str, object]:
    """What the search was asked for, as far as it was begun with it; what was left out is not told."""
    options = run.identity.get("options")
    given = options if isinstance(options, dict) else {"space": run.identity.get("space")}
    return {name: value for name, value in given.items() if value not in (None, False, [], "")}


def counts(run: Run) -> dict[str, object]:
    """Evaluations by status, and by level; level 0 are the baselines."""
    levels = sorted({trial.level for trial in run.trials})
    return {
        "by_status": dict(Counter(_status(run, trial) for trial in run.trials)),
        "by_level": [_level(run, level) for level in levels],
    }


def _status(run: Run, trial: Trial) -> str:
    """Of an evaluation; one that nobody runs any more waits for somebody to go on with the search."""
    return UNFINISHED if trial.status is Status.RUNNING and not is_held(run.folder) else trial.status.value


def _level(run: Run, level: int) -> Value:
    trials = [trial for trial in run.trials if trial.level == level]
    best = best_trial(trials, run.objective)
    return {
        "level": level,
        "num_evaluated": sum(trial.status is Status.FINISHED for trial in trials),
        "num_failed": sum(trial.failed for trial in trials),
        "best": best and {"id": best.id, "score": best.score},
    }


def top(run: Run, num: int) -> list[Value]:
    """The best, baselines left out."""
    ranked = results_of(run.trials, run.objective)
    return [brief(trial) for trial in ranked if trial.proposal.decision is not Decision.BASELINE][:num]


def brief(trial: Trial) -> Value:
    """An evaluation in a line."""
    return {
        "number": trial.number,
        "id": trial.id,
        "score": trial.score,
        "params": trial.params,
        "level": trial.level,
        "decision": trial.proposal.decision.value,
        "tasks": dict(trial.task_scores),
    }


def correlation(run: Run) -> Value | None:
    """How well the surrogate ranked what it proposed; None while that cannot be told."""
    found = rank_correlation(run.trials)
    return found and {"rank_correlation": found[0], "num_predictions": found[1]}


def find(run: Run, id_: str | None, number: int | None) -> Trial:
    """The evaluation of a number, or the one of an architecture that counts: finished rather than not, the last.

    Raises:
        InputError: If there is none.
    """
    if number is not None:
        if not 0 <= number < len(run.trials):
            rule = f"from 0 to {len(run.trials) - 1}" if run.trials else "of an evaluation, of which there is none yet"
            raise InputError(f"--number: must be {rule}, got {number}. See `boshnas show {run.folder}`.")
        return run.trials[number]
    found = [trial for trial in run.trials if trial.id == id_]
    if not found:
        hint = did_you_mean(id_ or "", [trial.id for trial in run.trials], f"See `boshnas show {run.folder}`.")
        raise InputError(f"--id: must be an architecture that was proposed in {run.folder}, got {id_!r}. {hint}")
    return max(found, key=lambda trial: (trial.status is Status.FINISHED, trial.number))


def everything(run: Run, trial: Trial) -> dict[str, object]:
    """All that is known of an evaluation."""
    began, ended = run.times.get(trial.number, (None, None))
    log = job_folder(run.folder, trial.number) / LOG_FILE
    others = [other.number for other in run.trials if other.id == trial.id and other.number != trial.number]
    return {
        **brief(trial),
        "status": _status(run, trial),
        "model_dict": dict(trial.architecture),
        "seed": trial.seed,
        "belief": _belief(trial),
        "parents": _parents(run, trial),
        "stage_seconds": dict(trial.stage_seconds),
        "began": began and began.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds") if ended and trial.status is not Status.RUNNING else None,
        "attempts": [{"status": attempt.status.value, "error": _lines(attempt.error)} for attempt in trial.attempts],
        "error": _lines(trial.error),
        "details": dict(trial.details),
        "log": str(log),
        "has_log": log.is_file(),
        "also_evaluated_as": others,
    }


def _belief(trial: Trial) -> Value | None:
    """What was foreseen, beside what was measured; None where no surrogate was asked."""
    proposal = trial.proposal
    if proposal.mean is None:
        return None
    variance = (proposal.epistemic_std or 0.0) ** 2 + (proposal.aleatoric_std or 0.0) ** 2
    error = None if trial.score is None else trial.score - proposal.mean
    return {
        "mean": proposal.mean,
        "epistemic_std": proposal.epistemic_std,
        "aleatoric_std": proposal.aleatoric_std,
        "measured": trial.score,
        "error": error,
        "num_std": None if error is None or not variance else error / variance**0.5,
    }


def _parents(run: Run, trial: Trial) -> list[Value]:
    """Whose weights it started from, and so on back to one that was trained from scratch."""
    chain: list[Value] = []
    here = trial
    while here.parent_id is not None:
        before = [other for other in run.trials[: here.number] if other.id == here.parent_id]
        finished = [other for other in before if other.status is Status.FINISHED]
        if not before:
            return [*chain, {"id": here.parent_id, "number": None, "score": None}]
        here = (finished or before)[-1]
        chain.append({"id": here.id, "number": here.number, "score": here.score})
    return chain


def _lines(error: str | None) -> list[str]:
    """An error's first line and its end."""
    if not (error or "").strip():
        return []
    text = (error or "").strip("\n")
    return [text.split("\n")[0], *error_end(text, NUM_ERROR_LINES)]
