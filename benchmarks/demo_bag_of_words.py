"""How far a bag of words gets on the synthetic tasks of `finetune.demo`.

Claim: the tasks need structure. Counts of words stay at least 10 points under the ceiling (100, the labels are free of
noise) on five tasks or more, and rise above the majority class on most, so that there is also an easy part.

The bag is given every advantage that counts allow: for pairs the counts of both texts, which words only the first, only
the second and both have, and the share of common words; the strength of regularisation is the one that does best on the
validation rows themselves. Rows are generated with `--seed`; the run takes less than a minute on one core.

    python -m benchmarks.demo_bag_of_words --date 2026-11-21 --write benchmarks/results/demo_bag_of_words.md
"""

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from scipy.stats import pearsonr, spearmanr
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from finetune.demo import KINDS, demo_task
from finetune.demo_rows import Row

STRENGTHS = (0.03, 0.3, 3.0, 30.0)
CEILING = 100.0
MIN_GAP = 10.0
MIN_TASKS = 5

Vector = NDArray[np.float64]


def score(task: str, truth: Vector, guess: Vector) -> float:
    """Score in percent, GLUE's metric of the task; a constant guess has correlation 0."""
    if task == "stsb":
        if np.ptp(guess) == 0:
            return 0.0
        return 50 * float(pearsonr(truth, guess).statistic + spearmanr(truth, guess).statistic)
    if task == "cola":
        return 100 * float(matthews_corrcoef(truth, guess))
    accuracy = float(accuracy_score(truth, guess))
    return 50 * (accuracy + float(f1_score(truth, guess))) if task in ("mrpc", "qqp") else 100 * accuracy


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


def report(seed: int, date: str) -> str:
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
    versions = (
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}"
    )
    return "\n".join(
        [
            "# A bag of words on the synthetic demo tasks",
            "",
            f"{date}. {versions}. Seed {seed}, 2,000 training and 400 validation rows a task.",
            "Made by `python -m benchmarks.demo_bag_of_words`; what the bag sees is told in its docstring.",
            "",
            *lines,
            "",
            f"At least {MIN_GAP:.0f} points under the ceiling on {wide} of {len(gaps)} tasks (claimed: {MIN_TASKS}).",
            "",
        ]
    )


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--date", default="undated", help="date of the run, as it stands in the result")
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    text = report(arguments.seed, arguments.date)
    sys.stdout.write(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
