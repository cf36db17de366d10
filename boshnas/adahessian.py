"""AdaHessian over a batch of independent points: steps scaled by the Hessian's diagonal.

Symbols: R points, d coordinates, f maps (R, d) to (R,), row by row.
"""

from collections.abc import Callable

import torch

RowFunction = Callable[[torch.Tensor], torch.Tensor]

_EXACT_UP_TO = 64  # coordinates; beyond, one random product in place of d


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


class AdaHessian:
    """Ascent with momentum whose step is gradient over root mean square Hessian diagonal.

    Args:
        learning_rate: Step in units of a Newton step.
        betas: Decay of the means of the gradient and of the squared diagonal, in [0, 1).
        max_step: Bound on the move of one coordinate in one step: where f is flat a Newton step is not to be trusted.
        generator: For Hutchinson's estimate.

    Reference:
        Yao et al. 2021, arXiv 2006.00719, algorithm 1 (Hessian power 1, no spatial averaging).
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.5,
        betas: tuple[float, float] = (0.9, 0.999),
        max_step: float = 0.2,
        generator: torch.Generator,
    ) -> None:
        self._learning_rate = learning_rate
        self._betas = betas
        self._max_step = max_step
        self._generator = generator
        self._num_steps = 0
        self._first: torch.Tensor | None = None
        self._second: torch.Tensor | None = None

    def step(self, function: RowFunction, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One ascent step of every point.

        Args:
            function: What to maximise, see `gradient_and_hessian_diagonal`.
            X: Points, shape (R, d); the same points in the same order at every step.

        Returns:
            Moved points (R, d) and the values (R,) before the move.
        """
        values, gradient, diagonal = gradient_and_hessian_diagonal(function, X, self._generator)
        beta1, beta2 = self._betas
        if self._first is None or self._second is None:
            self._first, self._second = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self._num_steps += 1
        self._first = beta1 * self._first + (1 - beta1) * gradient
        self._second = beta2 * self._second + (1 - beta2) * diagonal.square()
        mean = self._first / (1 - beta1**self._num_steps)
        scale = (self._second / (1 - beta2**self._num_steps)).sqrt() + 1e-12
        move = (self._learning_rate * mean / scale).clamp(-self._max_step, self._max_step)
        return X + move, values
