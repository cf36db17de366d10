import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from boshnas.maximize import Box, ascend, exhaustive, gobi, nearest

PEAK = np.array([-3.2, 5.1])


def hill(X: torch.Tensor) -> torch.Tensor:
    """A known, smooth value with its maximum at PEAK."""
    return -(X - torch.tensor(PEAK)).square().sum(1)


@pytest.fixture(name="X")
def rows() -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return np.column_stack([rng.uniform(-5, -1, 5000), rng.uniform(2, 9, 5000)])


def test_exhaustive_scores_every_row_across_blocks(X: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(exhaustive(hill, X), -((X - PEAK) ** 2).sum(1))


@pytest.mark.parametrize("second_order", [False, True])
def test_ascent_finds_a_peak_at_negative_coordinates(X: NDArray[np.float64], second_order: bool) -> None:
    ends = ascend(hill, X[:6], Box(X), second_order=second_order, num_steps=60, generator=torch.Generator())
    np.testing.assert_allclose(ends, np.tile(PEAK, (6, 1)), atol=0.1)


@pytest.mark.parametrize("second_order", [False, True])
def test_ascent_stays_in_the_box(X: NDArray[np.float64], second_order: bool) -> None:
    inside = X[(X[:, 0] < -4) & (X[:, 1] > 6)]  # excludes the peak
    ends = ascend(hill, inside[:6], Box(inside), second_order=second_order, num_steps=60, generator=torch.Generator())
    corner = inside[:, 0].max(), inside[:, 1].min()
    np.testing.assert_allclose(ends, np.tile(corner, (6, 1)), atol=0.05)


@pytest.mark.parametrize("second_order", [False, True])
def test_ascent_never_ends_below_its_start(X: NDArray[np.float64], second_order: bool) -> None:
    ends = ascend(hill, X[:20], Box(X), second_order=second_order, num_steps=3, generator=torch.Generator())
    assert (exhaustive(hill, ends) >= exhaustive(hill, X[:20])).all()


def test_constant_feature_stays_constant(X: NDArray[np.float64]) -> None:
    X[:, 1] = 4.0
    ends = ascend(hill, X[:3], Box(X), second_order=False, generator=torch.Generator())
    np.testing.assert_array_equal(ends[:, 1], 4.0)


def test_nearest_rows_are_distinct_and_near() -> None:
    X = np.arange(10.0)[:, None]
    np.testing.assert_array_equal(nearest(np.array([[2.1], [2.2], [7.9]]), X, Box(X), 2), [2, 3, 7, 8])


def test_nearest_gives_all_where_fewer_are_left() -> None:
    X = np.arange(3.0)[:, None]
    np.testing.assert_array_equal(nearest(np.array([[0.0]]), X, Box(X), 5), [0, 1, 2])


@pytest.mark.parametrize("second_order", [False, True])
def test_gobi_finds_what_scoring_all_finds(X: NDArray[np.float64], second_order: bool) -> None:
    shortlist = gobi(
        hill,
        X,
        Box(X),
        num_wanted=3,
        num_sampled=50,
        num_steps=60,
        second_order=second_order,
        rng=np.random.default_rng(0),
    )
    assert shortlist[0] == exhaustive(hill, X).argmax()
    assert len(set(shortlist)) == len(shortlist) >= 3


def test_gobi_on_a_single_candidate() -> None:
    X = np.array([[1.0, 2.0]])
    assert gobi(hill, X, Box(X), rng=np.random.default_rng(0)).tolist() == [0]
