import numpy as np
import torch

from boshnas import acquisition


def test_ucb_is_the_weighted_sum() -> None:
    score = acquisition.ucb(np.array([1.0]), np.array([0.2]), np.array([0.5]), k1=1.0, k2=2.0)
    np.testing.assert_allclose(score, [1.9])


def test_ucb_without_weights_is_the_mean() -> None:
    mean = np.array([3.0, -1.0])
    np.testing.assert_array_equal(acquisition.ucb(mean, np.ones(2), np.ones(2), k1=0.0, k2=0.0), mean)


def test_uncertainty_is_ucb_less_the_mean() -> None:
    parts = np.random.default_rng(0).random((3, 5))
    np.testing.assert_allclose(acquisition.uncertainty(*parts), acquisition.ucb(*parts) - parts[0])


def test_ucb_gradient_is_its_weights() -> None:
    parts = [torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    gradients = torch.autograd.grad(acquisition.ucb(*parts, k1=0.3, k2=0.7).sum(), parts)
    assert [gradient[0].item() for gradient in gradients] == [1.0, 0.7, 0.3]
