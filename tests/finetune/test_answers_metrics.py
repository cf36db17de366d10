"""Exact match and F1 by hand, means over parts of a set, the best threshold, and real data."""

from pathlib import Path

import numpy as np
import pytest

from design_space.errors import InputError
from finetune.answers.metrics import best_threshold, exact_match, f1, normalize, squad_scores
from finetune.rows.squad import Question, read_squad

DATA = Path(__file__).parents[3] / "shared" / "data" / "squad_v2"

# Prediction, answers, exact match, F1.
CASES: list[tuple[str, list[str], int, float]] = [
    # Case and white space
    ("Paris", ["Paris"], 1, 1),
    ("PARIS", ["paris"], 1, 1),
    ("Paris", ["London"], 0, 0),
    ("  the   blue\tsky \n", ["blue sky"], 1, 1),
    ("blue sky", ["bluesky"], 0, 0),
    # Articles
    ("the Eiffel Tower", ["Eiffel Tower"], 1, 1),
    ("an apple", ["The apple"], 1, 1),
    ("the the cat", ["cat"], 1, 1),
    ("An hour a day", ["hour day"], 1, 1),
    ("theatre", ["atre"], 0, 0),
    ("another", ["other"], 0, 0),
    ("vitamin A", ["vitamin"], 1, 1),
    ("vitamin A", ["vitamin C"], 0, 2 / 3),
    ("A", ["A"], 1, 1),
    ("A", ["B"], 0, 0),
    ("The", ["the cat"], 0, 0),
    ("a–the", ["–"], 1, 1),
    ("a-the", ["athe"], 1, 1),
    # Punctuation
    ("Paris.", ["Paris"], 1, 1),
    ("(Paris)", ["Paris!"], 1, 1),
    ('"Crazy in Love"', ["Crazy in Love"], 1, 1),
    ("U.S.", ["US"], 1, 1),
    ("U. S.", ["US"], 0, 0),
    ("it's", ["its"], 1, 1),
    ("it's", ["it is"], 0, 0),
    ("Rock 'n' Roll", ["rock n roll"], 1, 1),
    ("snake_case", ["snakecase"], 1, 1),
    ("AC/DC", ["AC DC"], 0, 0),
    ("salt & pepper", ["salt pepper"], 1, 1),
    ("...", ["Paris"], 0, 0),
    # Hyphens and dashes
    ("state-of-the-art", ["stateoftheart"], 1, 1),
    ("state-of-the-art", ["state of the art"], 0, 0),
    ("well-known singer", ["well known singer"], 0, 2 / 5),
    ("1990 - 1995", ["1990 1995"], 1, 1),
    ("1990-1995", ["1990 1995"], 0, 0),
    ("1990–1995", ["1990-1995"], 0, 0),
    ("1990 – 1995", ["1990 1995"], 0, 4 / 5),
    # Several answers
    ("France", ["Germany", "France"], 1, 1),
    ("in Paris", ["Paris", "in Paris"], 1, 1),
    ("blue sky", ["sky", "the blue"], 0, 2 / 3),
    ("dark blue sky", ["sky", "blue sky", "sea"], 0, 4 / 5),
    ("cats and dogs", ["cats", "dogs"], 0, 1 / 2),
    ("x", ["y", "z"], 0, 0),
    ("Normandy", ["the", "Normandy"], 1, 1),
    ("", ["the", "Normandy"], 0, 0),
    # No answer, and nothing predicted
    ("", [], 1, 1),
    (" ", [], 1, 1),
    ("the", [], 1, 1),
    ("?!", [], 1, 1),
    ("Paris", [], 0, 0),
    ("", ["Paris"], 0, 0),
    (" \n", ["Paris", "London"], 0, 0),
    ("", ["the", "a"], 1, 1),
    # Beyond ASCII
    ("ÉCOLE", ["école"], 1, 1),
    ("cafe", ["café"], 0, 0),
    ("cafe\u0301", ["café"], 0, 0),
    ("Straße", ["STRASSE"], 0, 0),
    ("東京", ["東京"], 1, 1),
    ("東京 都", ["東京"], 0, 2 / 3),
    ("“Paris”", ["Paris"], 0, 0),
    ("a\u00a0cat", ["cat"], 1, 1),
    ("São\u2003Paulo", ["São Paulo"], 1, 1),
    # Repeated words and their order
    ("New York New York", ["New York"], 0, 2 / 3),
    ("New York", ["New York New York"], 0, 2 / 3),
    ("no no no", ["no no"], 0, 4 / 5),
    ("ha ha", ["ha ho ha ho"], 0, 2 / 3),
    ("York New", ["New York"], 0, 1),
    # Numbers
    ("1,000", ["1000"], 1, 1),
    ("1.5", ["15"], 1, 1),
    ("$5", ["5"], 1, 1),
    ("-5", ["5"], 1, 1),
    ("5%", ["5 percent"], 0, 2 / 3),
    ("three", ["3"], 0, 0),
    ("in 1066", ["1066"], 0, 2 / 3),
    ("14 October 1066", ["October 14, 1066"], 0, 1),
    # Too much and too little
    ("the quick brown fox jumps", ["brown fox"], 0, 2 / 3),
    ("fox", ["quick brown fox jumps"], 0, 2 / 5),
    ("Norman", ["the Normans"], 0, 0),
]


