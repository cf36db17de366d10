"""What a search of a space comes to, for machines and for people."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from boshnas.campaign import Campaign, params_of
from boshnas.grid import grid
from boshnas.ranking import best_trial, results_of
from boshnas.table_source import say
from boshnas.trial import Decision, Status, Trial
from boshnas.wording import number

NUM_SHOWN = 5


def summary(
    campaign: Campaign, trials: Sequence[Trial], store: str, exported: Path | None, elapsed_s: float
) -> dict[str, Any]:
    """The object that `--json` prints.

    Args:
        campaign: That was searched.
        trials: Of its store.
        store: Where that lies.
        exported: The best as a model, if there is one.
        elapsed_s: That this part of the search took.
    """
    searched = [trial for trial in trials if trial.proposal.decision is not Decision.BASELINE]
    baselines = [trial for trial in trials if trial.proposal.decision is Decision.BASELINE]
    best = best_trial(trials)
    return {
        "best": best and _described(best),
        "num_evaluated": sum(trial.status is Status.FINISHED for trial in searched),
        "num_failed": sum(trial.failed for trial in searched),
        "failures": Counter(trial.status.value for trial in searched if trial.failed),
        "budget": campaign.settings.budget,
        "levels": [_level(campaign, level, searched) for level in campaign.space.levels],
        "baselines": [_described(trial) | {"name": _name(campaign, trial)} for trial in baselines],
        "data": None if campaign.training is None else campaign.training.worker.data,
        "elapsed_s": round(elapsed_s, 1),
        "export_dir": str(exported) if exported else None,
        "store": store,
    }


def _described(trial: Trial) -> dict[str, Any]:
    return {
        "id": trial.id,
        "model_dict": dict(trial.architecture),
        "score": trial.score,
        "tasks": dict(trial.task_scores),
        "params": params_of(trial),
    }


def _level(campaign: Campaign, level: int, searched: Sequence[Trial]) -> dict[str, Any]:
    here = [trial for trial in searched if trial.level == level]
    best = best_trial(here)
    return {
        "level": level,
        "size": campaign.space.size_if_countable(level),
        "num_evaluated": sum(trial.status is Status.FINISHED for trial in here),
        "best": best and {"id": best.id, "score": best.score},
    }


def _name(campaign: Campaign, trial: Trial) -> str:
    return next(name for name, architecture in campaign.baselines.items() if architecture.id == trial.id)


def print_results(campaign: Campaign, trials: Sequence[Trial], told: dict[str, Any], console: Console) -> None:
    """Show a person the best five and the baselines, and where everything lies.

    Args:
        campaign: That was searched.
        trials: Of its store.
        told: As `summary` made it, with the report's path.
        console: To print on, in as many columns as it has room for.
    """
    ranked = results_of(trials)
    shown = [trial for trial in ranked if trial.proposal.decision is not Decision.BASELINE][:NUM_SHOWN]
    shown += [trial for trial in ranked if trial.proposal.decision is Decision.BASELINE]
    tasks = list(dict.fromkeys(task for trial in shown for task in trial.task_scores))
    heads = ["architecture", campaign.score_name, "params", "level", "why", *tasks]
    rows = [_row(campaign, trial, tasks) for trial in results_of(shown)]
    if shown:
        right = [head for head in heads if head not in ("architecture", "why")]
        console.print(grid(heads, rows, console.width, title=f"Best by {campaign.score_name}", right=right))
    failed = f", {told['num_failed']} failed" if told["num_failed"] else ""
    say(console, f"{told['num_evaluated']} evaluated{failed}, {told['elapsed_s']} s")
    say(console, f"model: {told['export_dir'] or 'none'}")
    say(console, f"report: {told['report'] or 'none'}")
    say(console, f"store: {told['store']}")


def _row(campaign: Campaign, trial: Trial, tasks: Sequence[str]) -> list[str]:
    is_baseline = trial.proposal.decision is Decision.BASELINE
    name = f"{_name(campaign, trial)} (baseline)" if is_baseline else trial.id
    scores = (f"{trial.task_scores[task]:.1f}" if task in trial.task_scores else "" for task in tasks)
    level = "" if is_baseline else str(trial.level)
    return [name, number(trial.score or 0.0), f"{params_of(trial):,}", level, trial.proposal.decision, *scores]
