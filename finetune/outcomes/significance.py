"""Whether two series of scores differ: paired t-test, Welch's test, and p-values of several tests.

Where nothing varies, t has no value: the differences of the pairs are all one number c, or both series are constant. An
exact relabelling test takes its place, which asks how many of the N ways to exchange A and B give so great a
difference: 2 ** S exchanges within S pairs, or the choices of A's scores among all scores. Then p = 1 where c is 0 and
2 / N elsewhere (twice the one-sided share), the least that so few runs can show; the limit of the t-test would be p = 0
already for two equal differences. There is no interval and no effect size then.

Symbols: S_a, S_b scores of A and B; S pairs.

Reference:
    Dror et al. 2018, "The Hitchhiker's Guide to Testing Statistical Significance in Natural Language Processing", ACL,
    P18-1128; Lakens 2013, doi:10.3389/fpsyg.2013.00863 (d and d_z); Holm 1979, "A Simple Sequentially Rejective
    Multiple Test Procedure", Scandinavian Journal of Statistics 6.
"""

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95

_NOTHING_VARIES = 1e-9
"""Differences that are rounding: of a million predictions one is worth 1e-4 points."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a test of B against A.

    Attributes:
        test: "paired" or "welch"; "paired, exact" or "welch, exact" where nothing varies.
        difference: Mean of B − mean of A.
        low: Lower end of the difference's 95 % interval; None where nothing varies.
        high: Upper end.
        effect: Cohen's d_z of pairs (mean of the differences over their deviation), else Cohen's d (over the pooled
            deviation of both sides); None where nothing varies.
        p: Two-sided.
    """

    test: Literal["paired", "welch", "paired, exact", "welch, exact"]
    difference: float
    low: float | None
    high: float | None
    effect: float | None
    p: float


def paired(a: Vector, b: Vector) -> Outcome:
    """Paired t-test.

    Args:
        a: Scores of A, in points, shape (S,), S ≥ 2.
        b: Scores of B in the same order, shape (S,).

    Example:
        >>> outcome = paired(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
        >>> round(outcome.difference, 3), round(outcome.p, 3), round(outcome.effect, 3)
        (2.0, 0.074, 2.0)
    """
    differences = b - a
    difference = float(differences.mean())
    if np.ptp(differences) < _NOTHING_VARIES:
        return _exact("paired, exact", difference, num_relabellings=2 ** len(a))
    return _t_test("paired", stats.ttest_rel, a, b, difference / float(differences.std(ddof=1)))


def welch(a: Vector, b: Vector) -> Outcome:
    """Welch's t-test, for series without pairs.

    Args:
        a: Scores of A, in points, shape (S_a,), S_a ≥ 2.
        b: Scores of B, shape (S_b,), S_b ≥ 2.

    Example:
        >>> outcome = welch(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0, 8.0]))
        >>> round(outcome.difference, 3), round(outcome.p, 3), round(outcome.effect, 3)
        (3.0, 0.1, 1.43)
    """
    difference = float(b.mean() - a.mean())
    if max(np.ptp(a), np.ptp(b)) < _NOTHING_VARIES:
        return _exact("welch, exact", difference, num_relabellings=math.comb(len(a) + len(b), len(a)))
    freedom_a, freedom_b = len(a) - 1, len(b) - 1
    pooled = (freedom_a * a.var(ddof=1) + freedom_b * b.var(ddof=1)) / (freedom_a + freedom_b)
    test = functools.partial(stats.ttest_ind, equal_var=False)
    return _t_test("welch", test, a, b, difference / math.sqrt(pooled))


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted by Holm's step-down rule, in their order.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    adjusted, least = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        least = max(least, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = least
    return adjusted


def _t_test(
    name: Literal["paired", "welch"], test: Callable[[Vector, Vector], Any], a: Vector, b: Vector, effect: float
) -> Outcome:
    with warnings.catch_warnings():
        # scipy warns where one side is constant, which is no loss: its variance is 0.
        warnings.filterwarnings("ignore", "Precision loss occurred", RuntimeWarning)
        tested = test(b, a)
    low, high = tested.confidence_interval(CONFIDENCE)
    return Outcome(
        test=name,
        difference=float(b.mean() - a.mean()),
        low=float(low),
        high=float(high),
        effect=effect,
        p=float(tested.pvalue),
    )


def _exact(name: Literal["paired, exact", "welch, exact"], difference: float, num_relabellings: int) -> Outcome:
    p = 1.0 if abs(difference) < _NOTHING_VARIES else min(1.0, 2 / num_relabellings)
    return Outcome(test=name, difference=difference, low=None, high=None, effect=None, p=p)