@pytest.mark.parametrize(("prediction", "answers", "exact", "value"), CASES)
def test_scores_are_those_by_hand(prediction: str, answers: list[str], exact: int, value: float):
    assert exact_match(prediction, answers) == exact
    assert f1(prediction, answers) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(("prediction", "answers", "exact", "value"), CASES)
def test_the_order_of_answers_does_not_matter(prediction: str, answers: list[str], exact: int, value: float):
    assert exact_match(prediction, answers[::-1]) == exact
    assert f1(prediction, answers[::-1]) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("text", [case[0] for case in CASES])
def test_a_second_normalisation_changes_nothing(text: str):
    assert normalize(normalize(text)) == normalize(text)


# Sets


def question(*answers: str) -> Question:
    return Question("id", "who?", "x", answers, (0,) * len(answers))


SET = [question("blue sky"), question("Paris", "in Paris"), question(), question()]


def test_a_set_has_values_for_each_question_and_means_over_its_parts():
    scores = squad_scores(SET, ["sky", "in Paris", "", "Rome"])
    assert scores.exact_match.tolist() == [0, 1, 1, 0]
    assert scores.f1 == pytest.approx([2 / 3, 1, 1, 0])
    assert scores.is_answerable.tolist() == [True, True, False, False]
    assert scores.summary() == pytest.approx(
        {
            "exact_match": 50,
            "f1": 100 * 2 / 3,
            "answerable_exact_match": 50,
            "answerable_f1": 100 * 5 / 6,
            "unanswerable_exact_match": 50,
            "unanswerable_f1": 50,
        }
    )


@pytest.mark.parametrize(("questions", "part"), [(SET[:2], "answerable_"), (SET[2:], "unanswerable_")])
def test_a_part_without_questions_has_no_mean(questions: list[Question], part: str):
    assert set(squad_scores(questions, ["", ""]).summary()) == {"exact_match", "f1", f"{part}exact_match", f"{part}f1"}


def test_an_answer_that_normalises_to_nothing_is_an_answer_still():
    scores = squad_scores([question("The")], ["the"])
    assert scores.is_answerable.tolist() == [True]
    assert scores.exact_match.tolist() == scores.f1.tolist() == [1]


def test_as_many_predictions_as_questions_are_needed():
    with pytest.raises(InputError, match="predictions must be one for each of the 4 questions, got 1"):
        squad_scores(SET, ["x"])


# Thresholds


