import math

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

from boshnas.surrogates.evidence import NOISE_FLOOR, _Evidence, fit_hyperparameters
from boshnas.surrogates.repeats import Measurements, gather


def measurements(noise_std: np.ndarray | None = None) -> Measurements:
    rng = np.random.default_rng(0)
    X = rng.random((14, 5))
    X[9:] = X[:5]  # repeats
    return gather(X, np.sin(4 * X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=14), noise_std, 1e-6)


THETA = np.array([0.3, -0.2, 1.0, 0.2, -0.4, -2.0])
GROUPS = (0, 1, 1, 2, 2)


@pytest.mark.parametrize("noise", [None, np.r_[np.full(7, np.nan), np.linspace(0.1, 0.4, 7)]])
def test_gradient_is_the_finite_difference(noise: np.ndarray | None) -> None:
    evidence = _Evidence(measurements(noise), GROUPS)
    _, gradient = evidence(THETA)
    np.testing.assert_allclose(gradient, approx_fprime(THETA, lambda t: evidence(t)[0], 1e-6), rtol=1e-4, atol=1e-4)


def test_differences_are_those_of_the_density_of_all_measurements() -> None:
    """Repeats taken together lose nothing: the same as the normal density of the 14 measurements, up to a constant."""
    rng = np.random.default_rng(0)
    X = rng.random((14, 5))
    X[9:] = X[:5]
    y = np.sin(4 * X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=14)
    evidence = _Evidence(gather(X, y, None, 1e-6), GROUPS)

    def by_density(theta: np.ndarray) -> float:
        rows = torch.tensor(X)
        K = evidence.kernel(theta)(rows, rows).numpy() + (NOISE_FLOOR + math.exp(theta[-1])) * np.eye(14)
        inverse = np.linalg.inv(K)
        constant = np.full(14, inverse.sum(0) @ y / inverse.sum())
        return float(-multivariate_normal(constant, K).logpdf(y)) + evidence._prior(theta)[0]

    other = THETA + np.array([0.2, 0.1, -0.3, 0.4, -0.2, 0.5])
    difference = evidence(other)[0] - evidence(THETA)[0]
    assert difference == pytest.approx(by_density(other) - by_density(THETA), abs=1e-4)


def test_irrelevant_columns_get_long_lengthscales() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((60, 3))
    found = fit_hyperparameters(gather(X, np.sin(6 * X[:, 0]), None, 1e-6), None, max_steps=60)
    assert found.kernel.inverse_lengthscale[0] > 5 * found.kernel.inverse_lengthscale[1:].max()


def test_noise_of_repeats_is_found() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(rng.random((40, 2)), 3, axis=0)
    found = fit_hyperparameters(gather(X, 0.5 * rng.normal(size=120), None, 1e-6), None, max_steps=60)
    assert math.sqrt(found.noise) == pytest.approx(0.5, rel=0.15)
