import numpy as np
import pytest
import torch

from boshnas.errors import InputError
from boshnas.surrogates.npn import NPNSurrogate, _folds, _forward, _shapes, npn_linear, relu_moments
from boshnas.surrogates.repeats import Measurements
from boshnas.surrogates.training import num_parameters


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
    assert 0.05 < quiet < 0.4  # the prior pulls it up
    assert loud == pytest.approx(1.0, rel=0.3)


def test_known_noise_teaches_the_aleatoric_std() -> None:
    X = np.linspace(-1, 1, 40)[:, None]
    surrogate = NPNSurrogate(random_state=0).fit(X, 2 * X[:, 0], noise_std=np.full(40, 0.5))
    np.testing.assert_allclose(surrogate.posterior(X).aleatoric_std, 0.5, rtol=0.1)


def test_held_out_predictions_come_from_a_member_that_has_not_seen_the_row() -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    y = X[:, 0]
    y[7] = 50.0  # nobody could predict it
    surrogate = NPNSurrogate(random_state=0).fit(X, y)
    seen = surrogate.warp_(y)
    held_out, _ = surrogate.held_out_
    assert abs(held_out[7] - seen[7]) > 0.5 * seen[7]
    assert np.corrcoef(np.delete(held_out, 7), np.delete(seen, 7))[0, 1] > 0.9


def test_folds_are_even_and_do_not_move_when_rows_follow() -> None:
    few, many = (_folds(n, 5, torch.Generator().manual_seed(0)) for n in (23, 60))
    assert torch.equal(few, many[:23])
    assert many.bincount().tolist() == [12] * 5


def test_repeats_say_the_same_as_their_mean_and_scatter() -> None:
    weights, data = torch.randn(2, num_parameters(_shapes(1, 8)), dtype=torch.float64), tensor([0.5], [0.5], [1.0])
    y = tensor(1.0, 3.0, 5.0)
    apart = Measurements(data, y, torch.ones(3), torch.zeros(3), torch.full((3,), torch.nan))
    together = Measurements(data[1:], tensor(2.0, 5.0), tensor(2.0, 1.0), tensor(2.0, 0.0), torch.full((2,), torch.nan))
    surrogate, shapes = NPNSurrogate(num_members=2, hidden_size=8, weight_decay=0.0), _shapes(1, 8)

    # The likelihoods differ by nothing; the rest of the loss, a row each, is taken away.
    def likelihood(measured: Measurements) -> float:
        kept = torch.ones(2, len(measured), dtype=torch.float64)
        mean, variance = _forward(weights, measured.X, shapes)
        prior = (0.5 / variance + variance.log()).sum(1) / len(measured) * 10
        loss = surrogate._loss(weights, data=measured, kept=kept, shapes=shapes)
        return float(loss * len(measured) - 0.5 * prior.sum())

    assert likelihood(together) == pytest.approx(likelihood(apart))


def test_starts_from_the_fit_before() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X[:, 0] * X[:, 1]
    cold, warm = (NPNSurrogate(num_steps=8, warm_start=is_warm, random_state=0) for is_warm in (False, True))
    assert warm.fit(X, y).score(X, y) == cold.fit(X, y).score(X, y)
    for _ in range(10):
        warm.fit(X, y)
    assert 1 - warm.score(X, y) < 0.5 * (1 - cold.fit(X, y).score(X, y))


def test_an_ensemble_has_two_members_at_least() -> None:
    with pytest.raises(InputError, match="num_members must be at least 2, got 1"):
        NPNSurrogate(num_members=1).fit([[0.0], [1.0]], [0.0, 1.0])