def test_the_best_threshold_is_that_by_hand():
    # By rising difference: right (+1), wrong on an unanswerable (−1), right (+1), right (+1), wrong (−1), from 2 of 5.
    questions = [question("p q"), question(), question("c d"), question("e f"), question()]
    best = best_threshold(questions, ["q p", "x", "c d", "e f", "y"], np.array([-2.0, -1.0, 0.5, 1.0, 3.0]))
    assert (best.f1, best.f1_threshold) == (pytest.approx(80), 1.0)
    # "q p" has the words of "p q" but does not match it: 0, −1, +1, +1, −1.
    assert (best.exact_match, best.exact_match_threshold) == (pytest.approx(60), 1.0)


def test_equal_bests_give_the_smallest_threshold():
    questions = [question("x"), question(), question("y")]
    best = best_threshold(questions, ["x", "z", "y"], np.array([0.0, 1.0, 2.0]))
    assert (best.exact_match, best.exact_match_threshold) == (pytest.approx(200 / 3), 0.0)


def test_questions_of_equal_difference_are_answered_together():
    # Stopping between the two would score 100 but no threshold does that.
    best = best_threshold([question("x"), question()], ["x", "z"], np.array([1.0, 1.0]))
    assert best.exact_match == 50
    assert best.exact_match_threshold < 1


def test_silence_is_a_choice_below_all_differences():
    best = best_threshold([question(), question(), question("x")], ["z", "z", "x"], np.array([-3.0, -4.0, 5.0]))
    assert best.f1 == pytest.approx(200 / 3)
    assert -4.0000001 < best.f1_threshold < -4


def test_a_question_without_a_span_asks_for_no_infinite_threshold():
    best = best_threshold([question("x"), question("y"), question()], ["x", "", ""], np.array([0.5, np.inf, np.inf]))
    assert (best.f1, best.f1_threshold) == (pytest.approx(200 / 3), 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better_and_it_scores_what_it_promises(seed: int):
    rng = np.random.default_rng(seed)
    questions = [question("b c d") if rng.random() < 0.5 else question() for _ in range(60)]
    spans = [str(rng.choice(["b c d", "c", "z", "the"])) for _ in questions]
    differences = rng.normal(size=60).round(1) + 0.0
    best = best_threshold(questions, spans, differences)

    def score(threshold: float, name: str) -> float:
        given = ["" if d > threshold else span for d, span in zip(differences, spans, strict=True)]
        return squad_scores(questions, given).summary()[name]

    for name, value, threshold in (
        ("exact_match", best.exact_match, best.exact_match_threshold),
        ("f1", best.f1, best.f1_threshold),
    ):
        assert score(threshold, name) == pytest.approx(value)
        assert max(score(t, name) for t in (-np.inf, *differences)) == pytest.approx(value)


def test_a_threshold_needs_a_difference_for_each_question():
    with pytest.raises(InputError, match="differences must be one for each of the 4 questions, got 3"):
        best_threshold(SET, ["x"] * 4, np.zeros(3))
    with pytest.raises(InputError, match="predictions must be one for each of the 4 questions, got 3"):
        best_threshold(SET, ["x"] * 3, np.zeros(4))
    with pytest.raises(InputError, match="differences must be numbers, got NaN"):
        best_threshold(SET, ["x"] * 4, np.array([0, 0, np.nan, 0]))


# Real data


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
def test_on_real_data_perfect_answers_score_100_and_silence_the_share_of_unanswerable_questions():
    questions = read_squad(DATA / "dev-v2.0.json")
    perfect = squad_scores(questions, [q.answers[-1] if q.answers else "" for q in questions])
    assert set(perfect.summary().values()) == {100.0}
    silent = squad_scores(questions, [""] * len(questions)).summary()
    share = 100 * 1_485 / 2_835
    assert silent["exact_match"] == silent["f1"] == pytest.approx(share)
    assert silent["answerable_f1"] == 0
    assert silent["unanswerable_f1"] == 100
    # With a difference that tells the unanswerable ones apart, a threshold finds all that there is.
    differences = np.array([-1.0 if q.answers else 1.0 for q in questions])
    best = best_threshold(questions, [q.answers[0] if q.answers else "x" for q in questions], differences)
    assert (best.exact_match, best.f1, best.f1_threshold) == (100, 100, -1)
