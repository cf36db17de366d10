"""From the best of a coarse level to the candidates of the next, finer one."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from design_space.architecture import Architecture
from design_space.space import DesignSpace
from design_space.variation import mutations


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

    Around: each one-step mutation of a best architecture. Between: each stack of layers is taken from
    one of two architectures of equal depth, the one a best one, the other a best one or a neighbour.

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
    per_stack = space.layers_per_stack(level)
    found: dict[Architecture, None] = {}
    for architecture in best:
        found.setdefault(architecture)
        found.update(dict.fromkeys(mutations(space, level, architecture)))
    for one, other in itertools.product(best, [*best, *neighbors]):
        if len(one.layers) == len(other.layers) and one != other:
            found.update(dict.fromkeys(_mixes(one, other, per_stack, limit, rng)))
    candidates = [architecture for architecture in found if space.refusal(architecture, level) is None]
    if len(candidates) <= limit:
        return candidates
    good = set(best)
    kept = [index for index, architecture in enumerate(candidates) if architecture in good][:limit]
    others = np.setdiff1d(np.arange(len(candidates)), kept)
    drawn = rng.choice(others, size=limit - len(kept), replace=False)
    return [candidates[index] for index in sorted([*kept, *drawn.tolist()])]


def _mixes(
    one: Architecture, other: Architecture, per_stack: int, limit: int, rng: np.random.Generator
) -> Iterator[Architecture]:
    """Architectures that take each stack of layers from one of two; all of them, or `limit` random ones."""
    num_stacks = len(one.layers) // per_stack
    if 2**num_stacks <= limit:
        masks: Sequence[Sequence[bool]] = list(itertools.product([False, True], repeat=num_stacks))
    else:
        masks = (rng.random((limit, num_stacks)) < 0.5).tolist()
    pairs = list(zip(one.layers, other.layers, strict=True))
    for mask in masks:
        yield Architecture(tuple(pair[mask[slot // per_stack]] for slot, pair in enumerate(pairs)))
