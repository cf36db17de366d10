import numpy as np
import pytest

from boshnas.surrogates.combined import CombinedSurrogate, stacking_weight


def test_the_better_predictor_gets_the_weight() -> None:
    good, bad = np.zeros(50), np.full(50, -5.0)
    assert stacking_weight(good, bad) > 0.95
    assert stacking_weight(bad, good) < 0.05


def test_weight_is_the_maximum_of_its_formula() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(2, 30))
    grid = np.linspace(0.001, 0.999, 999)[:, None]
    value = np.log(grid * np.exp(p) + (1 - grid) * np.exp(q)).sum(1) + np.log(grid[:, 0]) + np.log(1 - grid[:, 0])
    assert stacking_weight(p, q) == pytest.approx(grid[value.argmax(), 0], abs=0.002)


def test_few_rows_keep_both() -> None:
    assert 0.25 <= stacking_weight(np.zeros(1), np.full(1, -1e4)) <= 0.75


def test_moments_are_the_mixtures() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(25, 3))
    surrogate = CombinedSurrogate(num_steps=40, random_state=0).fit(X, X[:, 0] ** 2)
    w, Z = surrogate.network_weight_, (X - surrogate.x_offset_) / surrogate.x_scale_
    net, teacher, gp = (part.posterior(Z) for part in (surrogate.npn_, surrogate.teacher_student_, surrogate.gp_))
    variance = w * (teacher.epistemic_std**2 + net.aleatoric_std**2 + net.mean**2)
    variance += (1 - w) * (gp.std**2 + gp.mean**2)
    mean = w * net.mean + (1 - w) * gp.mean
    posterior = surrogate.posterior(X)
    np.testing.assert_allclose(posterior.mean, surrogate.y_offset_ + surrogate.y_scale_ * mean)
    np.testing.assert_allclose(posterior.std, surrogate.y_scale_ * np.sqrt(variance - mean**2))
