from typing import Any

import numpy as np
import pytest
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from boshnas.sampler.conditions import Conditions
from boshnas.sampler.mixed import Domain, maximise
from boshnas.sampler.search_space import SearchSpace, keys

SPACE: dict[str, BaseDistribution] = {
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "x": FloatDistribution(0, 1),
    "num": IntDistribution(0, 10),
}
TARGET = torch.tensor([0, 0, 1 / np.sqrt(2), 0.3217, 0.4], dtype=torch.float64)
SETTING: dict[str, Any] = {"enumerated_up_to": 1000, "second_order": False}


def domain(held: tuple[float, float, float] = (np.nan,) * 3) -> Domain:
    return Domain(SearchSpace(SPACE), Conditions(np.empty((0, 3))), np.array(held), **SETTING)


def hill(X: torch.Tensor) -> torch.Tensor:
    return -(X - TARGET).square().sum(1)


def test_finds_the_top_of_a_mixed_hill() -> None:
    best = maximise(domain(), hill, np.array([[0, 0.9, 0.0]]), (), np.random.default_rng(0))
    np.testing.assert_allclose(best, [2, 0.3217, 0.4], atol=1e-3)


def test_held_coordinates_stay() -> None:
    best = maximise(domain((np.nan, 0.9, np.nan)), hill, np.array([[0, 0.1, 0.0]]), (), np.random.default_rng(0))
    np.testing.assert_allclose(best, [2, 0.9, 0.4])


def test_takes_the_best_unseen_point_while_there_is_one() -> None:
    small = Domain(SearchSpace({"num": SPACE["num"]}), Conditions(np.empty((0, 1))), np.array([np.nan]), **SETTING)
    seen: set[bytes] = set()
    order = []
    for _ in range(11):
        best = maximise(small, lambda X: -(X[:, 0] - 0.42).square(), np.array([[0.0]]), seen, np.random.default_rng(0))
        order.append(round(best[0] * 10))
        seen.update(keys(best[None]))
    assert order == [4, 5, 3, 6, 2, 7, 1, 8, 0, 9, 10]
    again = maximise(small, lambda X: -(X[:, 0] - 0.42).square(), np.array([[0.0]]), seen, np.random.default_rng(0))
    assert round(again[0] * 10) == 4


def test_absent_parameters_make_no_point_distinct() -> None:
    rows = np.array([[0, 0.2, 0.1], [0, 0.8, 0.1], [1, np.nan, 0.1], [1, np.nan, 0.3]])
    conditional = Domain(SearchSpace(SPACE), Conditions(rows), np.full(3, np.nan), **SETTING)
    full = np.array([[1, 0.1, 0.5], [1, 0.9, 0.5], [0, 0.1, 0.5], [0, 0.9, 0.5]])
    assert len(conditional.unseen(full, ())) == 3
    np.testing.assert_array_equal(conditional.features(full)[0], conditional.features(full)[1])


def test_ascent_leaves_categories_and_absent_numbers() -> None:
    rows = np.array([[0, 0.2, 0.1], [0, 0.8, 0.1], [1, np.nan, 0.1], [1, np.nan, 0.3]])
    conditional = Domain(SearchSpace(SPACE), Conditions(rows), np.full(3, np.nan), **SETTING)
    ends = conditional.climbed(np.array([[0, 0.9, 0.9], [1, 0.9, 0.9]]), hill, np.random.default_rng(0))
    np.testing.assert_array_equal(ends[:, 0], [0, 1])
    assert ends[0, 1] == pytest.approx(0.3217, abs=0.05)
    np.testing.assert_allclose(ends[:, 2], 0.4)
