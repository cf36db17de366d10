import numpy as np
import pytest
import torch

from boshnas.errors import InputError
from boshnas.surrogates.npn import NPNSurrogate, _folds, _Likelihood
from boshnas.surrogates.repeats import Measurements


def tensor(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_aleatoric_recovers_heteroscedastic_noise() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 1))
    noise = np.where(X[:, 0] < 0, 0.1, 1.0)
    surrogate = NPNSurrogate(random_state=0).fit(X, 2 * X[:, 0] + noise * rng.normal(size=400))
    quiet, loud = surrogate.posterior(np.array([[-0.6], [0.6]])).aleatoric_std
    assert 0.05 < quiet < 0.55  # the prior pulls it up
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


@pytest.mark.parametrize("is_known", [False, True])
def test_slopes_are_those_of_the_likelihood(is_known: bool) -> None:
    mean, variance = (torch.rand(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    y, count, scatter = tensor(1.0, -0.5, 2.0), tensor(1.0, 3.0, 1.0), tensor(0.0, 0.7, 0.0)
    noise, known = 0.3, torch.tensor([False, False, is_known])
    data = Measurements(torch.zeros(3, 1), y, count, scatter, torch.where(known, noise, torch.nan))
    kept = tensor([1.0, 1.0, 1.0], [0.0, 1.0, 1.0])
    floored, squares = variance + 1e-4, (y - mean).square()
    apart = (count * squares + scatter) / floored + count * floored.log()
    prior = 10 * (0.5 / floored + floored.log()) / kept.sum(1, keepdim=True)
    told = squares / noise + noise / floored + floored.log()
    loss = 0.5 * (torch.where(known, told, apart + prior) * kept).sum(1) / kept.sum(1)
    expected = torch.autograd.grad(loss.sum(), (mean, variance))
    for slope, right in zip(_Likelihood.of(data, kept).slopes(mean, variance), expected, strict=True):
        torch.testing.assert_close(slope, right)


def test_repeats_say_the_same_as_their_mean_and_scatter() -> None:
    def slopes(y: torch.Tensor, count: torch.Tensor, scatter: torch.Tensor) -> list[float]:
        data = Measurements(torch.zeros(len(y), 1), y, count, scatter, torch.full_like(y, torch.nan))
        # The prior, a row each, is taken away: its slope in the variance s is ½ · 10 (1 − 0.5/s)/s a row.
        kept, variance = torch.ones(1, len(y), dtype=torch.float64), tensor(0.7) + 1e-4
        prior = 0.5 * 10 * (1 - 0.5 / variance) / variance
        found = _Likelihood.of(data, kept).slopes(torch.zeros(1, len(y)), torch.full((1, len(y)), 0.7))
        return [float(found[0].sum() * len(y)), float(found[1].sum() * len(y) - prior)]

    together = slopes(tensor(2.0, 5.0), tensor(2.0, 1.0), tensor(2.0, 0.0))
    apart = slopes(tensor(1.0, 3.0, 5.0), torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    assert together == pytest.approx(apart)


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
