import math

import gpytorch
import numpy as np
import pytest
import torch

from boshnas.surrogates.gp import GPSurrogate, matern52


class Reference(gpytorch.models.ExactGP):  # type: ignore[misc]
    """The same model in gpytorch, hyperparameters given."""

    def __init__(self, X: torch.Tensor, y: torch.Tensor, surrogate: GPSurrogate) -> None:
        likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
        likelihood.noise = surrogate.noise_
        super().__init__(X, y, likelihood)
        self.kernel = gpytorch.kernels.MaternKernel(2.5, ard_num_dims=X.shape[1]).double()
        self.kernel.lengthscale = surrogate.lengthscale_
        self.constant = surrogate.constant_

    def forward(self, X: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        mean = torch.full(X.shape[:-1], self.constant, dtype=X.dtype)
        return gpytorch.distributions.MultivariateNormal(mean, self.kernel(X))


def test_same_posterior_as_gpytorch() -> None:
    rng = np.random.default_rng(0)
    X, new = rng.random((20, 3)), rng.random((7, 3))
    y = np.sin(5 * X[:, 0]) + 0.1 * rng.normal(size=20)
    surrogate = GPSurrogate(random_state=0).fit(X, y)
    unit = [torch.tensor((rows - surrogate.x_offset_) / surrogate.x_scale_) for rows in (X, new)]
    reference = Reference(unit[0], torch.tensor((y - y.mean()) / y.std()), surrogate).double().eval()
    with torch.no_grad():
        belief = reference(unit[1])
    posterior = surrogate.posterior(new)
    np.testing.assert_allclose(posterior.mean, y.mean() + y.std() * belief.mean.numpy(), rtol=1e-6)
    np.testing.assert_allclose(posterior.epistemic_std, y.std() * belief.stddev.numpy(), rtol=1e-5)


def test_matern_by_hand_and_at_zero() -> None:
    X = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    r = math.sqrt(5) * 2 / 4
    value = matern52(X, X, torch.tensor([4.0], dtype=torch.float64))
    assert value[0, 1].item() == pytest.approx((1 + r + r * r / 3) * math.exp(-r), abs=1e-9)
    assert value[0, 0].item() == pytest.approx(1.0, abs=1e-9)


def test_interpolates_without_noise_and_reverts_to_the_mean_far_away() -> None:
    X = np.linspace(0, 1, 15)[:, None]
    surrogate = GPSurrogate().fit(X, np.sin(6 * X[:, 0]))
    np.testing.assert_allclose(surrogate.predict(X), np.sin(6 * X[:, 0]), atol=0.05)
    far = surrogate.posterior(np.array([[1e4]]))
    assert far.epistemic_std[0] == pytest.approx(surrogate.y_scale_, rel=1e-6)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        ([[1.0, 2.0]], [3.0]),
        ([[1.0, 2.0], [1.0, 2.0]], [3.0, 4.0]),
        ([[0.0], [1.0], [2.0]], [5.0, 5.0, 5.0]),
        ([[0.0], [0.0], [1.0], [1.0]], [1.0, 2.0, 3.0, 3.0]),
    ],
    ids=["one row", "duplicates", "constant y", "replicates"],
)
def test_degenerate_data_fit(X: list[list[float]], y: list[float]) -> None:
    posterior = GPSurrogate().fit(X, y).posterior(X)
    assert np.isfinite(posterior.mean).all()
    assert (posterior.epistemic_std > 0).all()


def test_replicates_average() -> None:
    X = [[0.0], [0.0], [1.0], [1.0]]
    mean = GPSurrogate().fit(X, [1.0, 3.0, 11.0, 13.0]).predict([[0.0], [1.0]])
    np.testing.assert_allclose(mean, [2.0, 12.0], atol=1.0)


def test_noisy_rows_count_less() -> None:
    X, y = np.zeros((2, 1)), np.array([0.0, 10.0])
    surrogate = GPSurrogate().fit(X, y, noise_std=[0.1, 10.0])
    assert surrogate.predict([[0.0]])[0] < 1.0


def test_known_noise_is_the_aleatoric_std() -> None:
    X = np.linspace(0, 1, 10)[:, None]
    posterior = GPSurrogate().fit(X, X[:, 0], noise_std=np.full(10, 0.25)).posterior(X)
    np.testing.assert_allclose(posterior.aleatoric_std, 0.25)


def test_unknown_noise_may_stand_beside_known() -> None:
    X = np.linspace(0, 1, 10)[:, None]
    noise = np.where(np.arange(10) < 5, 0.01, np.nan)
    assert np.isfinite(GPSurrogate().fit(X, X[:, 0], noise_std=noise).predict(X)).all()


def test_more_data_shrink_the_epistemic_std() -> None:
    rng = np.random.default_rng(0)
    X, new = rng.random((80, 2)), rng.random((20, 2))
    y = np.sin(4 * X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=80)
    few, many = (GPSurrogate().fit(X[:n], y[:n]).posterior(new).epistemic_std.mean() for n in (10, 80))
    assert many < 0.6 * few
