import numpy as np
import pytest
import torch

from boshnas.surrogates.gaussian_network import Linear, _next, forward, gradient, initial, is_weight, rectified


def tensor(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def network(num_networks: int = 3) -> torch.Tensor:
    """Weights of networks of 4 features and 6 hidden units, away from where they start."""
    generator = torch.Generator().manual_seed(0)
    weights = initial(4, 6, num_networks, generator).double()
    return weights + 0.1 * torch.randn(weights.shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.5, 0.5), (-1.0, 2.0), (-0.3, 0.01)])
def test_rectified_moments_agree_with_monte_carlo(mean: float, variance: float) -> None:
    sample = np.maximum(np.random.default_rng(0).normal(mean, variance**0.5, 400_000), 0)
    found = rectified(tensor(mean), tensor(variance))
    assert found.first.item() == pytest.approx(sample.mean(), abs=0.005)
    assert found.second.item() == pytest.approx((sample**2).mean(), abs=0.01)
    assert found.variance.item() == pytest.approx(sample.var(), abs=0.005)


def test_rectified_moments_are_finite_at_extremes() -> None:
    found = rectified(tensor(-1e3, 1e3, 0.0), tensor(1e-6, 1e-6, 1e-12))
    assert found.variance.isfinite().all()
    torch.testing.assert_close(found.first, tensor(0.0, 1e3, 0.0), atol=1e-6, rtol=0)


def test_a_layer_agrees_with_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(m, s, 400_000) for m, s in ((0.4, 0.6), (-2.0, 0.4), (0.3, 0.2)))
    sample = np.maximum(x, 0) * w + b
    mu, s = (Linear(tensor([[W]]), tensor([[b]])) for W, b in ((-2.0, 0.3), (0.16, 0.04)))
    mean, variance = _next(mu, s, rectified(tensor([[0.4]]), tensor([[0.36]])))
    assert mean.item() == pytest.approx(sample.mean(), abs=0.01)
    assert variance.item() == pytest.approx(sample.var(), rel=0.01)


def test_gradient_is_that_of_autograd() -> None:
    weights = network().requires_grad_(True)
    X, y = torch.randn(7, 4, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    mean, variance = forward(weights, X, 6)
    loss = ((y - mean).square() / variance + variance.log()).sum()
    (expected,) = torch.autograd.grad(loss, weights)

    def slopes(mean: torch.Tensor, variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return 2 * (mean - y) / variance, 1 / variance - ((mean - y) / variance).square()

    torch.testing.assert_close(gradient(weights.detach(), X, 6, slopes), expected)


def test_networks_are_independent_of_each_other() -> None:
    weights, X = network(), torch.randn(5, 4, dtype=torch.float64)
    alone, together = forward(weights[1:2], X, 6), forward(weights, X, 6)
    for one, all_ in zip(alone, together, strict=True):
        torch.testing.assert_close(one[0], all_[1])


def test_single_precision_is_close() -> None:
    weights, X = network(), torch.randn(50, 4, dtype=torch.float64)
    for exact, single in zip(forward(weights, X, 6), forward(weights, X.float(), 6), strict=True):
        assert single.dtype is torch.float32
        torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-5)


def test_biases_are_told_from_weights() -> None:
    flags = is_weight(4, 6)
    assert flags.shape == (network().shape[2],)
    assert int((~flags).sum()) == 6 + 6 + 1
