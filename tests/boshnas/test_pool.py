import numpy as np
import pytest

from boshnas.errors import InputError
from boshnas.pool import Pool


def test_knows_its_ids_and_rows():
    pool = Pool(["a", "b"], np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert len(pool) == 2
    assert "b" in pool
    assert "c" not in pool
    assert pool.rows(["b", "a", "b"]).tolist() == [1, 0, 1]


def test_extend_adds_only_what_is_new_and_once():
    pool = Pool(["a"], np.array([[1.0]]))
    assert pool.extend(["b", "a", "b", "c"], np.array([[2.0], [9.0], [8.0], [3.0]])) == 2
    assert pool.ids == ["a", "b", "c"]
    assert pool.X.tolist() == [[1.0], [2.0], [3.0]]
    assert pool.X[pool.rows(["c"])].tolist() == [[3.0]]


def test_extend_with_nothing_new_changes_nothing():
    pool = Pool(["a"], np.array([[1.0]]))
    assert pool.extend(["a"], np.array([[5.0]])) == 0
    assert pool.X.tolist() == [[1.0]]


def test_an_unknown_id_has_no_row():
    with pytest.raises(KeyError, match="z"):
        Pool(["a"], np.array([[1.0]])).rows(["z"])


def test_refuses_repeated_ids():
    with pytest.raises(InputError, match="ids must be distinct, got 1 repeated"):
        Pool(["a", "a"], np.zeros((2, 1)))


@pytest.mark.parametrize("shape", [(1, 2), (2,), (2, 1, 1)])
def test_refuses_a_wrong_shape(shape: tuple[int, ...]):
    with pytest.raises(InputError, match="X must have one row for each of 2 ids"):
        Pool(["a", "b"], np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_features_that_are_not_finite(value: float):
    with pytest.raises(InputError, match="features must be finite, row 'b' is not"):
        Pool(["a", "b"], np.array([[0.0], [value]]))


def test_refuses_to_extend_by_another_width():
    pool = Pool(["a"], np.zeros((1, 2)))
    with pytest.raises(InputError, match="X must have 2 columns as the pool has, got 3"):
        pool.extend(["b"], np.zeros((1, 3)))
    assert pool.ids == ["a"]


def test_groups_have_one_number_a_column() -> None:
    assert Pool(["a"], np.zeros((1, 3)), groups=[0, 0, 1]).groups == (0, 0, 1)
    with pytest.raises(InputError, match="one number a column"):
        Pool(["a"], np.zeros((1, 3)), groups=[0, 1])
