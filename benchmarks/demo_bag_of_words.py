"""How far a bag of words gets on the synthetic tasks of `finetune.demo.tasks`.

Claim: the tasks need structure. Counts of words stay at least 10 points under the ceiling (100, the labels are free of
noise) on five tasks or more, and rise above the majority class on most, so that there is also an easy part.

The bag is given every advantage that counts allow: for pairs the counts of both texts, which words only the first, only
the second and both have, and the share of common words; the strength of regularisation is the one that does best on the
validation rows themselves. Rows are generated with `--seed`; the run takes less than a minute on one core.

usage: python benchmarks/demo_bag_of_words.py [--seed 0] [--out FILE.md]
"""

from collections.abc import Sequence

import numpy as np
import outcome
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from finetune.demo.rows import Row
from finetune.demo.tasks import KINDS, demo_task
from finetune.metrics import Predictions, task_metrics, task_score
from finetune.tasks import find_task

STRENGTHS = (0.03, 0.3, 3.0, 30.0)
CEILING = 100.0
MIN_GAP = 10.0
MIN_TASKS = 5

Vector = NDArray[np.float64]


def score(task: str, truth: Vector, guess: Vector) -> float:
    """Score in percent, GLUE's metric of the task."""
    return task_score(task_metrics(Predictions(task=find_task(task), values=guess, labels=truth)))


def majority(task: str, labels: Vector, truth: Vector) -> float:
    """Best score of one constant guess, as GLUE would score it."""
    return max(score(task, truth, np.full_like(truth, value)) for value in np.unique(labels))


def texts(rows: Sequence[Row]) -> list[list[str]]:
    """The text fields, one list of texts a field."""
    fields = [field for field in rows[0] if field not in ("label", "idx")]
    return [[str(row[field]) for row in rows] for field in fields]


def features(columns: list[list[str]], counter: CountVectorizer) -> csr_matrix:
    """Counts (n, V), and for pairs the five blocks of the module's docstring (n, 5V + 1)."""
    counts = [counter.transform(column) for column in columns]
    if len(counts) == 1:
        return counts[0]
    first, second = (c.sign() for c in counts)
    both = first.multiply(second)
    union = first.sum(1) + second.sum(1) - both.sum(1)
    return hstack([*counts, first - both, second - both, both, csr_matrix(both.sum(1) / union)]).tocsr()


def bag_of_words(task: str, train: Sequence[Row], validation: Sequence[Row]) -> float:
    """Score of the best of `STRENGTHS` on the validation rows."""
    counter = CountVectorizer(token_pattern=r"\S+").fit([t for column in texts(train) for t in column])
    x, x_val = features(texts(train), counter), features(texts(validation), counter)
    y, y_val = (np.array([row["label"] for row in rows], dtype=np.float64) for rows in (train, validation))
    models = [Ridge(alpha=1 / c) if task == "stsb" else LogisticRegression(C=c, max_iter=3000) for c in STRENGTHS]
    return max(score(task, y_val, np.asarray(model.fit(x, y).predict(x_val), dtype=np.float64)) for model in models)


def report(seed: int) -> str:
    """Measure all tasks and lay the result out as Markdown."""
    lines = ["| task | majority | bag of words | above majority | gap to 100 |", "|---|---:|---:|---:|---:|"]
    gaps = {}
    for task in KINDS:
        train, validation = demo_task(task, "train", seed=seed), demo_task(task, "validation", seed=seed)
        y, y_val = (np.array([r["label"] for r in rows], dtype=np.float64) for rows in (train, validation))
        base, bag = majority(task, y, y_val), bag_of_words(task, train, validation)
        gaps[task] = CEILING - bag
        lines.append(f"| {task} | {base:.1f} | {bag:.1f} | {bag - base:+.1f} | {gaps[task]:.1f} |")
    wide = sum(gap >= MIN_GAP for gap in gaps.values())
    lines += [
        "",
        f"At least {MIN_GAP:.0f} points under the ceiling on {wide} of {len(gaps)} tasks (asked: {MIN_TASKS}).",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = outcome.parser(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    outcome.publish(
        "A bag of words on the synthetic demo tasks",
        ["scikit-learn", "numpy", "scipy"],
        f"Seed {arguments.seed}, 2,000 training and 400 validation rows a task.",
        report(arguments.seed),
        arguments.out,
    )


if __name__ == "__main__":
    main()
