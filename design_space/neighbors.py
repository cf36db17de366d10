"""Which trained architecture can lend its weights."""

from collections.abc import Iterable

from design_space.architecture import Architecture

MIN_OVERLAP = 0.8


def biased_overlap(source: Architecture, target: Architecture) -> float:
    """Share of the target's blocks, from the input on, that the source has too.

    A layer has two blocks: its operation (with hidden size and heads) and its feed-forward stack. Counting stops at the
    first difference. Embeddings are not counted.

    Args:
        source: Trained architecture.
        target: Architecture to start.

    Returns:
        In [0, 1]; 1 where all blocks of the target stand in the source.
    """
    equal = 0
    for ours, theirs in zip(target.layers, source.layers, strict=False):
        same_operation = (ours.operation, ours.parameter, ours.hidden_size, ours.num_heads) == (
            theirs.operation,
            theirs.parameter,
            theirs.hidden_size,
            theirs.num_heads,
        )
        equal += same_operation
        if ours != theirs:
            break
        equal += 1
    return equal / (2 * len(target.layers))


def best_parent(
    target: Architecture, trained: Iterable[Architecture], min_overlap: float = MIN_OVERLAP
) -> tuple[Architecture, float] | None:
    """The trained architecture with the greatest biased overlap, if that is enough.

    Args:
        target: Architecture to start.
        trained: Architectures with trained weights; of equals the first wins.
        min_overlap: Least overlap worth a transfer.

    Returns:
        The parent and its overlap, or None.
    """
    best: tuple[Architecture, float] | None = None
    for source in trained:
        overlap = biased_overlap(source, target)
        if overlap >= min_overlap and (best is None or overlap > best[1]):
            best = (source, overlap)
    return best
