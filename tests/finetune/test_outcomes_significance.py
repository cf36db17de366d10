"""The tests by hand, their symmetry, and what happens where nothing varies."""

import math
import warnings
from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from finetune.outcomes.significance import holm, paired, welch

A = np.array([80.0, 81.0, 79.0, 82.0, 80.0])
B = A + np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def test_the_paired_test_by_hand():
    # Mean 3, squares of the deviations 4 + 1 + 0 + 1 + 4 over 4: deviation √2.5, standard error √.5, t = 3 √2, 4
    # degrees of freedom. Their distribution is 1/2 + 3/8 u (1 − u² / 12) with u = t / √(1 + t² / 4); t² = 18 and
    # 1 + 18 / 4 = 11 / 2, so u² = 36 / 11.
    u = 6 / math.sqrt(11)
    p = 2 * (1 / 2 - 3 / 8 * u * (1 - u**2 / 12))
    half = 2.776445 * math.sqrt(0.5)  # the 97.5 % point of 4 degrees of freedom, from a table
    outcome = paired(A, B)
    assert outcome.test == "paired"
    assert outcome.difference == pytest.approx(3)
    assert outcome.p == pytest.approx(p)
    assert p == pytest.approx(0.0132, abs=5e-5)
    assert (outcome.low, outcome.high) == (pytest.approx(3 - half, abs=1e-6), pytest.approx(3 + half, abs=1e-6))
    assert outcome.effect == pytest.approx(3 / math.sqrt(2.5))


def test_welch_by_hand():
    # Means 2 and 5, variances 1 and 20/3: standard error √(1/3 + 5/3), t = 3 / √2, 2² / ((1/3)² / 2 + (5/3)² / 3) =
    # 216/53 degrees of freedom. The pooled variance is (2 · 1 + 3 · 20/3) / 5.
    freedom = 216 / 53
    half = stats.t.ppf(0.975, freedom) * math.sqrt(2)
    outcome = welch(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0, 8.0]))
    assert outcome.test == "welch"
    assert outcome.difference == pytest.approx(3)
    assert outcome.p == pytest.approx(2 * stats.t.sf(3 / math.sqrt(2), freedom))
    assert (outcome.low, outcome.high) == (pytest.approx(3 - half), pytest.approx(3 + half))
    assert outcome.effect == pytest.approx(3 / math.sqrt(22 / 5))


@pytest.mark.parametrize("test", [paired, welch])
def test_the_outcome_turns_with_the_sides(test):
    there, back = test(A, B), test(B, A)
    assert back.p == pytest.approx(there.p)
    assert (back.difference, back.effect) == (pytest.approx(-there.difference), pytest.approx(-there.effect))
    assert (back.low, back.high) == (pytest.approx(-there.high), pytest.approx(-there.low))


@pytest.mark.parametrize("test", [paired, welch])
def test_p_is_below_5_percent_exactly_where_the_interval_is_beside_0(test):
    rng = np.random.default_rng(0)
    outcomes = [
        test(a, a + shift + rng.normal(size=5)) for shift in (0.0, 1.0, 1.5, 4.0) for a in rng.normal(size=(9, 5))
    ]
    assert {outcome.p < 0.05 for outcome in outcomes} == {True, False}
    assert all((outcome.p < 0.05) == (outcome.low > 0 or outcome.high < 0) for outcome in outcomes)


def test_pairs_are_seen_where_the_seeds_matter_more_than_the_setting():
    seeds = np.array([60.0, 70.0, 80.0, 90.0])
    better = seeds + np.array([0.9, 1.1, 1.0, 1.2])
    assert paired(seeds, better).p < 0.001
    assert welch(seeds, better).p > 0.5


@pytest.mark.parametrize("test", [paired, welch])
def test_equal_constant_sides_have_p_1_and_no_interval(test):
    constant = np.full(5, 84.1)
    outcome = test(constant, constant.copy())
    assert (outcome.p, outcome.difference) == (1.0, 0.0)
    assert (outcome.low, outcome.high, outcome.effect) == (None, None, None)


def share_of_relabellings(differences: list[float], observed: float) -> float:
    """Share that is at least as great, twice where it is one-sided."""
    return 2 * sum(difference >= observed - 1e-9 for difference in differences) / len(differences)


@pytest.mark.parametrize("num_pairs", [2, 3, 5, 8])
def test_one_difference_on_every_seed_has_the_p_of_all_exchanges(num_pairs: int):
    a = np.linspace(50, 60, num_pairs)
    outcome = paired(a, a + 0.3)  # which rounding makes unequal
    exchanged = [float(np.mean(np.multiply(signs, 0.3))) for signs in product((-1, 1), repeat=num_pairs)]
    assert outcome.test == "paired, exact"
    assert outcome.p == pytest.approx(share_of_relabellings(exchanged, 0.3))
    assert outcome.p == 2 / 2**num_pairs
    assert outcome.difference == pytest.approx(0.3)
    assert (outcome.low, outcome.high, outcome.effect) == (None, None, None)


@pytest.mark.parametrize(("num_a", "num_b"), [(2, 2), (2, 5), (4, 3)])
def test_two_constant_sides_have_the_p_of_all_choices(num_a: int, num_b: int):
    outcome = welch(np.full(num_a, 50.0), np.full(num_b, 51.0))
    scores = np.array([50.0] * num_a + [51.0] * num_b)
    differences = []
    for chosen in combinations(range(len(scores)), num_a):
        others = [index for index in range(len(scores)) if index not in chosen]
        differences.append(float(scores[others].mean() - scores[list(chosen)].mean()))
    assert outcome.test == "welch, exact"
    assert outcome.p == pytest.approx(share_of_relabellings(differences, 1.0))


def test_one_constant_side_is_tested_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = welch(np.full(3, 84.1), np.array([84.0, 86.0, 87.5]))
    assert outcome.test == "welch"
    # All of the variance is B's, so this is the test of B's mean against a number.
    assert outcome.p == pytest.approx(float(stats.ttest_1samp([84.0, 86.0, 87.5], 84.1).pvalue))


def test_holm_by_hand():
    # .005 · 4, then .01 · 3, then .03 · 2, then .04 · 1, which may not be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]


def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni():
    p: NDArray[np.float64] = np.random.default_rng(0).random(20) / 10
    adjusted = np.array(holm(p.tolist()))
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, 20 * p)).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
