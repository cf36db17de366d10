"""How noisy the tasks' scores are over seeds, and which tasks are worth their time in a search's score.

usage: python benchmarks/finetune_noise.py DATA CHECKPOINT [CHECKPOINT …] [--models 3] [--seeds 5] [--tasks A,B]
                                           [--max-train-samples N] [--max-eval-samples N] [--limit params<=7.5e6]
                                           [--runs runs/finetune_noise] [--out FILE.md]

DATA is a folder with one folder a task; all tasks of GLUE that it has, or those named, SuperGLUE's too. Fine-tuned as a
search does it (`FinetuneSettings`). Where fewer checkpoints are given than `--models`, the others are
architectures drawn from level 1 of `flexibert_mini` within `--limit` that take the first one's weights, as a search's
neighbours do.

One-way random effects, k models with n seeds each: within² is the mean over models of the variance over seeds;
between² = variance over models of their means − within² / n, at least 0; reliability = between² / (between² + within²),
the share of one run's variance that is the model's.

A subset of tasks is worth what its mean score says of the models. r is the correlation over models between its mean in
one seed, which is what a search sees, and the mean of all tasks over the other seeds, averaged over the seeds; the
share of pairs is that of two models in the same order by both. For each budget all subsets that fit are tried and the
one with the greatest r is named; with few models r is rough, and the best of many is flattered. `--runs` keeps one JSON
file a run, so that a stopped benchmark goes on where it was.
"""

import contextlib
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import outcome
from numpy.typing import NDArray
from transformers import set_seed
from transformers.utils import logging as transformers_logging

from boshnas.worker.settings import MAX_POSITIONS, FinetuneSettings, finetune_arguments
from design_space import DesignSpace
from design_space.constraint import Constraint
from design_space.model import FlexiBertForMaskedLM
from design_space.model.transfer import transfer
from finetune.data import available_tasks, load_task
from finetune.heads.head import Reading
from finetune.outcomes.repeats import SettingOutcome
from finetune.outcomes.results import tell
from finetune.runs import Setting, run_seeds
from finetune.source import Source
from finetune.tasks import parse_tasks
from pretrain.tokenizer import load_tokenizer
from pretrain.train import build_model

