"""What every surrogate promises."""

import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from boshnas import surrogates
from boshnas.errors import InputError
from boshnas.surrogates import (
    CombinedSurrogate,
    GPSurrogate,
    NPNSurrogate,
    Surrogate,
    TeacherStudentSurrogate,
)

SURROGATES = [
    NPNSurrogate(num_steps=60, random_state=0),
    TeacherStudentSurrogate(num_steps=60, random_state=0),
    GPSurrogate(max_steps=15, random_state=0),
    CombinedSurrogate(num_steps=30, max_steps=10, random_state=0),
]

each = pytest.mark.parametrize("surrogate", SURROGATES, ids=lambda surrogate: type(surrogate).__name__)


def data(num_rows: int = 40, num_features: int = 4) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(num_rows, num_features))
    return X, 70 + 2 * np.sin(X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=num_rows)


@each
def test_is_a_scikit_learn_estimator(surrogate: Surrogate) -> None:
    small = clone(surrogate)
    if isinstance(small, CombinedSurrogate):
        small.set_params(num_members=2, num_steps=10, max_steps=3, hidden_size=8)
    elif not isinstance(small, GPSurrogate):
        small.set_params(num_steps=40, hidden_size=16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(small)


@each
def test_learns(surrogate: Surrogate) -> None:
    X, y = data(60)
    assert np.corrcoef(clone(surrogate).fit(X[:45], y[:45]).predict(X[45:]), y[45:])[0, 1] > 0.7


@each
def test_posterior_has_the_contracts_form(surrogate: Surrogate) -> None:
    X, y = data()
    model = clone(surrogate).fit(X, y)
    posterior = model.posterior(X[:7])
    for part in (posterior.mean, posterior.epistemic_std, posterior.aleatoric_std):
        assert part.shape == (7,)
        assert part.dtype == np.float64
        assert np.isfinite(part).all()
    assert (posterior.epistemic_std >= 0).all()
    assert (posterior.aleatoric_std > 0).all()
    mean, std = model.predict(X[:7], return_std=True)
    np.testing.assert_array_equal(mean, posterior.mean)
    np.testing.assert_array_equal(std, posterior.std)


@each
def test_speaks_the_objectives_own_unit(surrogate: Surrogate) -> None:
    X, y = data()
    plain, scaled = clone(surrogate).fit(X, y).posterior(X), clone(surrogate).fit(X, 1000 * y - 7).posterior(X)
    np.testing.assert_allclose(scaled.mean, 1000 * plain.mean - 7, rtol=1e-4)
    np.testing.assert_allclose(scaled.epistemic_std, 1000 * plain.epistemic_std, rtol=1e-2, atol=1e-9)
    np.testing.assert_allclose(scaled.aleatoric_std, 1000 * plain.aleatoric_std, rtol=1e-2)


@each
def test_units_of_features_do_not_matter(surrogate: Surrogate) -> None:
    X, y = data()
    factor, shift = np.array([1e3, 1e-3, 1.0, 10.0]), np.array([5.0, -1.0, 0.0, 100.0])
    plain, scaled = (
        clone(surrogate).fit(X, y).predict(X),
        clone(surrogate).fit(X * factor + shift, y).predict(X * factor + shift),
    )
    np.testing.assert_allclose(scaled, plain, rtol=1e-4)


@each
def test_gradient_is_the_finite_difference(surrogate: Surrogate) -> None:
    X, y = data()
    model = clone(surrogate).fit(X, y)
    points = torch.tensor(X[:3] + 0.1, requires_grad=True)
    step = 1e-5
    for index in range(3):
        part = model.posterior_tensors(points)[index]
        gradient = torch.zeros_like(points)  # of a part that is the same everywhere
        if part.requires_grad:
            (gradient,) = torch.autograd.grad(part.sum(), points)
        for j in range(X.shape[1]):
            move = torch.zeros(X.shape[1], dtype=torch.float64)
            move[j] = step
            with torch.no_grad():
                above, below = (model.posterior_tensors(points + sign * move)[index] for sign in (1, -1))
            torch.testing.assert_close(gradient[:, j], (above - below) / (2 * step), rtol=1e-3, atol=1e-4)


@each
def test_can_be_differentiated_twice_at_a_training_row(surrogate: Surrogate) -> None:
    X, y = data()
    model = clone(surrogate).fit(X, y)
    points = torch.tensor(X[:3], requires_grad=True)
    total = sum(part.sum() for part in model.posterior_tensors(points))
    assert isinstance(total, torch.Tensor)
    (gradient,) = torch.autograd.grad(total, points, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), points)
    assert gradient.isfinite().all()
    assert second.isfinite().all()


