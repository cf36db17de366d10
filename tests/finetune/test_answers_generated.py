"""Figures of written answers, by hand."""

import numpy as np
import pytest

from finetune.answers.generated import text_details, text_scores, words_off


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("Paris", ["Paris"], 0),
        ("The Paris!", ["paris"], 0),
        ("in Paris", ["Paris"], 1),
        ("the city of Paris, in France", ["Paris"], 4),  # city of paris in france: "the" does not count
        ("Paris", ["Paris, France"], -1),
        ("Paris", ["north of Paris", "Paris, in the north of France"], -2),
        ("in Paris", ["in Paris now", "Paris", "deep in Paris now"], -1),  # the nearest, the first of equals
        ("in Paris", ["deep in Paris now", "in Paris"], 0),
        ("Parisian", ["Paris"], 0),  # no whole word
        ("Paris of France", ["Paris France"], 0),  # not in a row
        ("", ["Paris"], 0),
        ("Paris", ["the"], 0),
    ],
)
def test_words_that_a_near_miss_has_too_many_or_too_few(prediction: str, answers: list[str], expected: int) -> None:
    assert words_off(prediction, answers) == expected


def test_the_best_of_the_accepted_answers_counts() -> None:
    scores = text_scores(["the blue sky", "Red.", ""], [["sky", "sky of blue"], ["red"], ["red"]])
    assert scores["exact_match"].tolist() == [0.0, 1.0, 0.0]
    assert scores["token_f1"].tolist() == [pytest.approx(4 / 5), 1.0, 0.0]


def test_near_misses_are_counted_by_their_side() -> None:
    predictions = ["in Paris", "now in Paris", "red", "blue", "green"]
    answers = [["Paris"], ["Paris"], ["dark red"], ["blue"], ["black"]]
    scores = text_scores(predictions, answers)
    assert text_details(predictions, answers, scores, [None] * 5) == {
        "near_misses": 0.6,
        "too_long": 0.4,
        "words_too_many": 1.5,
        "too_short": 0.2,
        "words_too_few": 1.0,
    }
    none = text_details(["blue"], [["blue"]], text_scores(["blue"], [["blue"]]), [None])
    assert set(none.values()) == {0.0}


def test_subsets_are_scored_apart_and_rows_of_none_in_none() -> None:
    scores = {"exact_match": np.array([1.0, 0.0, 1.0, 0.0]), "token_f1": np.array([1.0, 0.5, 1.0, 0.25])}
    details = text_details(["a"] * 4, [["b"]] * 4, scores, ["factual", "factual", "counterfactual", None])
    assert {name: value for name, value in details.items() if " " in name} == {
        "counterfactual exact_match": 1.0,
        "counterfactual token_f1": 1.0,
        "factual exact_match": 0.5,
        "factual token_f1": 0.75,
    }
