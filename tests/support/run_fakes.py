"""Runs as a search leaves them, made up in a moment: random architectures, scores that follow from them."""

from pathlib import Path

import numpy as np
import search_fakes

from boshnas.saved_run import PICTURE_FILE
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Decision, Proposal, Status, Trial

OPERATIONS = ["sa-sdp", "sa-wma", "l-dft", "l-dct", "c-5", "c-9"]
CHOICES: dict[str, list[str | int]] = {"num_layers": [2, 4]}
for _layer in range(1, 5):
    CHOICES |= {f"layer{_layer}.operation": [*OPERATIONS], f"layer{_layer}.hidden_size": [128, 256]}
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'
IDENTITY = {"space": "flexibert_mini", "seed": 0, "options": {"budget": 60}, "versions": {"torch": "2.13.0"}}


def trial(number: int, rng: np.random.Generator, tasks: tuple[str, ...] = ("cola", "mrpc", "stsb")) -> Trial:
    """A finished one, but for each eleventh, which crashed; predictions from the eleventh on."""
    num_layers = int(rng.choice([2, 4]))
    parameters: dict[str, str | int] = {"num_layers": num_layers}
    for layer in range(1, num_layers + 1):
        parameters[f"layer{layer}.operation"] = str(rng.choice(OPERATIONS))
        parameters[f"layer{layer}.hidden_size"] = int(rng.choice([128, 256]))
    widths = sum(int(parameters[f"layer{layer}.hidden_size"]) for layer in range(1, num_layers + 1))
    truth = 60 + widths / 128 + 3 * (parameters["layer1.operation"] == "l-dct")
    score = float(truth + rng.normal(0, 0.7))
    foreseen = number >= 10
    proposal = Proposal(
        id=f"{number:016x}",
        decision=Decision.OPTIMISE if foreseen else Decision.RANDOM,
        mean=float(truth + rng.normal(0, 0.5)) if foreseen else None,
        epistemic_std=0.6 if foreseen else None,
        aleatoric_std=0.7 if foreseen else None,
    )
    failed = number % 11 == 10
    return Trial(
        number=number,
        proposal=proposal,
        level=1 + number % 3,
        architecture={"l": num_layers},
        parameters=parameters,
        seed=0,
        params=4_000_000 + 1_500 * widths,
        status=Status.CRASHED if failed else Status.FINISHED,
        score=None if failed else score,
        task_scores={} if failed else {task: score + place - 1 for place, task in enumerate(tasks)},
        stage_seconds={"pretrain": 40.0, "finetune": 20.0},
        error="ValueError: loss is nan\nTraceback …" if failed else None,
    )


def write(folder: Path, num_trials: int, tasks: tuple[str, ...] = ("cola", "mrpc", "stsb")) -> None:
    """A run's folder with its store and the picture of its best."""
    rng = np.random.default_rng(0)
    with Store.create(folder / STORE_FILE, IDENTITY, CHOICES, score_name="GLUE score") as store:
        for number in range(num_trials):
            search_fakes.record(store, trial(number, rng, tasks))
    (folder / PICTURE_FILE).write_text(PICTURE)
