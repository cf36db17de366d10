import gpytorch
import numpy as np
import pytest
import torch

from boshnas.errors import InputError
from boshnas.surrogates.gp import GPSurrogate


class Reference(gpytorch.models.ExactGP):  # type: ignore[misc]
    """The same model in gpytorch, hyperparameters given."""

    def __init__(self, X: torch.Tensor, y: torch.Tensor, surrogate: GPSurrogate) -> None:
        likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
        likelihood.noise = surrogate.process_.noise
        super().__init__(X, y, likelihood)
        kernel = surrogate.process_.kernel
        matern = gpytorch.kernels.MaternKernel(2.5, ard_num_dims=X.shape[1])
        matern.lengthscale = 1 / kernel.inverse_lengthscale
        self.matern, self.linear = gpytorch.kernels.ScaleKernel(matern), gpytorch.kernels.LinearKernel()
        self.matern.outputscale, self.linear.variance = kernel.matern_variance, kernel.linear_variance / kernel.norm
        self.origin, self.constant = kernel.origin, surrogate.process_.constant

    def forward(self, X: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        mean = torch.full(X.shape[:-1], self.constant, dtype=X.dtype)
        return gpytorch.distributions.MultivariateNormal(mean, self.matern(X) + self.linear(X - self.origin))


def test_same_posterior_as_gpytorch() -> None:
    rng = np.random.default_rng(0)
    X, new = rng.random((20, 3)), rng.random((7, 3))
    y = np.sin(5 * X[:, 0]) + 0.1 * rng.normal(size=20)
    surrogate = GPSurrogate(random_state=0).fit(X, y)
    unit = [torch.tensor((rows - surrogate.x_offset_) / surrogate.x_scale_) for rows in (X, new)]
    reference = Reference(unit[0], torch.tensor(surrogate.warp_(y)), surrogate).double().eval()
    with torch.no_grad():
        belief = reference(unit[1])
    mean, epistemic, _ = surrogate.predict_warped(torch.tensor(new))
    np.testing.assert_allclose(mean, belief.mean.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(epistemic, belief.stddev.numpy(), rtol=1e-4)


def test_interpolates_without_noise_and_knows_nothing_far_away() -> None:
    X = np.linspace(0, 1, 15)[:, None]
    surrogate = GPSurrogate().fit(X, np.sin(6 * X[:, 0]))
    np.testing.assert_allclose(surrogate.predict(X), np.sin(6 * X[:, 0]), atol=0.05)
    near, far = surrogate.posterior(np.array([[0.5], [1e4]])).epistemic_std
    assert far > 20 * near


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


def test_equal_choices_share_a_lengthscale_and_keep_their_scale() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([np.eye(3)[rng.integers(3, size=30)], rng.random(30)])
    surrogate = GPSurrogate(groups=(0, 0, 0, 1)).fit(X, X[:, 0] + X[:, 3])
    assert len(surrogate.process_.theta) == 2 + 3
    np.testing.assert_array_equal(surrogate.x_scale_, 1.0)


def test_groups_must_fit() -> None:
    with pytest.raises(InputError, match=r"one number a column \(2\), got 3"):
        GPSurrogate(groups=(0, 1, 1)).fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0])


def test_starts_from_the_fit_before() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((40, 3))
    y = np.sin(6 * X[:, 0])
    warm, cold = GPSurrogate(max_steps=6, warm_start=True), GPSurrogate(max_steps=6)
    for _ in range(20):
        warm.fit(X, y)
    far = GPSurrogate(max_steps=200).fit(X, y).process_.theta
    assert np.abs(warm.process_.theta - far).max() < 0.5 * np.abs(cold.fit(X, y).process_.theta - far).max()


def test_many_rows_are_learned_from_in_bounded_time() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((900, 4))
    surrogate = GPSurrogate(max_steps=5, random_state=0).fit(X, X[:, 0])
    assert len(surrogate.process_.rows) == 900
