"""Full tuning beside light-weight tuning on the classification trio, from one checkpoint.

usage: python benchmarks/tunings.py DATA CHECKPOINT [--tasks A,B] [--tunings full,adapter] [--seeds 5] [--epochs 10]
                                    [--batch 32] [--rates full=3e-4,…] [--runs runs/tunings] [--out FILE.md]

DATA is a folder with one folder a task. Scored are the labelled test rows; the validation rows are those that the split
rule takes from training, and nobody uses them, as nothing is chosen by them. The rates of light-weight tuning are the
command's defaults where `--rates` says nothing. `--runs` keeps a file a run, so that a stopped benchmark goes on.
"""

import contextlib
import sys
from pathlib import Path

import outcome
from finetune_learning import source_of
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from finetune.arguments import FinetuneArguments
from finetune.heads.head import Reading
from finetune.outcomes.repeats import SettingOutcome
from finetune.outcomes.results import tell
from finetune.runs import Setting, run_seeds
from finetune.tasks import parse_tasks
from finetune.tuning.tune import num_trained, tune

TASKS = "restaurant_sup,acl_sup,agnews_sup"
PUBLISHED = {
    ("restaurant_sup", "full"): "0.857 / 0.780",
    ("restaurant_sup", "adapter"): "0.826 / 0.719",
    ("acl_sup", "full"): "0.764 / 0.679",
    ("acl_sup", "adapter"): "0.665 / 0.472",
    ("agnews_sup", "full"): "0.902 / 0.900",
    ("agnews_sup", "adapter"): "0.924 / 0.922",
}


def share(checkpoint: str, num_labels: int, arguments: FinetuneArguments) -> tuple[int, float]:
    """Parameters that are trained, and their share of the model with what is added to it."""
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=num_labels)
    tune(model, arguments.tuned())
    trained = num_trained(model)
    return trained, trained / model.num_parameters()


def row_of(found: SettingOutcome, tuning: str, rate: float, trained: tuple[int, float]) -> str:
    """One line of the table."""
    cells = [f"{found.mean[name]:.3f}" + (f" ± {found.std[name]:.3f}" if found.std else "") for name in found.names[1:]]
    seconds = sum(run.seconds for run in found.runs) / len(found.runs)
    return (
        f"| {found.task} | {tuning} | {rate:g} | {' | '.join(cells)} | {trained[0]:,} ({trained[1]:.1%}) | "
        f"{seconds:.0f} | {PUBLISHED.get((found.task, tuning), '')} |\n"
    )


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("data")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--tunings", default="full,adapter")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rates", default="full=3e-4")
    parser.add_argument("--runs", type=Path, default=Path("runs", "tunings"))
    arguments = parser.parse_args()
    rates = {name: float(rate) for name, rate in (pair.split("=") for pair in arguments.rates.split(",") if pair)}
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    body = "| task | tuning | learning rate | accuracy | macro F1 | trained parameters | seconds a run | published, "
    body += "roberta-base: accuracy / macro F1 |\n|---|---|---:|---:|---:|---:|---:|---|\n"
    counts = []
    for task in parse_tasks(arguments.tasks):
        source, part = source_of(task, arguments.data, None)
        counts.append(f"{task.name} {len(source.data.train):,} / {len(source.data.validation):,} {part}")
        for tuning in arguments.tunings.split(","):
            training = FinetuneArguments(
                num_train_epochs=arguments.epochs,
                per_device_train_batch_size=arguments.batch,
                disable_tqdm=True,
                tuning=tuning,
                **({"learning_rate": rates[tuning]} if tuning in rates else {}),
            )
            setting = Setting(
                checkpoint=str(arguments.checkpoint), source=source, arguments=training, reading=Reading()
            )
            kept = arguments.runs / f"{task.name}-{tuning}"
            with contextlib.redirect_stdout(sys.stderr):
                found = run_seeds(setting, range(arguments.seeds), kept, resume=True, tell=tell)
                trained = share(str(arguments.checkpoint), task.num_outputs, training)
            body += row_of(found, tuning, training.learning_rate, trained)
    body += f"\nRows to train / score: {'; '.join(counts)}. Mean ± sd over {arguments.seeds} seeds.\n"
    recipe = f"{arguments.checkpoint.name}; {arguments.epochs:g} epochs, batch {arguments.batch}, up to 128 tokens."
    outcome.publish("Full tuning beside adapters", ["torch", "transformers", "peft"], recipe, body, arguments.out)


if __name__ == "__main__":
    main()