@each
def test_same_seed_same_belief_and_global_state_untouched(surrogate: Surrogate) -> None:
    X, y = data()
    before = torch.random.get_rng_state(), np.random.get_state(legacy=True)[1].copy()  # type: ignore[index]
    first, second = (clone(surrogate).fit(X, y).posterior(X) for _ in range(2))
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.epistemic_std, second.epistemic_std)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state(legacy=True)[1])  # type: ignore[index]


@each
@pytest.mark.parametrize("num_rows", [1, 2, 3])
def test_few_rows(surrogate: Surrogate, num_rows: int) -> None:
    X, y = data()
    posterior = clone(surrogate).fit(X[:num_rows], y[:num_rows]).posterior(X)
    assert np.isfinite(posterior.mean).all()
    assert np.isfinite(posterior.std).all()


@each
def test_constant_objective_and_feature_and_repeated_rows(surrogate: Surrogate) -> None:
    X, _ = data(12)
    X[:, 2] = 5.0
    X[6:] = X[:6]
    posterior = clone(surrogate).fit(X, np.full(12, 80.0)).posterior(X)
    np.testing.assert_allclose(posterior.mean, 80.0, atol=2.0)
    assert np.isfinite(posterior.std).all()


@each
def test_noise_may_be_given_with_gaps(surrogate: Surrogate) -> None:
    X, y = data(20)
    noise = np.where(np.arange(20) % 2, 0.1, np.nan)
    assert np.isfinite(clone(surrogate).fit(X, y, noise_std=noise).posterior(X).std).all()


@each
def test_refuses_noise_of_another_length_or_negative(surrogate: Surrogate) -> None:
    X, y = data(5)
    with pytest.raises(InputError, match=r"noise_std must have shape \(5,\)"):
        clone(surrogate).fit(X, y, noise_std=[0.1])
    with pytest.raises(InputError, match=r"noise_std must be finite and >= 0, got .*-1"):
        clone(surrogate).fit(X, y, noise_std=np.full(5, -1.0))


@pytest.mark.parametrize("surrogate", SURROGATES[1:], ids=lambda surrogate: type(surrogate).__name__)
def test_less_is_known_far_from_the_data(surrogate: Surrogate) -> None:
    X, y = data()
    model = clone(surrogate).fit(X, y)
    assert model.posterior(5 * X).epistemic_std.mean() > 1.5 * model.posterior(X).epistemic_std.mean()


def test_default_is_the_combination() -> None:
    assert isinstance(surrogates.default(), CombinedSurrogate)


@each
def test_a_repeated_measurement_is_information(surrogate: Surrogate) -> None:
    X, y = data()
    target = X[:1]
    value = clone(surrogate).fit(X, y).predict(target)[0] + 3  # type: ignore[operator]
    once, often = (
        clone(surrogate).fit(np.concatenate([X[1:], *[target] * n]), np.append(y[1:], [value] * n)).predict(target)[0]
        for n in (1, 12)
    )
    assert abs(often - value) < abs(once - value)


@each
def test_draws_scatter_around_the_mean(surrogate: Surrogate) -> None:
    X, y = data()
    model = clone(surrogate).fit(X, y)
    rows = torch.tensor(X)
    draws = torch.stack([model.draw(torch.Generator().manual_seed(seed))(rows).detach() for seed in range(60)])
    mean, epistemic, _ = (part.detach() for part in model.predict_warped(rows))
    assert ((draws.mean(0) - mean).abs() < epistemic + 0.3).float().mean() > 0.8
    assert torch.equal(
        model.draw(torch.Generator().manual_seed(3))(rows), model.draw(torch.Generator().manual_seed(3))(rows)
    )
    assert not torch.equal(draws[0], draws[1]) or not torch.equal(draws[1], draws[2])
