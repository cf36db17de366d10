import numpy as np
import pytest
import torch

from boshnas.surrogates.warp import Warp


def skewed(num_rows: int = 200) -> np.ndarray:
    return 90 - np.exp(np.random.default_rng(0).normal(size=num_rows) * 1.2)


def test_inverse_undoes_it_and_order_stays() -> None:
    y = skewed()
    warp = Warp.fit(y)
    np.testing.assert_allclose(warp.inverse(torch.tensor(warp(y))), y)
    assert (np.diff(warp(np.sort(y))) > 0).all()
    assert warp(y).mean() == pytest.approx(0, abs=1e-12)
    assert warp(y).std() == pytest.approx(1)


def test_only_a_low_tail_is_compressed() -> None:
    normal = np.random.default_rng(0).normal(size=400)
    assert Warp.fit(skewed()).strength > 0.5
    assert Warp.fit(normal).strength <= 0.5
    assert Warp.fit(-skewed()).strength == 0  # a high tail is what a search is after


def test_strength_is_the_likeliest_by_the_density_of_the_values() -> None:
    y = skewed(60)
    warp = Warp.fit(y)

    def log_density(strength: float) -> float:
        u = (y - warp.center) / warp.scale
        w = u if strength == 0 else np.where(u < 0, np.arcsinh(strength * u) / strength, u)
        slope = 1 / np.sqrt(1 + (strength * np.minimum(u, 0)) ** 2)
        z = (w - w.mean()) / w.std()
        return float((-0.5 * z**2 - np.log(w.std()) + np.log(slope)).sum())

    assert warp.strength == max((0.0, 0.5, 1.0, 2.0), key=log_density)


def test_slope_is_the_finite_difference() -> None:
    y = skewed()
    warp, step = Warp.fit(y), 1e-6
    np.testing.assert_allclose(warp.slope(y), (warp(y + step) - warp(y - step)) / (2 * step), rtol=1e-5)


def test_moments_agree_with_monte_carlo() -> None:
    warp = Warp.fit(skewed())
    rng = np.random.default_rng(1)
    for mean, std in [(-1.0, 0.3), (0.0, 0.5), (1.0, 0.2)]:
        sample = warp.inverse(torch.tensor(rng.normal(mean, std, 400_000))).numpy()
        first, second = warp.moments(torch.tensor([mean]).double(), torch.tensor([std]).double())
        assert first.item() == pytest.approx(sample.mean(), rel=0.01)
        assert second.item() == pytest.approx(sample.std(), rel=0.03)


def test_without_compression_moments_are_exact() -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0])
    warp = Warp.fit(y)
    assert warp.strength == 0
    first, second = warp.moments(torch.zeros(1).double(), torch.ones(1).double())
    assert (first.item(), second.item()) == (pytest.approx(2.5), pytest.approx(y.std()))


def test_nothing_is_believed_far_below_the_worst() -> None:
    y = skewed()
    mean, std = Warp.fit(y).moments(torch.tensor([-50.0]).double(), torch.tensor([5.0]).double())
    assert mean.isfinite().all()
    assert std.isfinite().all()
    assert y.min() - 10 * np.ptp(y) < mean.item() < y.min()


@pytest.mark.parametrize("y", [[3.0], [5.0, 5.0, 5.0], [0.0, 0.0, 0.0, 1.0], [1e-12, 2e-12, 4e-12]])
def test_few_or_constant_values(y: list[float]) -> None:
    values = np.array(y)
    warp = Warp.fit(values)
    assert np.isfinite(warp(values)).all()
    np.testing.assert_allclose(warp.inverse(torch.tensor(warp(values))), values, rtol=1e-9, atol=1e-15)
