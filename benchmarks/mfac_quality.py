"""M-FAC beside AdamW on real text: QQP and a slice of SQuAD v2 from one checkpoint, with the published settings.

usage: python benchmarks/mfac_quality.py DATA CHECKPOINT [--seeds 5] [--num-grads 256] [--qqp-rows 5000]
                                         [--questions 2400] [--scored 1000] [--runs runs/mfac_quality] [--out FILE.md]

DATA is a folder with `qqp` and `squad_v2`. Settings are those published for BERT-mini (the model cards of M-FAC's
authors): QQP 5 epochs, batch 32, 128 tokens; SQuAD v2 2 epochs, batch 12, 384 tokens, stride 128; learning rate 1e-4
for both optimizers, λ 1e-6. The window is the one thing that differs: the published one of 1,024 gradients is longer
than these runs have steps to fill. As the mean is over the whole window, a step is about m · g / |g|² long: a window of
256 makes it a quarter of the published length. So both optimizers run once more with the rate times 1,024 / m. Rows
are drawn once; the seeds draw head, order and dropout. `--runs` keeps a file a run, so that a stopped benchmark goes
on where it was.
"""

import contextlib
import random
import sys
from itertools import product
from pathlib import Path
from typing import Any

import outcome
from transformers.utils import logging as transformers_logging

from finetune.arguments import FinetuneArguments
from finetune.data import load_task
from finetune.heads.head import Reading
from finetune.outcomes.repeats import SettingOutcome, points
from finetune.outcomes.results import tell
from finetune.runs import Setting, run_seeds
from finetune.source import Source
from finetune.tasks import find_task

RECIPES: dict[str, dict[str, Any]] = {
    "qqp": {"num_train_epochs": 5, "per_device_train_batch_size": 32},
    "squad_v2": {"num_train_epochs": 2, "per_device_train_batch_size": 12},
}
READINGS = {"qqp": Reading(max_seq_length=128), "squad_v2": Reading(max_seq_length=384, doc_stride=128)}
_RATE = 1e-4
_PUBLISHED_WINDOW = 1024
PUBLISHED = {
    ("qqp", "mfac"): "F1 82.67 ± 0.23, accuracy 86.75 ± 0.20",
    ("qqp", "adamw"): "F1 82.43 ± 0.10, accuracy 86.45 ± 0.12",
    ("squad_v2", "mfac"): "EM 58.02 ± 0.39, F1 61.35 ± 0.24",
    ("squad_v2", "adamw"): "EM 54.80 ± 0.47, F1 58.13 ± 0.31",
}


def source_of(name: str, data: str, num_train: int, num_scored: int | None) -> Source:
    """A task with rows that are drawn once."""
    task = find_task(name)
    rows = load_task(task, data)
    train = random.Random(0).sample(list(rows.train), min(num_train, len(rows.train)))
    scored = list(rows.validation)
    if num_scored is not None and num_scored < len(scored):
        scored = random.Random(0).sample(scored, num_scored)
    return Source(task, type(rows)(train, scored), Path(data).name)


def row_of(name: str, optimizer: str, rate: float, found: SettingOutcome) -> str:
    """One line of the table."""
    measured = ", ".join(
        f"{metric} {points(metric, mean):.2f}" + (f" ± {points(metric, found.std[metric]):.2f}" if found.std else "")
        for metric, mean in list(found.mean.items())[1:]
    )
    loss = sum(run.loss for run in found.runs) / len(found.runs)
    steps = found.runs[0].num_steps
    published = PUBLISHED[name, optimizer] if rate == _RATE else ""
    return f"| {name} | {optimizer} | {rate:g} | {measured} | {loss:.3f} | {steps} | {published} |\n"


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("data")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--num-grads", type=int, default=256)
    parser.add_argument("--qqp-rows", type=int, default=5000)
    parser.add_argument("--questions", type=int, default=2400)
    parser.add_argument("--scored", type=int, default=1000)
    parser.add_argument("--runs", type=Path, default=Path("runs", "mfac_quality"))
    arguments = parser.parse_args()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    optimizers = {
        "adamw": {"optim": "adamw_torch"},
        "mfac": {"optim": "mfac", "optim_args": f"num_grads={arguments.num_grads},damp=1e-6"},
    }
    rates = (_RATE, _RATE * _PUBLISHED_WINDOW / arguments.num_grads)
    sources = {
        "qqp": source_of("qqp", arguments.data, arguments.qqp_rows, None),
        "squad_v2": source_of("squad_v2", arguments.data, arguments.questions, arguments.scored),
    }
    body = "| task | optimizer | rate | measured, mean ± sd | mean training loss | steps | published, BERT-mini |\n"
    body += "|---|---|---:|---|---:|---:|---|\n"
    for name, source in sources.items():
        for rate, (optimizer, chosen) in product(rates, optimizers.items()):
            common = {"learning_rate": rate, "weight_decay": 0.0, "warmup_steps": 0, "disable_tqdm": True}
            training = FinetuneArguments(**common | RECIPES[name] | chosen)
            setting = Setting(
                checkpoint=str(arguments.checkpoint), source=source, arguments=training, reading=READINGS[name]
            )
            kept = arguments.runs / f"{name}-{optimizer}-{rate:g}-{len(source.data.train)}"
            with contextlib.redirect_stdout(sys.stderr):
                found = run_seeds(setting, range(arguments.seeds), kept, resume=True, tell=tell)
            body += row_of(name, optimizer, rate, found)
    counts = "; ".join(f"{name} {len(s.data.train):,} / {len(s.data.validation):,}" for name, s in sources.items())
    body += f"\nRows to train / score: {counts}. Metrics in points; sd over {arguments.seeds} seeds.\n"
    setting_line = f"{arguments.checkpoint.name}; no warm-up, linear decay, window {arguments.num_grads}."
    packages = ["torch", "transformers"]
    outcome.publish("M-FAC beside AdamW on real text", packages, setting_line, body, arguments.out)


if __name__ == "__main__":
    main()
