import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from boshnas.sampler.search_space import SearchSpace, keys, latest_distributions

EVERY: dict[str, BaseDistribution] = {
    "float": FloatDistribution(-1, 1),
    "log": FloatDistribution(1e-7, 1, log=True),
    "stepped": FloatDistribution(-10.2, 10.2, step=0.1),
    "int": IntDistribution(-5, 5),
    "odd": IntDistribution(3, 9, step=2),
    "log int": IntDistribution(1, 100, log=True),
    "huge": IntDistribution(0, 2**60),
    "two": CategoricalDistribution([True, False]),
    "three": CategoricalDistribution(["a", None, 1.5]),
    "one": CategoricalDistribution([1]),
    "point": FloatDistribution(1, 1),
    "log point": IntDistribution(1, 1, log=True),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_coordinate_is_a_valid_value_and_comes_back(name: str) -> None:
    distribution = EVERY[name]
    space = SearchSpace({name: distribution})
    rows = np.concatenate([space.sobol(256, 0), space.spread(np.array([[0.0], [1 - 1e-12]]))])
    values = [space.decode(row)[name] for row in rows]
    assert all(distribution._contains(distribution.to_internal_repr(value)) for value in values)
    assert not any(isinstance(value, np.generic) for value in values)
    assert keys(space.encode([{name: value} for value in values])) == keys(rows)
    np.testing.assert_allclose(space.snap(rows), rows, atol=1e-12)


def test_each_level_of_a_grid_gets_an_equal_share() -> None:
    space = SearchSpace({"odd": EVERY["odd"]})
    np.testing.assert_array_equal(np.unique(space.sobol(256, 1), return_counts=True)[1], [64] * 4)


def test_logarithmic_ranges_are_halved_at_the_geometric_mean() -> None:
    space = SearchSpace({"rate": FloatDistribution(1e-4, 1, log=True)})
    np.testing.assert_allclose(space.encode([{"rate": 1e-2}]), [[0.5]])


def test_steps_are_rounded_to_the_grid() -> None:
    space = SearchSpace({"odd": EVERY["odd"]})
    assert [space.decode(row)["odd"] for row in space.snap(np.array([[-0.2], [0.49], [0.51], [2.0]]))] == [3, 5, 7, 9]


def test_choices_are_one_apart_and_absent_parameters_in_the_middle() -> None:
    space = SearchSpace({"three": EVERY["three"], "two": EVERY["two"], "float": EVERY["float"]})
    X = space.features(np.array([[0, 0, 0.0], [1, 0, 0.0], [np.nan] * 3]))
    assert np.linalg.norm(X[0] - X[1]) == pytest.approx(1)
    assert np.linalg.norm(X[2, :3] - X[0, :3]) == pytest.approx(np.linalg.norm(X[2, :3] - X[1, :3]))
    np.testing.assert_array_equal(X[2, 3:], 0.5)
    assert space.groups == (0, 0, 0, 1, 2)


def test_finite_spaces_are_enumerated() -> None:
    space = SearchSpace({name: EVERY[name] for name in ("odd", "int", "three")})
    assert space.size == len(set(keys(space.enumerated()))) == 4 * 11 * 3
    assert SearchSpace(EVERY).size == np.inf


def test_values_out_of_range_are_kept_up_to_its_length() -> None:
    space = SearchSpace({"x": FloatDistribution(0, 10)})
    np.testing.assert_allclose(space.encode([{"x": 15}, {"x": 99}, {"x": -99}]), [[1.5], [2], [-1]])


def test_the_latest_range_counts_and_single_values_are_left_out() -> None:
    trials: list[dict[str, BaseDistribution]] = [
        {"b": FloatDistribution(0, 1), "a": IntDistribution(0, 3)},
        {"b": FloatDistribution(0, 2), "c": IntDistribution(1, 1)},
    ]
    latest = latest_distributions(trials)
    assert list(latest) == ["a", "b"]
    assert latest["b"] == FloatDistribution(0, 2)


def test_an_unknown_distribution_is_refused() -> None:
    with pytest.raises(ValueError, match="SearchSpace: 'x' must be a float, an integer or a category, got 'object'"):
        SearchSpace({"x": object()})  # type: ignore[dict-item]
