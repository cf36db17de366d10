"""Where in the pool is an acquisition greatest? By gradient ascent (GOBI) or by scoring every row.

Symbols: N candidates, d features, R restarts. Distances and steps are in units of the pool's bounding box.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from boshnas.ascent import Ascent, RowFunction
from boshnas.surrogates.training import in_blocks, one_thread


class Box:
    """Bounding box of a pool, and the map between features and [0, 1]^d (a constant feature stays at 0).

    Args:
        X: Rows of the pool, shape (N, d).
    """

    def __init__(self, X: NDArray[np.float64]) -> None:
        self.low: NDArray[np.float64] = X.min(axis=0)
        self.span: NDArray[np.float64] = np.ptp(X, axis=0)
        self._scale = np.where(self.span > 0, self.span, 1.0)

    def to_unit(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features (n, d) as fractions of the box."""
        unit: NDArray[np.float64] = (X - self.low) / self._scale
        return unit

    def to_features(self, unit: torch.Tensor) -> torch.Tensor:
        """Fractions (n, d) as features; differentiable."""
        return torch.as_tensor(self.low) + unit * torch.as_tensor(self.span)


def exhaustive(value: RowFunction, X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Value of every row, shape (N,); in blocks, so that memory does not grow with N.

    Args:
        value: What to evaluate.
        X: Candidates, shape (N, d).
    """
    return in_blocks(value, torch.tensor(X)).numpy()


def ascend(
    value: RowFunction,
    starts: NDArray[np.float64],
    box: Box,
    *,
    second_order: bool,
    num_steps: int = 20,
    generator: torch.Generator,
) -> NDArray[np.float64]:
    """Ascent of a value, all starts at once, kept inside the box.

    Args:
        value: What to maximise, of features.
        starts: Features, shape (R, d).
        box: Bounds of every feature.
        second_order: By AdaHessian rather than Adam.
        num_steps: Of either.
        generator: For its estimate where d > 64.

    Returns:
        The best point that each start passed, shape (R, d), as features.
    """
    unit = torch.tensor(box.to_unit(starts))
    ends = climb(
        lambda points: value(box.to_features(points)),
        unit,
        second_order=second_order,
        num_steps=num_steps,
        generator=generator,
    )
    return box.to_features(ends).numpy()


@one_thread()
def climb(
    function: RowFunction,
    starts: torch.Tensor,
    *,
    second_order: bool,
    num_steps: int = 20,
    generator: torch.Generator,
) -> torch.Tensor:
    """Ascent in [0, 1]^d, all starts at once.

    Args:
        function: What to maximise, each output depending on its own row only; twice differentiable for AdaHessian.
        starts: Shape (R, d).
        second_order: By AdaHessian rather than Adam.
        num_steps: Of either.
        generator: For its estimate where d > 64.

    Returns:
        The best point that each start passed, shape (R, d).
    """
    points = starts.clamp(0, 1)
    best, best_values = points, torch.full((len(points),), -torch.inf, dtype=points.dtype)
    optimizer = Ascent(second_order=second_order, generator=generator)
    for _ in range(num_steps):
        moved, values = optimizer.step(function, points)
        better = values > best_values
        best, best_values = torch.where(better[:, None], points, best), torch.where(better, values, best_values)
        # One bound a coordinate, so that a box below zero is as good as one above.
        points = moved.clamp(0, 1)
    with torch.no_grad():
        return torch.where((function(points) > best_values)[:, None], points, best)


def nearest(points: NDArray[np.float64], X: NDArray[np.float64], box: Box, num_nearest: int) -> NDArray[np.intp]:
    """Rows of X that are nearest to some points.

    Args:
        points: Shape (R, d).
        X: Candidates, shape (N, d).
        box: Gives the unit of distance.
        num_nearest: For each point.

    Returns:
        Distinct row numbers, ascending, at most R·num_nearest.
    """
    distances = cdist(box.to_unit(points), box.to_unit(X), "sqeuclidean")
    if num_nearest < len(X):
        return np.unique(np.argpartition(distances, num_nearest - 1, axis=1)[:, :num_nearest])
    return np.arange(len(X))


def gobi(
    value: RowFunction,
    X: NDArray[np.float64],
    box: Box,
    *,
    second_order: bool = False,
    num_wanted: int = 1,
    num_restarts: int = 8,
    num_sampled: int = 2048,
    num_steps: int = 20,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Gradient ascent from several cold restarts, then the candidates nearest to the end points.

    Half of the starts are the best of a random sample of candidates, half are random. The sample's best rows are
    candidates as good as any near an end point, so they are shortlisted too.

    Args:
        value: What to maximise, of features.
        X: Unseen candidates, shape (N, d), N >= 1.
        box: Of the whole pool.
        second_order: By AdaHessian, as published, rather than Adam.
        num_wanted: How many proposals the shortlist is for: so many neighbours of each end point are kept.
        num_restarts: R.
        num_sampled: Size of the random sample.
        num_steps: Of the ascent.
        rng: Draws sample and starts.

    Returns:
        Shortlist of distinct rows of X, best first, at least min(num_wanted, N).

    Reference:
        Tuli, Dedhia, Tuli, Jha 2022, arXiv 2205.11656, algorithm 1.
    """
    sample = rng.permutation(len(X))[:num_sampled]
    by_value = sample[np.argsort(-exhaustive(value, X[sample]), kind="stable")]
    num_best = min(len(sample), (num_restarts + 1) // 2)
    starts = np.concatenate([by_value[:num_best], rng.choice(sample, num_restarts - num_restarts // 2)])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    ends = ascend(value, X[starts], box, second_order=second_order, num_steps=num_steps, generator=generator)
    shortlist = np.union1d(nearest(ends, X, box, num_wanted), by_value[:num_wanted])
    return shortlist[np.argsort(-exhaustive(value, X[shortlist]), kind="stable")]
