"""The metrics: values by hand, the two libraries, and predictions without any signal."""

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from design_space.errors import InputError
from finetune.metrics import Predictions, task_metrics, task_score
from finetune.tasks import GLUE, TASKS, Problem, Task

# Four true positives, one false positive, two false negatives, three true negatives.
LABELS = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
PREDICTIONS = np.array([1, 1, 1, 1, 0, 0, 1, 0, 0, 0])
CLASSIFICATIONS = [name for name, task in GLUE.items() if not task.is_regression]


def metrics_of(task: str | Task, values: Any, labels: Any, **parts: Any) -> dict[str, float]:
    task = TASKS[task] if isinstance(task, str) else task
    return task_metrics(Predictions(task=task, values=np.asarray(values), labels=np.asarray(labels), **parts))


def queries(*rows: tuple[str, str, float, list[str]]) -> dict[str, Any]:
    """Parts of predictions of ReCoRD from rows of group, entity, score and answers."""
    return {
        "values": np.zeros(len(rows), int),
        "labels": np.zeros(len(rows), int),
        "groups": np.array([group for group, *_ in rows]),
        "scores": np.array([score for *_, score, _ in rows]),
        "rows": [{"entity": entity, "answers": answers} for _, entity, _, answers in rows],
    }


def test_matthews_of_right_predictions_is_1_and_of_wrong_ones_not_below_minus_1():
    for number in range(2, 40):
        labels = np.arange(number) % 3 == 0
        assert metrics_of("cola", labels.astype(int), labels.astype(int)) == {"matthews": 1.0}
        assert metrics_of("cola", 1 - labels, labels.astype(int))["matthews"] >= -1.0


def test_matthews_by_hand():
    value = (4 * 3 - 1 * 2) / math.sqrt((4 + 1) * (4 + 2) * (3 + 1) * (3 + 2))
    assert metrics_of("cola", PREDICTIONS, LABELS) == {"matthews": pytest.approx(value, abs=1e-12)}


@pytest.mark.parametrize("name", ["mrpc", "qqp"])
def test_accuracy_and_f1_by_hand_and_their_mean_is_the_score(name: str):
    values = metrics_of(name, PREDICTIONS, LABELS)
    # F1 of code 1: 2 · 4 / (2 · 4 + 1 + 2).
    assert values == {"accuracy": pytest.approx(0.7), "f1": pytest.approx(8 / 11)}
    assert task_score(values) == pytest.approx(100 * (0.7 + 8 / 11) / 2)


@pytest.mark.parametrize("name", ["sst2", "qnli", "rte", "wnli"])
def test_the_other_tasks_have_accuracy_alone(name: str):
    assert metrics_of(name, PREDICTIONS, LABELS) == {"accuracy": pytest.approx(0.7)}


def test_accuracy_over_three_labels():
    values = metrics_of("mnli", np.array([0, 1, 2, 2]), np.array([0, 2, 2, 1]))
    assert values == {"accuracy": 0.5}


def test_correlations_by_hand():
    values = metrics_of("stsb", np.array([1.0, 2.0, 3.0, 10.0]), np.array([1.0, 3.0, 2.0, 4.0]))
    # Deviations (−3 −2 −1 6) and (−1.5 .5 −.5 1.5): 13 / √(50 · 5). Ranks differ by (0 1 1 0): 1 − 6 · 2 / (4 · 15).
    assert values == {"pearson": pytest.approx(13 / math.sqrt(250)), "spearman": pytest.approx(0.8)}
    assert task_score(values) == pytest.approx(50 * (13 / math.sqrt(250) + 0.8))


