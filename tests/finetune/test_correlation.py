"""Correlations with weights: those of scipy over rows that stand as often as their weight says."""

import warnings

import numpy as np
import pytest
from scipy import stats

from finetune.correlation import pearson, spearman


@pytest.mark.parametrize("decimals", [0, 6])
@pytest.mark.parametrize("seed", range(3))
def test_equal_to_scipy_over_repeated_rows(seed: int, decimals: int):
    rng = np.random.default_rng(seed)
    x = rng.normal(2.0, 1.0, 30).round(decimals)
    y = (x + rng.normal(size=30)).round(decimals)
    weights = rng.integers(0, 4, (5, 30)).astype(float)
    for one, r, rho in zip(weights, pearson(weights, x, y), spearman(weights, x, y), strict=True):
        rows = np.repeat(np.arange(30), one.astype(int))
        assert r == pytest.approx(stats.pearsonr(x[rows], y[rows]).statistic, abs=1e-12)
        assert rho == pytest.approx(stats.spearmanr(x[rows], y[rows]).statistic, abs=1e-12)


@pytest.mark.parametrize("function", [pearson, spearman])
def test_what_does_not_vary_over_the_rows_that_count_has_no_correlation(function):
    x, y = np.array([0.1, 0.1, 0.1, 5.0]), np.array([1.0, 2.0, 3.0, 4.0])
    weights = np.array([[2.0, 0, 1, 0], [0, 0, 0, 4], [0, 3, 0, 0], [1, 1, 1, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = function(weights, x, y)
        assert values[:3].tolist() == [0, 0, 0]
        assert values[3] > 0.7
        assert function(weights, y, x).tolist() == values.tolist()


def test_values_that_differ_little_beside_their_size_still_correlate():
    x = 1000 + 1e-6 * np.arange(5.0)
    assert pearson(np.ones((1, 5)), x, np.arange(5.0))[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("function", [pearson, spearman])
def test_a_perfect_correlation_is_not_above_1(function):
    x = np.random.default_rng(0).normal(size=200)
    weights = np.random.default_rng(1).integers(0, 3, (50, 200)).astype(float)
    values = function(weights, x, 3 * x)
    assert values.max() <= 1
    assert values.min() == pytest.approx(1)
    assert function(weights, x, -x).min() >= -1
