"""Full-batch Adam on one flat parameter vector: the networks here are small, so per-call overhead is what costs."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

Shape = tuple[int, ...]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: arrays this small are done before several threads have met.

    Beside busy workers it is more than that: a thread that waits for a core keeps all others waiting, at every product.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def unpack(flat: torch.Tensor, shapes: Sequence[Shape]) -> list[torch.Tensor]:
    """Views of flat parameters as the arrays of a network.

    Args:
        flat: Parameters of M networks, shape (M, P).
        shapes: Of one network's arrays; their sizes add up to P.

    Returns:
        Arrays of shape (M, *shape).
    """
    parts = flat.split([math.prod(shape) for shape in shapes], dim=1)
    return [part.view(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]


def num_parameters(shapes: Sequence[Shape]) -> int:
    """P of one network with these arrays."""
    return sum(math.prod(shape) for shape in shapes)


def adam(
    loss: Callable[[torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    *,
    num_steps: int,
    learning_rate: float,
) -> torch.Tensor:
    """Minimise a loss over flat parameters; the rate falls to zero along a half cosine.

    Adam works element by element: the sum of M losses trains M independent networks at once.

    Args:
        loss: Maps parameters of start's shape to a scalar.
        start: Where to begin; not changed.
        num_steps: At least 1.
        learning_rate: At the first step.

    Returns:
        Last parameters, detached.

    Reference:
        Kingma and Ba 2015, arXiv 1412.6980, algorithm 1.
    """
    parameters = start.clone().requires_grad_(True)
    first, second = torch.zeros_like(start), torch.zeros_like(start)
    for step in range(1, num_steps + 1):
        (gradient,) = torch.autograd.grad(loss(parameters), parameters)
        first.mul_(0.9).add_(gradient, alpha=0.1)
        second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        rate = learning_rate * 0.5 * (1 + math.cos(math.pi * (step - 1) / num_steps)) / (1 - 0.9**step)
        with torch.no_grad():
            parameters.addcdiv_(first, (second / (1 - 0.999**step)).sqrt_().add_(1e-8), value=-rate)
    return parameters.detach()