def test_equal_to_scikit_learn_and_scipy_on_random_predictions():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 2, (2, 500))
    cola, qqp = (metrics_of(name, predictions, labels) for name in ("cola", "qqp"))
    assert cola["matthews"] == pytest.approx(metrics.matthews_corrcoef(labels, predictions))
    assert qqp["f1"] == pytest.approx(metrics.f1_score(labels, predictions))
    assert qqp["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predictions))
    values = rng.integers(0, 6, 500).astype(float)
    guesses = values + rng.normal(0, 2, 500)
    stsb = metrics_of("stsb", guesses, values)
    assert stsb["pearson"] == pytest.approx(stats.pearsonr(guesses, values).statistic)
    assert stsb["spearman"] == pytest.approx(stats.spearmanr(guesses, values).statistic)
    assert 0.3 < stsb["spearman"] < 0.9


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_a_perfect_prediction_scores_100(name: str):
    labels = np.arange(30) % GLUE[name].num_outputs
    assert task_score(metrics_of(name, labels, labels)) == pytest.approx(100)


def test_correlations_are_blind_to_scale_and_turn_with_the_sign():
    labels = np.array([0.0, 1.5, 4.0, 5.0])
    assert task_score(metrics_of("stsb", 3 * labels - 7, labels)) == pytest.approx(100)
    assert task_score(metrics_of("stsb", -labels, labels)) == pytest.approx(-100)
    assert task_score(metrics_of("cola", 1 - LABELS, LABELS)) == pytest.approx(-100)


@pytest.mark.parametrize(
    ("name", "predictions", "labels"),
    [
        ("stsb", [2.5, 2.5, 2.5], [1.0, 2.0, 3.0]),
        ("stsb", [1.0, 2.0, 3.0], [2.5, 2.5, 2.5]),
        ("cola", [1, 1, 1, 1], [0, 1, 1, 0]),
        ("cola", [0, 0, 0, 0], [0, 1, 1, 0]),
    ],
)
def test_constant_predictions_have_no_correlation_and_raise_no_warning(
    name: str, predictions: list[float], labels: list[float]
):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = metrics_of(name, np.array(predictions), np.array(labels))
    assert set(values.values()) == {0.0}


def test_f1_without_a_positive_prediction_is_0():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = metrics_of("mrpc", np.zeros(4, int), np.array([0, 1, 1, 0]))
    assert values == {"accuracy": 0.5, "f1": 0.0}


def test_values_are_plain_numbers():
    for name in ("cola", "mrpc", "stsb"):
        assert {type(v) for v in metrics_of(name, PREDICTIONS, LABELS).values()} == {float}


def test_the_correlation_over_one_row_is_0():
    values = metrics_of("stsb", np.array([1.0]), np.array([2.0]))
    assert values == {"pearson": 0.0, "spearman": 0.0}


def test_macro_f1_by_hand_is_over_the_labels_that_are_there_or_predicted():
    # Codes 3 and 4 of six are in neither. F1 of the others: 2/3, 1/2, 0 (only in the data), 0 (only predicted).
    values = metrics_of("acl_sup", [0, 0, 1, 1, 5], [0, 1, 1, 2, 0])
    assert values == {"accuracy": pytest.approx(0.4), "macro_f1": pytest.approx((0.5 + 0.5 + 0 + 0) / 4)}


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_scikit_learn_over_six_labels(seed: int):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, 80)
    values = np.where(rng.random(80) < 0.4, labels, rng.integers(1, 6, 80))
    task = replace(TASKS["acl_sup"], metrics=("accuracy", "macro_f1", "matthews"))
    assert metrics_of(task, values, labels) == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(labels, values),
            "macro_f1": metrics.f1_score(labels, values, average="macro"),
            "matthews": metrics.matthews_corrcoef(labels, values),
        }
    )


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_scipy_with_ties_and_far_from_0(seed: int):
    rng = np.random.default_rng(seed)
    x = 1e4 + rng.integers(0, 6, 60).astype(float)
    y = x + rng.integers(-2, 3, 60)
    assert metrics_of("stsb", x, y) == pytest.approx(
        {"pearson": stats.pearsonr(x, y).statistic, "spearman": stats.spearmanr(x, y).statistic}, abs=1e-9
    )


