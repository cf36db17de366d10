"""What a checkpoint learns of real tasks, beside the majority class and a linear model on TF-IDF features.

usage: python benchmarks/finetune_learning.py DATA CHECKPOINT [--tasks A,B] [--seeds 5] [--epochs 10]
                                              [--learning-rate 3e-4] [--batch 32] [--max-train-samples qqp=8000,…]
                                              [--runs runs/finetune_learning] [--out FILE.md]

DATA is a folder with one folder a task. One recipe for all tasks, one run a seed, as `python -m finetune --num_runs`
does. The command scores validation rows; here it is the labelled test rows where a task has some: then the validation
rows are those that the split rule takes from training, and nobody uses them, as nothing is chosen by them. The linear
model is trained on the same rows as the encoder: TF-IDF of words, marks and pairs of these; for two texts both side by
side, their absolute difference and their cosine; logistic regression, for STS-B ridge regression; its strength is
chosen by five-fold cross-validation of the task's score. A constant guess has no correlation, which counts as 0.
`--runs` keeps one JSON file a run, so that a stopped benchmark goes on where it was.
"""

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import outcome
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from transformers.utils import logging as transformers_logging

from design_space.files import written_whole
from finetune.arguments import FinetuneArguments
from finetune.data import Row, load_task
from finetune.heads.head import Reading
from finetune.metrics import Predictions, task_metrics, task_score
from finetune.outcomes.repeats import SettingOutcome, points
from finetune.outcomes.results import tell
from finetune.runs import Setting, run_seeds
from finetune.source import Source
from finetune.tasks import Problem, Task, parse_tasks

TASKS = "restaurant_sup,agnews_sup,cola,mrpc,stsb,qqp"
STRENGTHS = (0.1, 1.0, 10.0, 100.0)
Vector = NDArray[np.float64]
Metrics = dict[str, float]


def source_of(task: Task, data: str, max_train_samples: int | None) -> tuple[Source, str]:
    """Rows to train on and to score, and which part these are."""
    found = load_task(task, data, with_test=True)
    has_test = found.test is not None and all("label" in row for row in found.test)
    scored = found.test if has_test and found.test is not None else found.validation
    rows = replace(found, train=found.train[:max_train_samples], validation=scored, test=None)
    return Source(task, rows, Path(data).name), "test" if has_test else "validation"


def metrics_of(task: Task, values: Any, labels: Any) -> Metrics:
    return task_metrics(Predictions(task=task, values=np.asarray(values), labels=np.asarray(labels)))


def majority(source: Source) -> Metrics:
    """Of the constant guess: the most frequent label of the training rows, or their mean."""
    labels, truth = (np.array([row["label"] for row in rows]) for rows in (source.data.train, source.data.validation))
    guess = labels.mean() if source.task.is_regression else np.bincount(labels).argmax()
    return metrics_of(source.task, np.full(len(truth), guess), truth)


def features(rows: Sequence[Row], task: Task, vectorizer: TfidfVectorizer) -> csr_matrix:
    """TF-IDF (n, V), or of two texts (n, 3V + 1)."""
    columns = [vectorizer.transform([row[field] for row in rows]) for field in task.text_fields]
    if len(columns) == 1:
        return columns[0]
    first, second = columns
    return hstack([first, second, abs(first - second), csr_matrix(first.multiply(second).sum(1))]).tocsr()


def linear_model(source: Source) -> Metrics:
    """Of ridge or logistic regression."""
    task, train, scored = source.task, source.data.train, source.data.validation
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    vectorizer.fit([row[field] for row in train for field in task.text_fields])
    model, grid = (Ridge(), "alpha") if task.is_regression else (LogisticRegression(max_iter=2000), "C")

    def score(fitted: Any, X: csr_matrix, y: Vector) -> float:
        return task_score(metrics_of(task, fitted.predict(X), y))

    # CoLA's rows are sorted by their sources: folds of neighbours would choose a constant guess.
    folds = (KFold if task.is_regression else StratifiedKFold)(5, shuffle=True, random_state=0)
    search = GridSearchCV(model, {grid: STRENGTHS}, scoring=score, cv=folds)
    search.fit(features(train, task, vectorizer), np.array([row["label"] for row in train]))
    return metrics_of(task, search.predict(features(scored, task, vectorizer)), [row["label"] for row in scored])


def peers(source: Source, path: Path) -> list[Metrics]:
    """Majority and linear model; taken from the file where it is there."""
    if path.exists():
        found: list[Metrics] = json.loads(path.read_text())
        return found
    found = [majority(source), linear_model(source)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        file.write(json.dumps(found).encode())
    return found


def rows_of(source: Source, part: str, peer_metrics: Sequence[Metrics], found: SettingOutcome) -> str:
    """Lines of the table, one a metric."""
    counts = f"{len(source.data.train):,} / {len(source.data.validation):,} {part}"
    seconds = np.mean([run.seconds for run in found.runs])
    text = ""
    for name, mean in list(found.mean.items())[1:]:  # after the score
        peer_cells = " | ".join(f"{points(name, metrics[name]):.1f}" for metrics in peer_metrics)
        spread = f" ± {points(name, found.std[name]):.1f}" if found.std else ""
        text += f"| {source.task.name} | {counts} | {name} | {peer_cells} | {points(name, mean):.1f}{spread} "
        text += f"({len(found.runs)}) | {seconds:.0f} |\n"
    return text


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("data")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--max-train-samples", default="")
    parser.add_argument("--runs", type=Path, default=Path("runs", "finetune_learning"))
    arguments = parser.parse_args()
    caps = {
        name: int(rows) for name, rows in (pair.split("=") for pair in arguments.max_train_samples.split(",") if pair)
    }
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = f"{arguments.epochs:g} epochs, learning rate {arguments.learning_rate:g}, batch {arguments.batch}"
    folder = arguments.runs / f"{arguments.checkpoint.name}, {recipe}".replace(", ", "-").replace(" ", "_")
    body = "| task | rows to train / score | metric | majority | TF-IDF + LR | encoder ± sd (seeds) | seconds a run |\n"
    body += "|---|---|---|---:|---:|---:|---:|\n"
    tasks = parse_tasks(arguments.tasks)
    if odd := [t.name for t in tasks if t.problem in (Problem.CHOICE, Problem.ANSWER) or t.group_field]:
        parser.error(f"--tasks: {', '.join(odd)} has no linear model here")
    for task in tasks:
        source, part = source_of(task, arguments.data, caps.get(task.name))
        training = FinetuneArguments(
            num_train_epochs=arguments.epochs,
            learning_rate=arguments.learning_rate,
            per_device_train_batch_size=arguments.batch,
            disable_tqdm=True,
        )
        setting = Setting(checkpoint=str(arguments.checkpoint), source=source, arguments=training, reading=Reading())
        kept = folder / f"{task.name}-{len(source.data.train)}"
        peer_metrics = peers(source, kept / "peers.json")
        with contextlib.redirect_stdout(sys.stderr):
            found = run_seeds(setting, range(arguments.seeds), kept, resume=True, tell=tell)
        body += rows_of(source, part, peer_metrics, found)
    body += "\nMetrics in points; sd over the seeds.\n"
    setting_line = f"{arguments.checkpoint.name}; {recipe}, up to 128 tokens."
    packages = ["torch", "transformers", "scikit-learn"]
    outcome.publish("What fine-tuning learns of real tasks", packages, setting_line, body, arguments.out)


if __name__ == "__main__":
    main()
