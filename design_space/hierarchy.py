"""From the best of a coarse level to the candidates of the next, finer one."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from design_space.architecture import Architecture, Layer
from design_space.space import DesignSpace


def first_candidates(space: DesignSpace, limit: int, rng: np.random.Generator) -> list[Architecture]:
    """All of level 1, or a uniform sample of it where it is larger than `limit`."""
    return space.sample(1, limit, rng)


def refine(
    space: DesignSpace,
    level: int,
    best: Sequence[Architecture],
    neighbors: Sequence[Architecture],
    limit: int,
    rng: np.random.Generator,
) -> list[Architecture]:
    """Candidates of a finer level around and between good architectures.

    Around: each one-layer change of a best architecture that the level allows. Between: stacks that take each layer
    from one of two architectures of equal depth, the one a best one, the other a best one or a neighbour.

    Args:
        space: Holds the levels.
        level: The finer level, from 2.
        best: Good architectures of the coarser levels, best first.
        neighbors: Architectures close to them.
        limit: At most so many; beyond it the best ones, and a uniform sample of the others.
        rng: Source of randomness for that sample.

    Returns:
        Distinct architectures of the level, `best` among them where the level contains them.
    """
    found: dict[Architecture, None] = {}
    for architecture in best:
        found.setdefault(architecture)
        found.update(dict.fromkeys(_one_layer_changes(space, level, architecture)))
    for one, other in itertools.product(best, [*best, *neighbors]):
        if len(one.layers) == len(other.layers) and one != other:
            found.update(dict.fromkeys(_mixes(one, other, limit, rng)))
    candidates = [architecture for architecture in found if space.refusal(architecture, level) is None]
    if len(candidates) <= limit:
        return candidates
    good = set(best)
    kept = [index for index, architecture in enumerate(candidates) if architecture in good][:limit]
    others = np.setdiff1d(np.arange(len(candidates)), kept)
    drawn = rng.choice(others, size=limit - len(kept), replace=False)
    return [candidates[index] for index in sorted([*kept, *drawn.tolist()])]


def nearest(best: NDArray[np.float64], rows: NDArray[np.float64], num_neighbors: int) -> NDArray[np.intp]:
    """Rows nearest to any of some points.

    Args:
        best: Points, shape (k, d).
        rows: Candidates, shape (n, d).
        num_neighbors: For each point.

    Returns:
        Distinct row numbers, nearest first point by point, shape (<= k × num_neighbors,).
    """
    distances = np.linalg.norm(rows[None, :, :] - best[:, None, :], axis=-1)
    order = np.argsort(distances, axis=1, kind="stable")[:, :num_neighbors]
    return np.array(list(dict.fromkeys(order.ravel().tolist())), dtype=np.intp)


def _one_layer_changes(space: DesignSpace, level: int, architecture: Architecture) -> Iterator[Architecture]:
    """Every architecture that differs in one field of one layer."""
    layers = space.layers(level)
    for slot, layer in enumerate(architecture.layers):
        for other in layers:
            if _num_differences(layer, other) == 1:
                yield Architecture((*architecture.layers[:slot], other, *architecture.layers[slot + 1 :]))


def _num_differences(one: Layer, other: Layer) -> int:
    differ = [
        field.name for field in dataclasses.fields(Layer) if getattr(one, field.name) != getattr(other, field.name)
    ]
    # An operation and its parameter change together.
    return len(set(differ) - {"parameter"}) if "operation" in differ else len(differ)


def _mixes(one: Architecture, other: Architecture, limit: int, rng: np.random.Generator) -> Iterator[Architecture]:
    """Architectures that take each layer from one of two; all of them, or `limit` random ones."""
    depth = len(one.layers)
    if 2**depth <= limit:
        masks: Sequence[Sequence[bool]] = list(itertools.product([False, True], repeat=depth))
    else:
        masks = (rng.random((limit, depth)) < 0.5).tolist()
    pairs = list(zip(one.layers, other.layers, strict=True))
    for mask in masks:
        yield Architecture(tuple(pair[take] for pair, take in zip(pairs, mask, strict=True)))
