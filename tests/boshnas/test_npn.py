import numpy as np
import pytest
import torch

from boshnas.surrogates.npn import NPNSurrogate, npn_linear, relu_moments


def tensor(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_linear_layer_by_hand() -> None:
    # μ = (1, 2), s = (0.5, 0.1), W_μ = (3, −1), b_μ = 0.5, W_s = (0.2, 0.3), b_s = 0.05
    mean, variance = npn_linear(
        tensor([1.0, 2.0]),
        tensor([0.5, 0.1]),
        tensor([3.0], [-1.0]),
        tensor([0.5]),
        tensor([0.2], [0.3]),
        tensor([0.05]),
    )
    assert mean.item() == pytest.approx(1.5)  # 3 − 2 + 0.5
    # sW_s 0.1 + 0.03, s W_μ² 4.5 + 0.1, μ² W_s 0.2 + 1.2, b_s 0.05
    assert variance.item() == pytest.approx(6.18)


def test_linear_layer_of_an_exact_input() -> None:
    arguments = tensor([3.0], [-1.0]), tensor([0.5]), tensor([0.2], [0.3]), tensor([0.05])
    exact = npn_linear(tensor([1.0, 2.0]), None, *arguments)
    limit = npn_linear(tensor([1.0, 2.0]), tensor([0.0, 0.0]), *arguments)
    torch.testing.assert_close(exact, limit)


def test_linear_layer_agrees_with_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(m, s, 400_000) for m, s in ((1.0, 0.6), (-2.0, 0.4), (0.3, 0.2)))
    mean, variance = npn_linear(
        tensor([1.0]), tensor([0.36]), tensor([-2.0]), tensor([0.3]), tensor([0.16]), tensor([0.04])
    )
    assert mean.item() == pytest.approx((x * w + b).mean(), abs=0.01)
    assert variance.item() == pytest.approx((x * w + b).var(), rel=0.01)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.5, 0.5), (-1.0, 2.0), (-0.3, 0.01)])
def test_relu_moments_agree_with_monte_carlo(mean: float, variance: float) -> None:
    sample = np.maximum(np.random.default_rng(0).normal(mean, variance**0.5, 400_000), 0)
    first, second = relu_moments(tensor(mean), tensor(variance))
    assert first.item() == pytest.approx(sample.mean(), abs=0.005)
    assert second.item() == pytest.approx(sample.var(), abs=0.005)


def test_relu_moments_are_finite_at_extremes() -> None:
    first, second = relu_moments(tensor(-1e3, 1e3, 0.0), tensor(1e-6, 1e-6, 1e-12))
    assert first.isfinite().all()
    assert second.isfinite().all()
    torch.testing.assert_close(first, tensor(0.0, 1e3, 0.0), atol=1e-6, rtol=0)


def test_aleatoric_recovers_heteroscedastic_noise() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 1))
    noise = np.where(X[:, 0] < 0, 0.1, 1.0)
    surrogate = NPNSurrogate(random_state=0).fit(X, 2 * X[:, 0] + noise * rng.normal(size=400))
    quiet, loud = surrogate.posterior(np.array([[-0.6], [0.6]])).aleatoric_std
    assert 0.05 < quiet < 0.35  # the prior pulls it up
    assert loud == pytest.approx(1.0, rel=0.3)


def test_known_noise_teaches_the_aleatoric_std() -> None:
    X = np.linspace(-1, 1, 40)[:, None]
    surrogate = NPNSurrogate(random_state=0).fit(X, 2 * X[:, 0], noise_std=np.full(40, 0.5))
    np.testing.assert_allclose(surrogate.posterior(X).aleatoric_std, 0.5, rtol=0.1)


def test_batched_cross_fit_leaves_the_fit_as_it_is() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    y = X[:, 0]
    alone = NPNSurrogate(random_state=0).fit(X, y).predict(X)
    crossed = NPNSurrogate(random_state=0)
    crossed.cross_fit(X, y, np.arange(20) % 4)
    np.testing.assert_allclose(crossed.predict(X), alone, rtol=1e-8, atol=1e-8)
