"""Runs made in memory, for the tests of the report."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from boshnas.saved_run import Run
from boshnas.trial import Attempt, Decision, Proposal, Status, Trial

BEGIN = datetime(2026, 1, 2, 3, 4, 5)
IDENTITY = {
    "space": "flexibert_mini",
    "seed": 7,
    "baselines": ["bert_mini"],
    "options": {"budget": 60, "executor": "local", "executor_config": None, "data": "demo"},
    "versions": {"torch": "2.6.0"},
}


def trial(number: int, score: float | None = None, decision: Decision = Decision.OPTIMISE, **fields: Any) -> Trial:
    """A trial: finished where it has a score, else running; `mean` and `std`s go to its proposal."""
    foreseen = {name: fields.pop(name, None) for name in ("mean", "epistemic_std", "aleatoric_std")}
    known = {"level": 1, "architecture": {}, "parameters": {}, "seed": 0}
    known["status"] = Status.RUNNING if score is None else Status.FINISHED
    proposal = Proposal(id=fields.pop("id", f"id{number}"), decision=decision, **foreseen)
    return Trial(number=number, proposal=proposal, score=score, **(known | fields))


def failed(
    number: int, status: Status = Status.CRASHED, error: str = "boom", attempts: Sequence[Attempt] = ()
) -> Trial:
    """A trial that has failed for good."""
    return trial(number, status=status, error=error, attempts=attempts)


def run_of(
    trials: Sequence[Trial],
    folder: Path = Path("runs/mini"),
    identity: Mapping[str, Any] = IDENTITY,
    score_name: str = "GLUE score",
) -> Run:
    """A run in which each trial begins ten minutes after the one before and takes half an hour."""
    begins = [BEGIN + timedelta(minutes=10 * one.number) for one in trials]
    times = {
        one.number: (begin, None if one.status is Status.RUNNING else begin + timedelta(minutes=30))
        for one, begin in zip(trials, begins, strict=True)
    }
    return Run(folder=folder, identity=identity, trials=trials, score_name=score_name, times=times)


def made_trials(num_trials: int, tasks: Sequence[str] = ("cola", "mrpc"), seed: int = 0) -> list[Trial]:
    """A whole search: a baseline, a random start, three levels, predictions, failures, one that runs."""
    rng = np.random.default_rng(seed)
    trials = [trial(0, 70.0, Decision.BASELINE, level=0, params=11_000_000, id="bert")]
    for number in range(1, num_trials - 1):
        if number % 17 == 16:
            trials.append(failed(number, error="boom <b>bold</b>\nTraceback"))
            continue
        is_random = number < 10
        parameters, worth = _choices(rng)
        score = 70 + worth + rng.normal(0, 0.5)
        foreseen = {} if is_random else {"mean": 70 + worth, "epistemic_std": 0.4, "aleatoric_std": 0.5}
        trials.append(
            trial(
                number,
                score,
                Decision.RANDOM if is_random else Decision.OPTIMISE,
                level=1 + 3 * number // (num_trials + 1),
                parameters=parameters,
                params=int(4e6 + 1e6 * worth + 1e5 * rng.random()),
                parent_id=f"id{number - 5}" if number > 40 else None,
                task_scores={task: score + place for place, task in enumerate(tasks)},
                stage_seconds={"pretrain": 1200.0, "finetune": 600.0},
                **foreseen,
            )
        )
    return [*trials, trial(num_trials - 1)]


def _choices(rng: np.random.Generator) -> tuple[dict[str, str | int], float]:
    """Choices of an architecture, and what they are worth: the operation of the first layer most."""
    parameters: dict[str, str | int] = {"num_layers": int(rng.choice([2, 4]))}
    for layer in range(1, int(parameters["num_layers"]) + 1):
        parameters[f"layer{layer}.operation"] = str(rng.choice(["sa-sdp", "sa-wma", "c-5"]))
        parameters[f"layer{layer}.hidden_size"] = int(rng.choice([128, 256]))
    worth = 4.0 * (parameters["layer1.operation"] == "sa-sdp") + 1.0 * (parameters["layer2.hidden_size"] == 256)
    return parameters, worth
