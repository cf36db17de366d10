"""Scores of answers in a model's own words: exact match and token F1, near misses, and subsets scored apart.

Symbol: n answers.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from finetune.answers.metrics import exact_match, f1, normalize
from finetune.correlation import Floats


def text_scores(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> dict[str, Floats]:
    """Exact match and token F1 of each prediction, (n,), the best over its accepted answers.

    Args:
        predictions: Texts, n.
        answers: Accepted ones of each, n.
    """
    pairs = list(zip(predictions, answers, strict=True))
    return {
        "exact_match": np.array([exact_match(*pair) for pair in pairs], dtype=np.float64),
        "token_f1": np.array([f1(*pair) for pair in pairs], dtype=np.float64),
    }


def words_off(prediction: str, answers: Sequence[str]) -> int:
    """Words by which a prediction just misses an answer: more than 0 too many, less than 0 too few.

    It just misses one that stands in it, or in which it stands, as whole words in a row, after normalisation. Of
    several answers the nearest counts.

    Args:
        prediction: A text.
        answers: Accepted ones.

    Returns:
        0 where the prediction is exactly right, or no near miss.

    Example:
        >>> [words_off(text, ["Paris, France"]) for text in ("in Paris, France", "Paris", "the Paris France", "Par")]
        [1, -1, 0, 0]
    """
    if exact_match(prediction, answers):
        return 0
    given = normalize(prediction)
    found = [
        len(given.split()) - len(right.split())
        for right in map(normalize, answers)
        if given and right and (f" {right} " in f" {given} " or f" {given} " in f" {right} ")
    ]
    return min(found, key=abs, default=0)


def text_details(
    predictions: Sequence[str],
    answers: Sequence[Sequence[str]],
    scores: Mapping[str, Floats],
    subsets: Sequence[str | None],
) -> dict[str, float]:
    """Figures beside the metrics.

    Args:
        predictions: Texts, n.
        answers: Accepted ones of each, n.
        scores: Of `text_scores`.
        subsets: Name of the subset of each, n; None where it is in none.

    Returns:
        `near_misses`, the share of predictions that are some, with its two parts `too_long` and `too_short`;
        `words_too_many` and `words_too_few`, means over these parts (0 where they are empty); and each metric of each
        subset, as "factual exact_match".
    """
    off = np.array([words_off(*pair) for pair in zip(predictions, answers, strict=True)])
    details = {
        "near_misses": float((off != 0).mean()),
        "too_long": float((off > 0).mean()),
        "words_too_many": float(off[off > 0].mean()) if (off > 0).any() else 0.0,
        "too_short": float((off < 0).mean()),
        "words_too_few": float(-off[off < 0].mean()) if (off < 0).any() else 0.0,
    }
    for subset in sorted({subset for subset in subsets if subset is not None}):
        chosen = np.array([one == subset for one in subsets])
        details |= {f"{subset} {name}": float(values[chosen].mean()) for name, values in scores.items()}
    return details
