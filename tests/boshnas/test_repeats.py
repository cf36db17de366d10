import numpy as np

from boshnas.surrogates.repeats import gather

X = np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])


def test_repeats_become_mean_count_and_scatter_in_order_of_appearance() -> None:
    data = gather(X, np.array([3.0, 1.0, 5.0, 2.0, 6.0]), None, 1e-6)
    assert data.X.tolist() == [[1.0, 2.0], [0.0, 0.0]]
    assert data.y.tolist() == [4.0, 3.0]
    assert data.count.tolist() == [2.0, 3.0]
    assert data.scatter.tolist() == [2.0, 14.0]
    assert not data.known.any()


def test_known_noise_weighs_by_precision_and_stays_apart_from_unknown() -> None:
    noise = np.array([1.0, np.nan, 0.5, 2.0, np.nan])
    data = gather(X, np.array([3.0, 1.0, 5.0, 2.0, 6.0]), noise, 1e-6)
    assert data.X.tolist() == [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
    np.testing.assert_allclose(data.y, [(3 + 4 * 5) / 5, 3.5, 2.0])
    np.testing.assert_allclose(data.variance, [0.2, np.nan, 4.0])
    np.testing.assert_allclose(data.count, [1.0, 2.0, 1.0])
    np.testing.assert_allclose(data.scatter, [0.0, 12.5, 0.0])


def test_no_noise_has_the_floor() -> None:
    assert gather(X[:1], np.ones(1), np.zeros(1), 1e-6).variance.item() == 1e-6
