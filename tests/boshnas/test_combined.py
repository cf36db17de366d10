import numpy as np
import pytest
import torch

from boshnas.surrogates.combined import CombinedSurrogate, stacking_weight


def test_the_better_predictor_gets_the_weight() -> None:
    good, bad = np.zeros(50), np.full(50, -5.0)
    assert stacking_weight(good, bad, 1.0) > 0.95
    assert stacking_weight(bad, good, 1.0) < 0.05


def test_weight_is_the_maximum_of_its_formula() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(2, 30))
    grid = np.linspace(0.001, 0.999, 999)[:, None]
    value = np.log(grid * np.exp(p) + (1 - grid) * np.exp(q)).sum(1) + np.log(grid[:, 0]) + np.log(1 - grid[:, 0])
    assert stacking_weight(p, q, 1.0) == pytest.approx(grid[value.argmax(), 0], abs=0.002)


def test_few_rows_keep_both() -> None:
    assert 0.25 <= stacking_weight(np.zeros(1), np.full(1, -1e4), 1.0) <= 0.75


def test_moments_are_the_mixtures() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(25, 3))
    surrogate = CombinedSurrogate(num_steps=40, random_state=0).fit(X, X[:, 0] ** 2)
    rows = torch.tensor(X)
    w, scale = surrogate.network_weight_, surrogate.noise_scale_
    net, gp = ([part.numpy() for part in model.predict_warped(rows)] for model in (surrogate.npn_, surrogate.gp_))
    square = w * (net[0] ** 2 + net[1] ** 2 + scale * net[2] ** 2) + (1 - w) * (gp[0] ** 2 + gp[1] ** 2 + gp[2] ** 2)
    mean, epistemic, aleatoric = (part.numpy() for part in surrogate.predict_warped(rows))
    np.testing.assert_allclose(mean, w * net[0] + (1 - w) * gp[0])
    np.testing.assert_allclose(epistemic**2 + aleatoric**2, square - mean**2)
    np.testing.assert_allclose(aleatoric**2, w * net[2] ** 2 + (1 - w) * gp[2] ** 2)


def test_more_data_leave_the_noise_and_take_the_rest() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(300, 2))
    y = np.sin(3 * X[:, 0]) + X[:, 1] + 0.3 * rng.normal(size=300)
    few, many = (CombinedSurrogate(random_state=0).fit(X[:n], y[:n]).posterior(X) for n in (20, 300))
    assert many.epistemic_std.mean() < 0.6 * few.epistemic_std.mean()
    assert many.aleatoric_std.mean() == pytest.approx(0.3, rel=0.25)


def test_groups_reach_the_process() -> None:
    X = np.random.default_rng(0).integers(0, 2, size=(20, 4)) * 1.0
    surrogate = CombinedSurrogate(groups=(0, 0, 1, 1), num_steps=5, random_state=0).fit(X, X[:, 0])
    inverse = surrogate.gp_.process_.kernel.inverse_lengthscale
    assert inverse[0] == inverse[1]
    assert inverse[2] == inverse[3]
    assert inverse[0] != inverse[2]


def test_repeats_teach_how_the_noise_depends_on_x() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(rng.uniform(-1, 1, size=(60, 4)), 3, axis=0)
    noise = np.where(X[:, 1] > 0, 1.0, 0.1)
    surrogate = CombinedSurrogate(random_state=0, num_steps=40).fit(X, X[:, 0] + noise * rng.normal(size=180))
    quiet, loud = surrogate.posterior([[0.0, -0.7, 0.0, 0.0], [0.0, 0.7, 0.0, 0.0]]).aleatoric_std
    assert quiet < 0.25
    assert 0.6 < loud < 1.5
