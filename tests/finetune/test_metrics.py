"""The metrics: values by hand, the two libraries, and predictions without any signal."""

import math
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from finetune.metrics import task_metrics, task_score
from finetune.tasks import GLUE

# Four true positives, one false positive, two false negatives, three true negatives.
LABELS = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
PREDICTIONS = np.array([1, 1, 1, 1, 0, 0, 1, 0, 0, 0])
CLASSIFICATIONS = [name for name, task in GLUE.items() if not task.is_regression]


def test_matthews_by_hand():
    value = (4 * 3 - 1 * 2) / math.sqrt((4 + 1) * (4 + 2) * (3 + 1) * (3 + 2))
    assert task_metrics(GLUE["cola"], PREDICTIONS, LABELS) == {"matthews": pytest.approx(value, abs=1e-12)}


@pytest.mark.parametrize("name", ["mrpc", "qqp"])
def test_accuracy_and_f1_by_hand_and_their_mean_is_the_score(name: str):
    values = task_metrics(GLUE[name], PREDICTIONS, LABELS)
    # F1 of code 1: 2 · 4 / (2 · 4 + 1 + 2).
    assert values == {"accuracy": pytest.approx(0.7), "f1": pytest.approx(8 / 11)}
    assert task_score(values) == pytest.approx(100 * (0.7 + 8 / 11) / 2)


@pytest.mark.parametrize("name", ["sst2", "qnli", "rte", "wnli"])
def test_the_other_tasks_have_accuracy_alone(name: str):
    assert task_metrics(GLUE[name], PREDICTIONS, LABELS) == {"accuracy": pytest.approx(0.7)}


def test_accuracy_over_three_labels():
    values = task_metrics(GLUE["mnli"], np.array([0, 1, 2, 2]), np.array([0, 2, 2, 1]))
    assert values == {"accuracy": 0.5}


def test_correlations_by_hand():
    values = task_metrics(GLUE["stsb"], np.array([1.0, 2.0, 3.0, 10.0]), np.array([1.0, 3.0, 2.0, 4.0]))
    # Deviations (−3 −2 −1 6) and (−1.5 .5 −.5 1.5): 13 / √(50 · 5). Ranks differ by (0 1 1 0): 1 − 6 · 2 / (4 · 15).
    assert values == {"pearson": pytest.approx(13 / math.sqrt(250)), "spearman": pytest.approx(0.8)}
    assert task_score(values) == pytest.approx(50 * (13 / math.sqrt(250) + 0.8))


def test_equal_to_scikit_learn_and_scipy_on_random_predictions():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 2, (2, 500))
    cola, qqp = (task_metrics(GLUE[name], predictions, labels) for name in ("cola", "qqp"))
    assert cola["matthews"] == pytest.approx(metrics.matthews_corrcoef(labels, predictions))
    assert qqp["f1"] == pytest.approx(metrics.f1_score(labels, predictions))
    assert qqp["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predictions))
    values = rng.integers(0, 6, 500).astype(float)
    guesses = values + rng.normal(0, 2, 500)
    stsb = task_metrics(GLUE["stsb"], guesses, values)
    assert stsb["pearson"] == pytest.approx(stats.pearsonr(guesses, values).statistic)
    assert stsb["spearman"] == pytest.approx(stats.spearmanr(guesses, values).statistic)
    assert 0.3 < stsb["spearman"] < 0.9


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_a_perfect_prediction_scores_100(name: str):
    labels = np.arange(30) % GLUE[name].num_outputs
    assert task_score(task_metrics(GLUE[name], labels, labels)) == pytest.approx(100)


def test_correlations_are_blind_to_scale_and_turn_with_the_sign():
    labels = np.array([0.0, 1.5, 4.0, 5.0])
    assert task_score(task_metrics(GLUE["stsb"], 3 * labels - 7, labels)) == pytest.approx(100)
    assert task_score(task_metrics(GLUE["stsb"], -labels, labels)) == pytest.approx(-100)
    assert task_score(task_metrics(GLUE["cola"], 1 - LABELS, LABELS)) == pytest.approx(-100)


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
        values = task_metrics(GLUE[name], np.array(predictions), np.array(labels))
    assert set(values.values()) == {0.0}


def test_f1_without_a_positive_prediction_is_0():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = task_metrics(GLUE["mrpc"], np.zeros(4, int), np.array([0, 1, 1, 0]))
    assert values == {"accuracy": 0.5, "f1": 0.0}


def test_values_are_plain_numbers():
    for name in ("cola", "mrpc", "stsb"):
        assert {type(v) for v in task_metrics(GLUE[name], PREDICTIONS, LABELS).values()} == {float}


def test_the_correlation_over_one_row_is_0():
    values = task_metrics(GLUE["stsb"], np.array([1.0]), np.array([2.0]))
    assert values == {"pearson": 0.0, "spearman": 0.0}
