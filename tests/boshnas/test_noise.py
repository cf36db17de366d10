import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from boshnas.surrogates.noise import NoiseModel
from boshnas.surrogates.repeats import gather


def std_of(X: np.ndarray) -> np.ndarray:
    return 0.1 * np.exp(1.5 * X[:, 0] - X[:, 2])


def fit(X: np.ndarray, y: np.ndarray, noise_std: np.ndarray | None = None) -> NoiseModel | None:
    measured = gather(X, y, noise_std, 1e-6)
    return NoiseModel.fit(measured, None, max_steps=40, generator=torch.Generator())


def test_repeats_tell_the_noise_elsewhere() -> None:
    rng = np.random.default_rng(0)
    X, new = rng.uniform(-1, 1, (120, 5)), rng.uniform(-1, 1, (400, 5))
    rows = np.repeat(X, 3, axis=0)
    model = fit(rows, np.sin(3 * rows[:, 1]) + std_of(rows) * rng.normal(size=360))
    assert model is not None
    std = model.variance(torch.tensor(new)).sqrt().numpy()
    assert spearmanr(std, std_of(new)).statistic > 0.9
    assert np.median(std / std_of(new)) == pytest.approx(1, rel=0.2)  # the moments of log s² are taken out


def test_known_noise_tells_it_too() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (60, 5))
    model = fit(X, X[:, 1], std_of(X))
    assert model is not None
    assert spearmanr(model.variance(torch.tensor(X)).numpy(), std_of(X)).statistic > 0.98


def test_the_same_noise_everywhere_is_seen_as_such() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.uniform(-1, 1, (100, 3)), 4, axis=0)
    model = fit(rows, 0.5 * rng.normal(size=400))
    assert model is not None
    std = model.variance(torch.tensor(rows)).sqrt()
    assert std.max() / std.min() < 1.5
    assert std.mean().item() == pytest.approx(0.5, rel=0.15)


def test_few_rows_say_nothing() -> None:
    assert fit(np.repeat(np.arange(9.0)[:, None], 2, axis=0), np.arange(18.0)) is None


def test_measurements_that_agree_exactly() -> None:
    model = fit(np.repeat(np.arange(12.0)[:, None], 2, axis=0), np.repeat(np.arange(12.0), 2))
    assert model is not None
    assert model.variance(torch.zeros(1, 1, dtype=torch.float64)).isfinite().all()
