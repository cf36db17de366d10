"""Logits to answers: by hand, against a search over all pairs, and back from where the answers lie."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from design_space.errors import InputError
from finetune.answers.spans import Answer, answers
from finetune.answers.windows import Window, windows
from finetune.rows.squad import Question
from pretrain.tokenizer import train_tokenizer

LOW = -10.0


def ask(context: str) -> Question:
    return Question("q", "what ?", context)


def window(context: str, first: int = 0, last: int | None = None, question: int = 0) -> Window:
    """A window over some words of a context, after two tokens outside it: the null one and another."""
    words = [match.span() for match in re.finditer(r"\S+|\s{2,}", context)][first:last]
    return Window({}, question, np.array([(-1, -1), (-1, -1), *words], dtype=np.int32), 0)


def logits(length: int, **values: float) -> NDArray[np.float64]:
    """A row that is low but for some tokens, `t3=2.0` for token 3."""
    row = np.full(length, LOW)
    for name, value in values.items():
        row[int(name[1:])] = value
    return row[None]


def one(context: str, start: NDArray[np.float64], end: NDArray[np.float64], **options: float) -> Answer:
    (answer,) = answers([ask(context)], [window(context)], start, end, **options)
    return answer


def test_an_answer_by_hand():
    # Tokens 2 to 4 are red, green, blue.
    answer = one("red green blue", logits(5, t0=1, t2=3, t3=2), logits(5, t0=1, t3=2, t4=4), n_best_size=3)
    assert (answer.text, answer.span) == ("red green blue", "red green blue")
    assert (answer.score, answer.null_score_difference) == (7, -5)
    assert [text for text, _ in answer.n_best] == ["red green blue", "green blue", "red green"]
    assert [p for _, p in answer.n_best] == pytest.approx(list(softmax([7, 6, 5])))


def test_the_null_answer_by_hand():
    start, end = logits(5, t0=4, t2=3), logits(5, t0=4, t2=3)
    answer = one("red green blue", start, end, version_2=True, n_best_size=1)
    assert (answer.text, answer.span, answer.score, answer.null_score_difference) == ("", "red", 6, 2)
    assert [text for text, _ in answer.n_best] == ["", "red"]
    assert [p for _, p in answer.n_best] == pytest.approx(list(softmax([8, 6])))
    assert one("red green blue", start, end, version_2=False).text == "red"
    # The threshold itself is not above it.
    assert one("red green blue", start, end, version_2=True, null_score_diff_threshold=2.0).text == "red"
    assert one("red green blue", start, end, version_2=True, null_score_diff_threshold=1.9).text == ""


def test_a_null_answer_that_is_not_among_the_best_is_told_nevertheless():
    answer = one("red green", logits(4, t2=3), logits(4, t2=3), version_2=True, n_best_size=1)
    assert [text for text, _ in answer.n_best] == ["red", ""]


@pytest.mark.parametrize("version_2", [False, True])
def test_outside_the_context_is_no_answer(version_2: bool):
    answer = one("red green", logits(4, t0=-99, t1=50, t3=1), logits(4, t0=-99, t1=50, t3=1), version_2=version_2)
    assert answer.text == "green"
    assert {text for text, _ in answer.n_best} <= {"red", "green", "red green", ""}


def test_an_end_before_the_start_is_no_answer():
    answer = one("red green blue", logits(5, t4=9), logits(5, t2=9))
    assert answer.score == 9 + LOW
    assert answer.text in ("blue", "red")


@pytest.mark.parametrize(("length", "text"), [(1, "d"), (2, "c d"), (3, "b c d"), (4, "a b c d"), (99, "a b c d")])
def test_an_answer_has_at_most_the_longest_length(length: int, text: str):
    start, end = logits(6, t2=4, t3=3, t4=2, t5=1), logits(6, t5=9)
    assert one("a b c d", start, end, max_answer_length=length).text == text


def test_of_equal_spans_the_first_and_shortest_are_taken():
    words = [f"w{number}" for number in range(40)]
    answer = one(" ".join(words), np.zeros((1, 42)), np.zeros((1, 42)), n_best_size=50, max_answer_length=3)
    expected = [" ".join(words[first : first + length]) for first in range(17) for length in (1, 2, 3)]
    assert [text for text, _ in answer.n_best] == expected[:50]


def test_equal_texts_are_one_with_the_greatest_score():
    answer = one("a b a", logits(5, t2=1, t4=3), logits(5, t2=1, t4=3), n_best_size=3)
    assert [text for text, _ in answer.n_best] == ["a", "a b a"]
    assert [p for _, p in answer.n_best] == pytest.approx(list(softmax([6, 4])))


def test_white_space_is_no_answer_and_stands_at_no_end_of_one():
    # Tokens: a, two spaces, b.
    context = "a  b"
    answer = one(context, logits(5, t3=9), logits(5, t3=9, t4=1))
    assert answer.text == "b"
    assert answer.score == 10
    assert "" not in {text for text, _ in answer.n_best}
    # A token of no width, as byte-level tokenizers make of a space.
    empty = Window({}, 0, np.array([(-1, -1), (0, 1), (2, 2), (3, 4)], dtype=np.int32), 0)
    (answer,) = answers([ask(context)], [empty], logits(4, t2=9), logits(4, t2=9))
    assert answer.text in ("a", "b")
    assert answer.score == 9 + LOW


@pytest.mark.parametrize("version_2", [False, True])
def test_a_context_without_a_token_has_no_answer(version_2: bool):
    nothing = Window({}, 0, np.full((3, 2), -1, dtype=np.int32), 0)
    (answer,) = answers([ask("\x07")], [nothing], np.zeros((1, 3)), np.zeros((1, 3)), version_2=version_2)
    assert answer == Answer("", "", -np.inf, np.inf, (("", 1.0),))


def test_version_1_answers_wherever_there_is_a_span():
    rng = np.random.default_rng(0)
    for _ in range(20):
        start, end = rng.normal(size=(2, 1, 8))
        start[0, 0] = end[0, 0] = 1e4
        assert one("a b  c  d", start, end, max_answer_length=1).text in list("abcd")


def test_windows_of_a_question_compete_and_the_smallest_null_score_counts():
    context = "a b c d"
    parts = [window("x y", question=1), window(context, 0, 3), window(context, 1, 4)]
    start = np.concatenate([logits(5, t2=1), logits(5, t0=3, t2=2), logits(5, t0=1, t4=5)])
    end = np.concatenate([logits(5, t2=1), logits(5, t0=3, t4=2), logits(5, t0=2, t4=5)])
    first, second = answers([ask(context), ask("x y")], parts, start, end, n_best_size=2)
    assert first.score == 10
    assert [text for text, _ in first.n_best] == ["d", "a b c"]
    assert first.null_score_difference == (1 + 2) - 10
    assert (second.text, second.score) == ("x", 2)


def test_logits_beyond_a_window_are_ignored():
    parts = [window("a b"), window("a b c d", question=1)]
    start = np.concatenate([logits(7, t2=1, t4=90, t5=90), logits(7, t5=2, t6=90)])
    both = answers([ask("a b"), ask("a b c d")], parts, start, start)
    assert [answer.text for answer in both] == ["a", "d"]


def brute_force(
    context: str, parts: Sequence[Window], start: NDArray[np.float32], end: NDArray[np.float32], length: int
) -> list[tuple[float, str]]:
    """Every span of every window, the best first."""
    spans = []
    for number, part in enumerate(parts):
        inside = [token for token, (first, _) in enumerate(part.offsets) if first >= 0]
        for i in inside:
            for j in inside:
                text = context[part.offsets[i][0] : part.offsets[j][1]].strip()
                if i <= j < i + length and text:
                    spans.append((float(start[number, i]) + float(end[number, j]), text))
    return sorted(spans, reverse=True)


@pytest.mark.parametrize("seed", range(8))
def test_the_best_spans_are_those_of_a_search_over_all_pairs(seed: int):
    rng = np.random.default_rng(seed)
    context = "  ".join(f"w{number}" for number in range(rng.integers(1, 12)))
    parts = [window(context, 0, 9), window(context, 3, 20), window(context, 0, 1)]
    start, end = rng.normal(size=(2, 3, 30)).astype(np.float32)
    length, number = int(rng.integers(1, 9)), int(rng.integers(1, 12))
    (answer,) = answers([ask(context)], parts, start, end, number, length, version_2=True)
    expected: dict[str, float] = {}
    for score, text in brute_force(context, parts, start, end, length)[:number]:
        expected.setdefault(text, score)
    null = min(float(start[n, 0]) + float(end[n, 0]) for n in range(3))
    best = max(expected.values())
    assert answer.span == next(iter(expected))
    assert answer.score == best
    assert answer.null_score_difference == null - best
    assert answer.text == ("" if null > best else answer.span)
    told = sorted([*expected.items(), ("", null)], key=lambda entry: -entry[1])
    assert [text for text, _ in answer.n_best] == [text for text, _ in told]
    assert [p for _, p in answer.n_best] == pytest.approx(list(softmax([score for _, score in told])))


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_logits_that_point_at_the_answers_give_them_back(kind: Any, side: str):
    context = "In 1066 the Norman duke William, called 征服者 🙂, crossed from Saint-Valery with 7,000 men. " * 2
    texts = ["1066", "William", "征服者", "🙂", "Saint-Valery", "7,000 men."]
    questions = [Question(text, "which ?", context, (text,), (context.index(text),)) for text in texts]
    questions.append(Question("none", "which ?", context))
    tokenizer = train_tokenizer([context] * 3, 300, kind=kind)
    tokenizer.padding_side = side
    made = windows(questions, tokenizer, 40, 12, for_training=True)
    assert len(made) >= 2 * len(questions)
    start, end = np.random.default_rng(0).uniform(-1, 1, (2, len(made), 60)).astype(np.float32)
    for number, part in enumerate(made):
        start[number, part.features["start_positions"]] = end[number, part.features["end_positions"]] = 9
    assert [answer.text for answer in answers(questions, made, start, end, version_2=True)] == [*texts, ""]
    told = answers(questions, made, start, end)
    assert [answer.text for answer in told[:-1]] == texts
    assert told[-1].text
    assert [answer.null_score_difference < 0 for answer in told] == [*[True] * len(texts), False]


# Refusals


@pytest.mark.parametrize(("name", "value"), [("n_best_size", 0), ("max_answer_length", -3)])
def test_a_number_below_1_is_refused(name: str, value: int):
    with pytest.raises(InputError, match=f"answers: {name} must be at least 1, got {value}"):
        one("a b", np.zeros((1, 4)), np.zeros((1, 4)), **{name: value})


@pytest.mark.parametrize("shape", [(2, 4), (1, 3), (4,)])
def test_logits_of_another_shape_are_refused(shape: tuple[int, ...]):
    for name in ("start_logits", "end_logits"):
        arrays = {"start": np.zeros((1, 4)), "end": np.zeros((1, 4)), name.removesuffix("_logits"): np.zeros(shape)}
        message = re.escape(f"answers: {name} must be of shape (1, at least 4), a row for each window, got {shape}")
        with pytest.raises(InputError, match=message):
            one("a b", **arrays)


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="answers: end_logits must be numbers, got NaN. The model has diverged"):
        one("a b", np.zeros((1, 4)), logits(4, t3=np.nan))


def test_a_question_without_a_window_is_refused():
    with pytest.raises(InputError, match="windows must be those of all questions, question 'other' has none"):
        answers([ask("a"), Question("other", "?", "a")], [window("a")], np.zeros((1, 3)), np.zeros((1, 3)))
