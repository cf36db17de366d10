"""How small networks are trained and large pools computed on: what costs is calls and threads, not arithmetic."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

Shape = tuple[int, ...]

_BLOCK = 512  # rows computed on at once: bounds the memory over large pools, and fits the cache
_MIN_BLOCKS = 128  # that more than one thread is started for


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


def in_blocks(function: Callable[[torch.Tensor], torch.Tensor], X: torch.Tensor) -> torch.Tensor:
    """A function of many rows, without gradients: in blocks, of large pools as many at a time as torch may use threads.

    Args:
        function: Maps rows (n, d) to an array (..., n), each column depending on its own row only.
        X: Rows, shape (N, d).

    Returns:
        Shape (..., N).
    """
    num_threads = torch.get_num_threads()
    blocks = torch.split(X, _BLOCK)

    @torch.no_grad()  # holds for the thread that it is called in
    def apply(block: torch.Tensor) -> torch.Tensor:
        return function(block)

    with one_thread():
        if num_threads == 1 or len(blocks) < _MIN_BLOCKS:
            return torch.cat([apply(block) for block in blocks], dim=-1)
        with ThreadPoolExecutor(num_threads) as pool:
            return torch.cat(list(pool.map(apply, blocks)), dim=-1)


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


def autograd(loss: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The gradient of a scalar function of parameters."""

    def gradient(parameters: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            parameters = parameters.detach().requires_grad_(True)
            return torch.autograd.grad(loss(parameters), parameters)[0]

    return gradient


@torch.no_grad()
def adam(
    gradient: Callable[[torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    *,
    num_steps: int,
    learning_rate: float,
) -> torch.Tensor:
    """Minimise a loss over its parameters; the rate falls to zero along a half cosine.

    Adam works element by element: the sum of M losses trains M independent networks at once.

    Args:
        gradient: Maps parameters to the loss's derivative in them, both of start's shape.
        start: Where to begin; not changed.
        num_steps: At least 1.
        learning_rate: At the first step.

    Returns:
        Last parameters.

    Reference:
        Kingma and Ba 2015, arXiv 1412.6980, algorithm 1.
    """
    parameters = start.clone()
    first, second = torch.zeros_like(start), torch.zeros_like(start)
    for step in range(1, num_steps + 1):
        slope = gradient(parameters)
        first.mul_(0.9).add_(slope, alpha=0.1)
        second.mul_(0.999).addcmul_(slope, slope, value=0.001)
        rate = learning_rate * 0.5 * (1 + math.cos(math.pi * (step - 1) / num_steps)) / (1 - 0.9**step)
        parameters.addcdiv_(first, (second / (1 - 0.999**step)).sqrt_().add_(1e-8), value=-rate)
    return parameters