def test_multirc_by_hand():
    # Question b: all right. Question a: one answer wrongly taken for true. Over all answers 3 hits, 1 false, 1 missed.
    groups = np.array(["a", "b", "a", "b", "c", "c"])
    labels = [1, 1, 0, 0, 1, 1]
    values = [1, 1, 1, 0, 1, 0]
    assert metrics_of("multirc", values, labels, groups=groups) == pytest.approx({"f1": 6 / 8, "exact_match": 1 / 3})


def test_record_takes_the_entity_with_the_greatest_score_of_each_query():
    parts = queries(
        ("1", "London", 0.2, ["The london", "UK"]),
        ("2", "North Korea", 3.0, ["South Korea"]),
        ("1", "Paris", 0.1, ["The london", "UK"]),
        ("2", "South Korea", 2.9, ["South Korea"]),
        ("3", "Rome", -5.0, ["Oslo"]),
    )
    # Query 1 is right but for case and article, 2 shares one of two words each, 3 has one entity, which is wrong.
    assert metrics_of("record", **parts) == pytest.approx({"token_f1": (1 + 0.5 + 0) / 3, "exact_match": 1 / 3})


def test_record_takes_the_first_of_entities_with_one_score():
    parts = queries(("1", "Rome", 1.0, ["Oslo"]), ("1", "Oslo", 1.0, ["Oslo"]))
    assert metrics_of("record", **parts) == {"token_f1": 0.0, "exact_match": 0.0}


def test_grouped_metrics_are_blind_to_the_order_of_rows_and_the_names_of_groups():
    rng = np.random.default_rng(1)
    labels, values = rng.integers(0, 2, (2, 60))
    groups = rng.integers(0, 12, 60)
    order = rng.permutation(60)
    plain = metrics_of("multirc", values, labels, groups=groups)
    assert 0 < plain["exact_match"] < 1
    renamed = np.array([f"q{group}" for group in -groups])[order]
    assert metrics_of("multirc", values[order], labels[order], groups=renamed) == pytest.approx(plain)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.problem is not Problem.ANSWER])
@pytest.mark.parametrize("value", [0, 1])
def test_a_single_row_and_constant_predictions_are_defined_for_every_task(name: str, value: int):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for labels in ([1], [0, 1, 1]):
            size = len(labels)
            parts = queries(*[("g", "Oslo", 0.0, ["Rome"])] * size) | {"values": np.full(size, value)}
            metrics = metrics_of(name, **parts | {"labels": np.array(labels)})
            assert set(metrics) == set(TASKS[name].metrics)
            assert all(math.isfinite(metric) for metric in metrics.values())
            if {"matthews", "pearson", "token_f1"} & set(metrics):
                assert set(metrics.values()) == {0.0}


def test_a_constant_that_is_no_binary_fraction_has_no_correlation():
    assert metrics_of("stsb", [2.3] * 7, np.arange(7.0)) == {"pearson": 0.0, "spearman": 0.0}


@pytest.mark.parametrize(
    ("name", "parts", "given"),
    [
        ("cola", {"values": [0, 1], "labels": [1]}, "2 values, 1 labels"),
        ("cola", {"values": [], "labels": []}, "0 values, 0 labels"),
        ("multirc", {"values": [0], "labels": [1]}, "1 values, 1 labels, 0 groups"),
        ("record", {"values": [0], "labels": [1], "groups": ["a"]}, "1 values, 1 labels, 1 groups, 0 scores, 0 rows"),
    ],
)
def test_parts_that_are_absent_or_of_another_length_are_refused(name: str, parts: dict[str, Any], given: str):
    arrays = {key: np.array(part) for key, part in parts.items()}
    with pytest.raises(InputError, match=f"^predictions of {name}: must be as many of each, at least one, got {given}"):
        Predictions(task=TASKS[name], **arrays)


@pytest.mark.parametrize(("values", "labels"), [([0, 1], [0, -1]), ([0, 2], [0, 1])])
def test_codes_of_no_label_are_refused(values: list[int], labels: list[int]):
    with pytest.raises(
        InputError, match=r"of cola: (labels|values) must be codes from 0 to 1, got (-1|2)\. Leave such"
    ):
        metrics_of("cola", values, labels)