BUDGETS = (0.1, 0.25, 0.5, 1.0)
SETTINGS = FinetuneSettings()
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What was measured.

    Attributes:
        tasks: Names, T.
        scores: Of models, tasks and seeds, shape (k, T, n).
        seconds: Of a run, mean over models and seeds, shape (T,).
    """

    tasks: Sequence[str]
    scores: Array
    seconds: Array

    def deviations(self, task: int) -> tuple[float, float]:
        """Within and between."""
        scores = self.scores[:, task]
        within = scores.var(axis=1, ddof=1).mean()
        between = scores.mean(axis=1).var(ddof=1) - within / scores.shape[1]
        return float(np.sqrt(within)), float(np.sqrt(max(0.0, between)))

    def agreement(self, subset: Sequence[int]) -> tuple[float, float]:
        """r of a subset, and the share of pairs."""
        correlations, alike = [], []
        first, second = np.triu_indices(len(self.scores), 1)
        for seed in range(self.scores.shape[2]):
            seen = self.scores[:, subset, seed].mean(axis=1)
            whole = np.delete(self.scores, seed, axis=2).mean(axis=(1, 2))
            is_flat = seen.std() == 0 or whole.std() == 0
            correlations.append(0.0 if is_flat else np.corrcoef(seen, whole)[0, 1])
            alike.append(np.mean(np.sign(seen[first] - seen[second]) == np.sign(whole[first] - whole[second])))
        return float(np.mean(correlations)), float(np.mean(alike))

    def best_subset(self, budget_s: float) -> tuple[int, ...] | None:
        """Of those that take no longer, that with the greatest r; the quicker of equals."""
        places = range(len(self.tasks))
        subsets = [s for size in range(1, len(places) + 1) for s in itertools.combinations(places, size)]
        within = [subset for subset in subsets if self.seconds[list(subset)].sum() <= budget_s]
        return max(within, key=lambda s: (self.agreement(s)[0], -self.seconds[list(s)].sum()), default=None)


def drawn(checkpoint: Path, count: int, limit: str, folder: Path) -> list[Path]:
    """Architectures of the space with the weights of a checkpoint, as far as both have the same parts."""
    space = DesignSpace.load("flexibert_mini").within([Constraint.parse(limit)])
    targets = []
    for architecture in space.sample(1, count, np.random.default_rng(0)):
        tokenizer = load_tokenizer(checkpoint)
        set_seed(0)
        model = build_model(architecture, tokenizer, MAX_POSITIONS)
        transfer(FlexiBertForMaskedLM.from_pretrained(checkpoint), model)
        targets.append(folder / architecture.id[:8])
        model.save_pretrained(targets[-1])
        tokenizer.save_pretrained(targets[-1])
    return targets


def run(model: Path, source: Source, num_seeds: int, folder: Path) -> SettingOutcome:
    """Every seed of one model on one task."""
    arguments = finetune_arguments(SETTINGS, 0, folder)
    reading = Reading(max_seq_length=SETTINGS.max_seq_length)
    setting = Setting(checkpoint=str(model), source=source, arguments=arguments, reading=reading)
    with contextlib.redirect_stdout(sys.stderr):
        found = run_seeds(setting, range(num_seeds), folder, resume=True, tell=tell)
    return found


def tasks_table(found: Scores) -> str:
    text = (
        "| task | score | sd over seeds | sd over models | reliability | s a run | reliability a minute | r alone |\n"
    )
    text += "|---|---:|---:|---:|---:|---:|---:|---:|\n"
    for place, name in enumerate(found.tasks):
        within, between = found.deviations(place)
        reliability = between**2 / (between**2 + within**2) if between > 0 else 0.0
        text += (
            f"| {name} | {found.scores[:, place].mean():.1f} | {within:.2f} | {between:.2f} | {reliability:.2f} "
            f"| {found.seconds[place]:.0f} | {60 * reliability / found.seconds[place]:.2f} "
            f"| {found.agreement([place])[0]:.2f} |\n"
        )
    return text


def subsets_table(found: Scores) -> str:
    text = (
        "| at most, of the time of all | tasks | s a model | r | pairs in the same order |\n|---:|---|---:|---:|---:|\n"
    )
    best = [(f"{share:.0%}", found.best_subset(share * float(found.seconds.sum()) + 1e-9)) for share in BUDGETS]
    for name, subset in [*best, ("(all)", tuple(range(len(found.tasks))))]:
        if subset is not None:
            r, alike = found.agreement(subset)
            names = ", ".join(found.tasks[place] for place in subset)
            text += f"| {name} | {names} | {found.seconds[list(subset)].sum():.0f} | {r:.2f} | {alike:.0%} |\n"
    return text


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("data")
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks")
    parser.add_argument("--max-train-samples", type=int)
    parser.add_argument("--max-eval-samples", type=int)
    parser.add_argument("--limit", default="params<=7.5e6")
    parser.add_argument("--runs", type=Path, default=Path("runs", "finetune_noise"))
    arguments = parser.parse_args()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    checkpoints = arguments.checkpoints
    num_drawn = max(0, arguments.models - len(checkpoints))
    models = checkpoints + drawn(checkpoints[0], num_drawn, arguments.limit, arguments.runs / "models")
    if len(models) < 2 or arguments.seeds < 2:
        parser.error("there must be two models and two seeds at least")
    if len({model.name for model in models}) < len(models):
        parser.error("checkpoints must be folders of different names")
    tasks = parse_tasks(arguments.tasks) if arguments.tasks else available_tasks(arguments.data)
    num_train, num_eval = arguments.max_train_samples, arguments.max_eval_samples
    by_task = []
    for task in tasks:
        data = load_task(task, arguments.data)
        data = replace(data, train=data.train[:num_train], validation=data.validation[:num_eval])
        place = f"{task.name}-{len(data.train)}-{len(data.validation)}"
        source = Source(task, data, Path(arguments.data).name)
        by_task.append([run(model, source, arguments.seeds, arguments.runs / model.name / place) for model in models])
    found = Scores(
        tasks=[task.name for task in tasks],
        scores=np.array([[of_model.values("score") for of_model in of_task] for of_task in by_task]).swapaxes(0, 1),
        seconds=np.array([np.mean([one.seconds for o in of_task for one in o.runs]) for of_task in by_task]),
    )
    setting = (
        f"{len(models)} models ({num_drawn} drawn), {arguments.seeds} "
        f"seeds; {SETTINGS.num_train_epochs:g} epochs, batch {SETTINGS.per_device_train_batch_size}, learning rate "
        f"{SETTINGS.learning_rate:g}; at most {num_train or 'all'} rows to train on, {num_eval or 'all'} to score."
    )
    body = f"{tasks_table(found)}\n{subsets_table(found)}"
    outcome.publish("Noise of the tasks' scores", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
