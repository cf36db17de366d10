import numpy as np
import pytest
import torch

from boshnas.ascent import Ascent, gradient_and_hessian_diagonal, value_and_gradient


def wavy(X: torch.Tensor) -> torch.Tensor:
    return torch.sin(X).prod(dim=1) + (X**4).sum(dim=1) * X[:, 0]


def test_gradient_and_diagonal_are_finite_differences() -> None:
    X = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
    values, gradient, diagonal = gradient_and_hessian_diagonal(wavy, X, torch.Generator())
    torch.testing.assert_close(values, wavy(X))
    step = 1e-4
    for j in range(4):
        move = torch.zeros(4, dtype=X.dtype)
        move[j] = step
        above, here, below = wavy(X + move), wavy(X), wavy(X - move)
        torch.testing.assert_close(gradient[:, j], (above - below) / (2 * step), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(diagonal[:, j], (above - 2 * here + below) / step**2, rtol=1e-4, atol=1e-5)


def test_estimate_above_64_coordinates_is_exact_for_a_diagonal_hessian() -> None:
    X = torch.tensor(np.random.default_rng(0).normal(size=(2, 70)))
    diagonal = gradient_and_hessian_diagonal(lambda x: (x**3).sum(1), X, torch.Generator().manual_seed(0))[2]
    torch.testing.assert_close(diagonal, 6 * X)


def test_estimate_is_right_on_average() -> None:
    A = torch.tensor(np.random.default_rng(1).normal(size=(70, 70)))
    A, X = A + A.T, torch.zeros(1, 70, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    draws = [gradient_and_hessian_diagonal(lambda x: 0.5 * (x @ A * x).sum(1), X, generator)[2] for _ in range(1000)]
    assert (torch.stack(draws).mean(0)[0] - A.diagonal()).abs().max() < 2.0  # one draw deviates by about 12


def test_linear_function_has_no_curvature() -> None:
    X = torch.ones(2, 3, dtype=torch.float64)
    _, gradient, diagonal = gradient_and_hessian_diagonal(lambda x: x.sum(1), X, torch.Generator())
    assert gradient.eq(1).all()
    assert diagonal.eq(0).all()


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_climbs_a_quadratic_whatever_its_scales(scale: float) -> None:
    peak = torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    curvature = scale * torch.tensor([1.0, 100.0], dtype=torch.float64)
    X = torch.zeros(1, 2, dtype=torch.float64)
    optimizer = Ascent(second_order=True, generator=torch.Generator())
    for _ in range(100):
        X, _ = optimizer.step(lambda x: -(curvature * (x - peak) ** 2).sum(1), X)
    torch.testing.assert_close(X, peak, atol=0.02, rtol=0)


def test_first_order_steps_are_those_of_adam() -> None:
    X = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
    reference = X.clone().requires_grad_(True)
    adam = torch.optim.Adam([reference], lr=0.05, eps=1e-12, maximize=True)
    ascent = Ascent(second_order=False, generator=torch.Generator())
    for _ in range(5):
        adam.zero_grad()
        wavy(reference).sum().backward()
        adam.step()
        X, _ = ascent.step(wavy, X)
    torch.testing.assert_close(X, reference.detach())


def test_first_order_needs_no_second_derivative() -> None:
    class OnceDifferentiable(torch.autograd.Function):
        @staticmethod
        def forward(context, x):  # type: ignore[no-untyped-def]
            context.save_for_backward(x)
            return x.square().sum(1)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, slope):  # type: ignore[no-untyped-def]
            return slope[:, None] * 2 * context.saved_tensors[0]

    X = torch.ones(2, 3, dtype=torch.float64)
    values, gradient = value_and_gradient(OnceDifferentiable.apply, X)
    assert values.tolist() == [3, 3]
    assert gradient.eq(2).all()


def test_no_coordinate_moves_further_than_the_bound() -> None:
    X = torch.zeros(1, 2, dtype=torch.float64)
    moved, _ = Ascent(second_order=True, max_step=0.1, generator=torch.Generator()).step(lambda x: 1e6 * x.sum(1), X)
    torch.testing.assert_close(moved, torch.full_like(X, 0.1))
