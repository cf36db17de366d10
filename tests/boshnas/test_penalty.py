import numpy as np
from numpy.typing import NDArray

from boshnas.maximize import Box
from boshnas.penalty import LocalPenalty
from boshnas.surrogates.gp import GPSurrogate


def penalty() -> tuple[LocalPenalty, NDArray[np.float64]]:
    X = np.linspace(0, 1, 21)[:, None]
    surrogate = GPSurrogate().fit(X[::4], np.sin(6 * X[::4, 0]))
    return LocalPenalty(surrogate, X, Box(X), 1.0, np.random.default_rng(0)), X


def test_no_centre_no_penalty() -> None:
    local, X = penalty()
    np.testing.assert_array_equal(local.log_penalty(X, X[:0]), 0)


def test_strongest_at_the_centre_and_fades_with_distance() -> None:
    local, X = penalty()
    values = local.log_penalty(X, X[10:11])
    assert (values <= 0).all()
    assert values.argmin() == 10
    assert (np.diff(values[10:]) >= 0).all()


def test_centres_add_up() -> None:
    local, X = penalty()
    both = local.log_penalty(X, X[[3, 15]])
    np.testing.assert_allclose(both, local.log_penalty(X, X[[3]]) + local.log_penalty(X, X[[15]]))
