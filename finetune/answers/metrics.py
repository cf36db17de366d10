"""Scores of answers by the rules of SQuAD's official evaluation, for each question and over a set."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from design_space.errors import InputError
from finetune.rows.squad import Question

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(?:an?|the)\b")


def normalize(text: str) -> str:
    """A text in the form in which answers are compared: lower case, without ASCII punctuation, articles, extra space.

    Example:
        >>> normalize("  The U.S. state-of-the-art, a record")
        'us stateoftheart record'
    """
    bare = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", bare).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1 where a prediction equals one of the answers after normalisation, else 0.

    Args:
        prediction: A text, empty for "no answer".
        answers: Texts that are right; none where the question is unanswerable. Those of which normalisation leaves
            nothing do not count, and where none is left the empty text is the answer.
    """
    return float(normalize(prediction) in _normalized(answers))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """The best F1 over the answers, in [0, 1]: 2 × common tokens ÷ (tokens of the prediction + tokens of the answer).

    A token counts as often as it stands in both. Where either text is empty, F1 is 1 if both are, else 0.

    Args:
        prediction: A text, empty for "no answer".
        answers: As for `exact_match`.

    Example:
        >>> f1("the blue sky", ["sky", "blue"])
        0.6666666666666666
    """
    tokens = normalize(prediction).split()
    return max(_token_f1(tokens, answer.split()) for answer in _normalized(answers))


def _normalized(answers: Sequence[str]) -> list[str]:
    return [text for text in map(normalize, answers) if text] or [""]


def _token_f1(predicted: list[str], right: list[str]) -> float:
    if not predicted or not right:
        return float(predicted == right)
    return 2 * (Counter(predicted) & Counter(right)).total() / (len(predicted) + len(right))


@dataclass(frozen=True, eq=False)
class SquadScores:
    """Scores of a set, question by question.

    Attributes:
        exact_match: 0 or 1, shape (n,).
        f1: In [0, 1], shape (n,).
        is_answerable: Whether the question has an answer, shape (n,).
    """

    exact_match: NDArray[np.float64]
    f1: NDArray[np.float64]
    is_answerable: NDArray[np.bool_]

    def summary(self) -> dict[str, float]:
        """Means in percent: over all questions, and over the answerable and unanswerable ones where there are any."""
        parts = {
            "": np.ones(len(self.f1), dtype=np.bool_),
            "answerable_": self.is_answerable,
            "unanswerable_": ~self.is_answerable,
        }
        return {
            f"{part}{name}": 100 * float(values[chosen].mean())
            for part, chosen in parts.items()
            if chosen.any()
            for name, values in (("exact_match", self.exact_match), ("f1", self.f1))
        }


def squad_scores(questions: Sequence[Question], predictions: Sequence[str]) -> SquadScores:
    """Score one prediction for each question.

    Args:
        questions: With their answers.
        predictions: Texts in the order of the questions, empty for "no answer".

    Raises:
        InputError: If there are not as many of both.

    Reference:
        Rajpurkar et al. 2016, arXiv:1606.05250, section 6.1; Rajpurkar, Jia and Liang 2018, arXiv:1806.03822. As in
        the evaluation of v2.0, also for v1.1, answers that normalise to nothing, such as "the", do not count.
    """
    _check_number("predictions", len(predictions), len(questions))
    pairs = list(zip(predictions, (question.answers for question in questions), strict=True))
    return SquadScores(
        exact_match=np.array([exact_match(*pair) for pair in pairs], dtype=np.float64),
        f1=np.array([f1(*pair) for pair in pairs], dtype=np.float64),
        is_answerable=np.array([bool(question.answers) for question in questions], dtype=np.bool_),
    )


@dataclass(frozen=True, kw_only=True)
class BestThreshold:
    """The scores that the best thresholds reach, and these.

    A question is answered where its null-score difference is at most the threshold.

    Attributes:
        exact_match: In percent.
        exact_match_threshold: That reaches it; the smallest one.
        f1: In percent.
        f1_threshold: That reaches it; the smallest one.
    """

    exact_match: float
    exact_match_threshold: float
    f1: float
    f1_threshold: float


def best_threshold(
    questions: Sequence[Question], spans: Sequence[str], differences: NDArray[np.float64]
) -> BestThreshold:
    """Search the null-score difference above which a question is better not answered.

    The choice is made on the questions that it is scored on, so what it reaches is an upper bound for others.

    Args:
        questions: At least one, with their answers.
        spans: The best span of each, whatever its null score: `Answer.span`.
        differences: Its null score minus the span's: `Answer.null_score_difference`, shape (n,).

    Raises:
        InputError: If there are not as many of each, or a difference is no number.
    """
    _check_number("differences", len(differences), len(questions))
    if np.isnan(differences).any():
        raise InputError("best_threshold: differences must be numbers, got NaN. The model has diverged.")
    answered, silent = squad_scores(questions, spans), squad_scores(questions, [""] * len(questions))
    exact, exact_threshold = _search(answered.exact_match, silent.exact_match, differences)
    value, threshold = _search(answered.f1, silent.f1, differences)
    return BestThreshold(
        exact_match=100 * exact, exact_match_threshold=exact_threshold, f1=100 * value, f1_threshold=threshold
    )


def _search(
    answered: NDArray[np.float64], silent: NDArray[np.float64], differences: NDArray[np.float64]
) -> tuple[float, float]:
    """The best mean over all thresholds, and the smallest threshold that has it.

    With the questions by rising difference, a threshold answers a leading part of them, so the means are those of
    silence plus cumulative sums of what answers gain.
    """
    order = np.argsort(differences, kind="stable")
    ordered = differences[order]
    gains = np.concatenate([[0.0], np.cumsum((answered - silent)[order])])
    # Questions of equal difference are answered together.
    is_possible = np.concatenate([[True], ordered[1:] > ordered[:-1], [True]])
    gains[~is_possible] = -np.inf
    num_answered = int(np.argmax(gains))
    threshold = ordered[num_answered - 1] if num_answered else np.nextafter(ordered[0], -np.inf)
    return float(silent.mean() + gains[num_answered] / len(gains[1:])), float(threshold)


def _check_number(name: str, given: int, expected: int) -> None:
    if given != expected:
        raise InputError(f"scores: {name} must be one for each of the {expected} questions, got {given}.")
