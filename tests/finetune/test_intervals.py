"""Intervals: the bootstrap of scipy, the binomial distribution, resampled groups by hand, seeds and extremes."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from finetune import intervals
from finetune.metrics import Predictions, means_of, task_metrics, task_score, units_of
from finetune.tasks import TASKS

N = 90


def confidence_intervals(whole: Predictions, **settings: int) -> dict[str, tuple[float, float]]:
    return intervals.confidence_intervals(units_of(whole), **settings)


def predictions(name: str, n: int = N) -> Predictions:
    task, rng = TASKS[name], np.random.default_rng(n)
    if task.is_regression:
        labels = rng.uniform(0, 5, n).round(1)
        return Predictions(task=task, labels=labels, values=(labels + rng.normal(0, 1.5, n)).round(1))
    labels, guesses = rng.integers(0, len(task.labels), (2, n))
    words = ["red hat", "red", "blue hat", "shoe"]
    return Predictions(
        task=task,
        labels=labels,
        values=np.where(rng.random(n) < 0.6, labels, guesses),
        groups=rng.integers(0, n // 3, n),
        scores=rng.normal(size=n),
        rows=[{"entity": words[code], "answers": ["red", "blue shoe"]} for code in rng.integers(0, 4, n)],
    )


def drawn(whole: Predictions, rows: Any, groups: Any = None) -> Predictions:
    """Some rows of some predictions, a row as often as it is named."""
    return Predictions(
        task=whole.task,
        values=whole.values[rows],
        labels=whole.labels[rows],
        groups=groups,
        scores=None if whole.scores is None else whole.scores[rows],
        rows=None if whole.rows is None else [whole.rows[row] for row in rows],
    )


def drawn_groups(whole: Predictions, chosen: Any) -> Predictions:
    """Some groups of some predictions, a group as often as it is named."""
    parts = [np.flatnonzero(whole.groups == group) for group in np.unique(whole.groups)[chosen]]
    return drawn(whole, np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts]))


def assert_ends_of_scipy(
    whole: Predictions, num_units: int, statistic: Callable[[Any], float], metric: str = "score"
) -> None:
    """The statistic is of the numbers of the units that were drawn."""
    ours = confidence_intervals(whole, seed=0, num_resamples=1500)
    units = (np.arange(num_units),)
    settings = {"vectorized": False, "n_resamples": 1500, "method": "percentile", "rng": np.random.default_rng(0)}
    low, high = stats.bootstrap(units, statistic, **settings).confidence_interval
    # An end of 1,500 resamples has a standard error of about 0.07 standard deviations of the metric.
    assert ours[metric] == pytest.approx((low, high), abs=0.3 * (high - low) / 3.92)


def test_ends_are_those_of_scipy_for_accuracy_and_f1():
    whole = predictions("mrpc")

    def score(rows: Any) -> float:
        labels, values = whole.labels[rows], whole.values[rows]
        return 50 * ((labels == values).mean() + 2 * (labels & values).sum() / (labels.sum() + values.sum()))

    assert_ends_of_scipy(whole, N, score)


def test_ends_are_those_of_scipy_for_matthews():
    whole = predictions("cola")
    assert_ends_of_scipy(whole, N, lambda rows: 100 * np.corrcoef(whole.labels[rows], whole.values[rows])[0, 1])


def test_ends_are_those_of_scipy_for_a_correlation():
    whole = predictions("stsb")
    assert_ends_of_scipy(
        whole, N, lambda rows: np.corrcoef(whole.labels[rows], whole.values[rows])[0, 1], metric="pearson"
    )


def test_ends_are_those_of_scipy_for_macro_f1():
    whole = predictions("acl_sup")
    assert_ends_of_scipy(whole, N, lambda rows: task_score(task_metrics(drawn(whole, rows))))


@pytest.mark.parametrize("name", ["multirc", "record"])
def test_ends_are_those_of_scipy_over_groups(name: str):
    whole = predictions(name)
    parts = [whole.groups == group for group in np.unique(whole.groups)]
    alone = [task_metrics(drawn(whole, np.flatnonzero(part), whole.groups[part])) for part in parts]
    exact, overlap = (np.array([one.get(name, 0) for one in alone]) for name in ("exact_match", "token_f1"))
    hits, sums = (
        np.array([of(whole.labels[part], whole.values[part]).sum() for part in parts]) for of in (np.multiply, np.add)
    )

    def score(chosen: Any) -> float:
        f1 = 2 * hits[chosen].sum() / sums[chosen].sum() if name == "multirc" else overlap[chosen].mean()
        return 50 * (f1 + exact[chosen].mean())

    assert_ends_of_scipy(whole, len(parts), score)


@pytest.mark.parametrize("name", ["multirc", "record"])
def test_metrics_of_weights_are_those_of_groups_that_stand_so_often(name: str):
    whole = predictions(name, 40)
    units = units_of(whole)
    chosen = np.random.default_rng(0).integers(0, len(units.copies), (20, len(units.copies)))
    weights = np.array([np.bincount(one, minlength=len(units.copies)) for one in chosen], float)
    ours = units.metrics(weights)
    for index, one in enumerate(chosen):
        assert {name: value[index] for name, value in ours.items()} == pytest.approx(
            task_metrics(drawn_groups(whole, one))
        )


def test_the_interval_of_an_accuracy_is_that_of_the_binomial_distribution():
    labels = np.ones(400, int)
    whole = Predictions(task=TASKS["sst2"], labels=labels, values=(np.arange(400) < 320).astype(int))
    ours = confidence_intervals(whole, seed=3, num_resamples=20_000)
    assert np.array(ours["accuracy"]) * 400 == pytest.approx(stats.binom.ppf([0.025, 0.975], 400, 0.8), abs=1)
    assert ours["score"] == pytest.approx(tuple(100 * end for end in ours["accuracy"]))


@pytest.mark.parametrize("name", ["cola", "stsb", "multirc"])
def test_the_seed_repeats_the_interval(name: str):
    whole = predictions(name)
    first = confidence_intervals(whole, seed=1)
    assert first == confidence_intervals(whole, seed=1)
    assert first != confidence_intervals(whole, seed=2)


@pytest.mark.parametrize("block", [1, 7 * N, 200 * N])
def test_the_interval_does_not_depend_on_how_many_are_drawn_at_a_time(block: int, monkeypatch: pytest.MonkeyPatch):
    whole = predictions("stsb")
    at_once = confidence_intervals(whole, seed=1, num_resamples=150)
    monkeypatch.setattr(intervals, "_BLOCK", block)
    for metric, ends in confidence_intervals(whole, seed=1, num_resamples=150).items():
        assert ends == pytest.approx(at_once[metric])


@pytest.mark.parametrize("name", ["mrpc", "cola", "acl_sup", "stsb", "multirc", "record"])
def test_an_interval_holds_the_metric_and_more_rows_make_it_narrower(name: str):
    few, many = (predictions(name, n) for n in (60, 1500))
    narrow, wide = confidence_intervals(many, seed=0), confidence_intervals(few, seed=0)
    points = task_metrics(many)
    for metric, value in (points | {"score": task_score(points)}).items():
        low, high = narrow[metric]
        assert low < value < high
        assert high - low < 0.5 * (wide[metric][1] - wide[metric][0])
    assert list(narrow) == [*TASKS[name].metrics, "score"]


def test_rows_that_are_alike_in_all_leave_no_doubt():
    labels = np.arange(50) % 2
    assert confidence_intervals(Predictions(task=TASKS["mrpc"], values=labels, labels=labels), seed=0) == {
        "accuracy": (1, 1),
        "f1": (1, 1),
        "score": (100, 100),
    }


@pytest.mark.parametrize("name", ["cola", "cb", "stsb", "multirc", "record"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows_are_defined_and_raise_no_warning(name: str, n: int):
    rows = [{"entity": "red", "answers": ["blue"]}] * n
    codes = np.arange(n) % 2
    whole = Predictions(task=TASKS[name], values=codes, labels=codes, groups=np.zeros(n), scores=np.zeros(n), rows=rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = confidence_intervals(whole, seed=0)
    assert all(type(end) is float and np.isfinite(end) for ends in found.values() for end in ends)


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(0).random(2000)
    found = intervals.confidence_intervals(means_of({"exact_match": values > 0.4, "token_f1": values}), seed=0)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert found["token_f1"] == pytest.approx((values.mean() - half, values.mean() + half), abs=0.2 * half)
    assert list(found) == ["exact_match", "token_f1", "score"]
