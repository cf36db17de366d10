"""Ascent of a batch of independent points, by gradients and, where asked, by the Hessian's diagonal.

Symbols: R points, d coordinates, f maps (R, d) to (R,), row by row.
"""

from collections.abc import Callable

import torch

RowFunction = Callable[[torch.Tensor], torch.Tensor]

_EXACT_UP_TO = 64  # coordinates; beyond, one random product in place of d


def value_and_gradient(function: RowFunction, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and gradient at every point.

    Args:
        function: f, each output depending on its own row only; differentiable.
        X: Points, shape (R, d).

    Returns:
        Values (R,) and gradients (R, d), detached.
    """
    points = X.detach().requires_grad_(True)
    values = function(points)
    (gradient,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), gradient


def gradient_and_hessian_diagonal(
    function: RowFunction, X: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Value, gradient and the Hessian's diagonal at every point.

    Exact up to 64 coordinates, by d Hessian-vector products in one batch; above, Hutchinson's estimate z∘(Hz) with one
    vector z of random signs.

    Args:
        function: f, each output depending on its own row only; twice differentiable.
        X: Points, shape (R, d).
        generator: Draws z; untouched up to 64 coordinates.

    Returns:
        Values (R,), gradients (R, d) and diagonals (R, d), all detached.

    Reference:
        Yao et al. 2021, arXiv 2006.00719, equation 5.
    """
    points = X.detach().requires_grad_(True)
    values = function(points)
    (gradient,) = torch.autograd.grad(values.sum(), points, create_graph=True)
    if not gradient.requires_grad:  # f is linear
        return values.detach(), gradient.detach(), torch.zeros_like(X)
    num_coordinates = X.shape[1]
    if num_coordinates <= _EXACT_UP_TO:
        directions = torch.eye(num_coordinates, dtype=X.dtype)[:, None, :].expand(-1, len(X), -1)
        (products,) = torch.autograd.grad(gradient, points, directions, is_grads_batched=True)  # (d, R, d)
        diagonal = products.diagonal(dim1=0, dim2=2)
    else:
        signs = torch.randint(2, X.shape, generator=generator).to(X) * 2 - 1
        (product,) = torch.autograd.grad(gradient, points, signs)
        diagonal = signs * product
    return values.detach(), gradient.detach(), diagonal.detach()


class Ascent:
    """Ascent with momentum: Adam, or AdaHessian, whose steps are scaled by the Hessian's diagonal.

    Args:
        second_order: AdaHessian.
        betas: Decay of the means of the gradient and of the square that scales it, in [0, 1).
        max_step: Bound on the move of one coordinate in one step: where f is flat a Newton step is not to be trusted.
        generator: For Hutchinson's estimate.

    Reference:
        Kingma, Ba 2015, arXiv 1412.6980, algorithm 1; Yao et al. 2021, arXiv 2006.00719, algorithm 1 (Hessian power 1,
        no spatial averaging).
    """

    def __init__(
        self,
        *,
        second_order: bool,
        betas: tuple[float, float] = (0.9, 0.999),
        max_step: float = 0.2,
        generator: torch.Generator,
    ) -> None:
        self._second_order = second_order
        # Of a Newton step; of the box.
        self._learning_rate = 0.5 if second_order else 0.05
        self._betas = betas
        self._max_step = max_step
        self._generator = generator
        self._num_steps = 0
        self._first: torch.Tensor | None = None
        self._second: torch.Tensor | None = None

    def step(self, function: RowFunction, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One ascent step of every point.

        Args:
            function: What to maximise, see `value_and_gradient`; twice differentiable for AdaHessian.
            X: Points, shape (R, d), of a box of width 1; the same points in the same order at every step.

        Returns:
            Moved points (R, d) and the values (R,) before the move.
        """
        if self._second_order:
            values, gradient, scale = gradient_and_hessian_diagonal(function, X, self._generator)
        else:
            values, gradient = value_and_gradient(function, X)
            scale = gradient
        beta1, beta2 = self._betas
        if self._first is None or self._second is None:
            self._first, self._second = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self._num_steps += 1
        self._first = beta1 * self._first + (1 - beta1) * gradient
        self._second = beta2 * self._second + (1 - beta2) * scale.square()
        mean = self._first / (1 - beta1**self._num_steps)
        root = (self._second / (1 - beta2**self._num_steps)).sqrt() + 1e-12
        move = (self._learning_rate * mean / root).clamp(-self._max_step, self._max_step)
        return X + move, values
