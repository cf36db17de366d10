"""A model's logits over windows, turned back into answers.

Symbols: T tokens of a window, C those of them in the context, L tokens of the longest answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.special import softmax

from design_space.errors import InputError
from finetune.answers.windows import Window
from finetune.rows.squad import Question

Logits = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Answer:
    """What a model answers to one question.

    Attributes:
        text: The answer; empty where the question is taken to be unanswerable.
        span: Text of the best span, also where `text` is empty; empty where no span can be had.
        score: Start logit plus end logit of that span; −∞ where there is none.
        null_score_difference: Null score minus `score`; ∞ where there is no span.
        n_best: Best texts, the empty one among them where it is allowed, each with its probability among these.
    """

    text: str
    span: str
    score: float
    null_score_difference: float
    n_best: tuple[tuple[str, float], ...]


def answers(
    questions: Sequence[Question],
    windows: Sequence[Window],
    start_logits: Logits,
    end_logits: Logits,
    n_best_size: int = 20,
    max_answer_length: int = 30,
    null_score_diff_threshold: float = 0.0,
    version_2: bool = False,
) -> list[Answer]:
    """The best spans of each question over all its windows.

    A span is any run of at most `max_answer_length` tokens of the context that holds more than white space; all of
    them compete. The null score of a question is the smallest over its windows, since a window without the answer
    is right to say so.

    Args:
        questions: Those of the windows.
        windows: All windows of the questions.
        start_logits: A row for each window, shape (number of windows, at least T); what stands beyond T is ignored.
        end_logits: The same for the last token.
        n_best_size: Spans that are kept for each question; equal texts are then one.
        max_answer_length: L, in tokens.
        null_score_diff_threshold: The answer is empty where the null score exceeds the best span's by more.
        version_2: Whether an answer may be empty; else it is so only where there is no span.

    Returns:
        One answer for each question, in their order.

    Raises:
        InputError: If a number is below 1, the logits are not of that shape or not numbers, or a question has no
            window.
    """
    _check_logits(windows, start_logits, end_logits)
    for name, value in (("n_best_size", n_best_size), ("max_answer_length", max_answer_length)):
        if value < 1:
            raise InputError(f"answers: {name} must be at least 1, got {value}.")
    numbers: list[list[int]] = [[] for _ in questions]
    for number, window in enumerate(windows):
        numbers[window.question].append(number)
    result = []
    for question, own in zip(questions, numbers, strict=True):
        if not own:
            raise InputError(f"answers: windows must be those of all questions, question {question.id!r} has none.")
        parts = [(windows[n], start_logits[n].astype(np.float64), end_logits[n].astype(np.float64)) for n in own]
        null_score = min(float(start[window.null_position] + end[window.null_position]) for window, start, end in parts)
        spans = _best_spans(question, parts, n_best_size, max_answer_length)
        result.append(_answer(spans, null_score, null_score_diff_threshold, version_2))
    return result


def _check_logits(windows: Sequence[Window], start_logits: Logits, end_logits: Logits) -> None:
    longest = max((len(window.offsets) for window in windows), default=0)
    for name, logits in (("start_logits", start_logits), ("end_logits", end_logits)):
        if logits.ndim != 2 or len(logits) != len(windows) or logits.shape[1] < longest:
            raise InputError(
                f"answers: {name} must be of shape ({len(windows)}, at least {longest}), a row for each window, got "
                f"{logits.shape}."
            )
        if np.isnan(logits).any():
            raise InputError(f"answers: {name} must be numbers, got NaN. The model has diverged.")


def _best_spans(
    question: Question, parts: Sequence[tuple[Window, Logits, Logits]], num_spans: int, max_length: int
) -> dict[str, float]:
    """Texts of the best spans with their scores, the best first."""
    is_visible = ~np.strings.isspace(np.array(list(question.context)))
    num_visible = np.concatenate([[0], np.cumsum(is_visible)])  # before each character, and in all
    scores, bounds = zip(*(_window_spans(*part, num_visible, num_spans, max_length) for part in parts), strict=True)
    all_scores, all_bounds = np.concatenate(scores), np.concatenate(bounds)
    result: dict[str, float] = {}
    for best in _top(all_scores, num_spans):
        start, end = all_bounds[best]
        result.setdefault(question.context[start:end].strip(), float(all_scores[best]))
    return result


def _window_spans(
    window: Window, start: Logits, end: Logits, num_visible: NDArray[np.int64], num_spans: int, max_length: int
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Scores of the best spans of a window, shape (k,), and their first and last character, shape (k, 2)."""
    tokens = np.flatnonzero(window.offsets[:, 0] >= 0)
    starts, ends = window.offsets[tokens].T
    length = min(max_length, len(tokens))
    if not length:
        return np.empty(0), np.empty((0, 2), dtype=np.int32)
    # Row i, column j of what follows: the span from token i to token i + j, shape (C, L).
    beyond = (0, length - 1)
    end_logits = sliding_window_view(np.pad(end[tokens], beyond, constant_values=-np.inf), length)
    visible = sliding_window_view(np.pad(num_visible[ends], beyond), length) > num_visible[starts][:, None]
    scores = np.where(visible, start[tokens][:, None] + end_logits, -np.inf).ravel()
    best = _top(scores, num_spans)
    first, more = np.divmod(best, length)
    return scores[best], np.stack([starts[first], ends[first + more]], axis=1)


def _top(scores: NDArray[np.float64], number: int) -> NDArray[np.intp]:
    """Indices of the greatest finite scores, the greatest first, the first of equal ones before the others."""
    kept = np.flatnonzero(scores > -np.inf)
    if len(kept) > number:
        least = np.partition(scores[kept], -number)[-number]
        kept = kept[scores[kept] >= least]
    return kept[np.argsort(-scores[kept], kind="stable")][:number]


def _answer(spans: dict[str, float], null_score: float, threshold: float, version_2: bool) -> Answer:
    span, score = next(iter(spans.items()), ("", -np.inf))
    difference = null_score - score if spans else np.inf
    texts = [*spans.items()] + ([("", null_score)] if version_2 or not spans else [])
    texts.sort(key=lambda text: -text[1])
    probabilities = softmax([score for _, score in texts])
    return Answer(
        text="" if version_2 and difference > threshold else span,
        span=span,
        score=score,
        null_score_difference=float(difference),
        n_best=tuple((text, float(p)) for (text, _), p in zip(texts, probabilities, strict=True)),
    )
