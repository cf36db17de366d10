"""Nearest rows and greatest overlaps: those of brute force, first come first of equals, in blocks or at once."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from design_space import Architecture, DesignSpace, Head, Layer, MixedLayer
from design_space.neighbors import MIN_OVERLAP, best_parent, most_overlapping, nearest, overlap

A = Layer("sa", "sdp", 128, 2, (512,))
A_WIDE_FEED_FORWARD = Layer("sa", "sdp", 128, 2, (1024,))
B = Layer("l", "dft", 128, 2, (512,))
Draw = Callable[[np.random.Generator], Architecture]


def stack(*layers: Layer | MixedLayer) -> Architecture:
    return Architecture(layers)


def overlap_by_definition(source: Architecture, target: Architecture) -> float:
    """Blocks of the target, from the input on, that the source has too, up to the first difference."""
    blocks: list[list[object]] = [[], []]
    for architecture, found in zip((source, target), blocks, strict=True):
        for layer in architecture.layers:
            operation = layer.heads if isinstance(layer, MixedLayer) else (layer.operation, layer.parameter)
            found += [(operation, layer.hidden_size, layer.num_heads), layer.feed_forward]
    num_equal = 0
    for ours, theirs in zip(*blocks, strict=False):
        if ours != theirs:
            break
        num_equal += 1
    return num_equal / len(blocks[1])


def brute_force(
    distances: NDArray[np.float64] | list[list[float]], number: int
) -> tuple[list[list[int]], list[list[float]]]:
    """The least entries of each row and their places: a stable sort puts the first of equals first."""
    order = [sorted(range(len(row)), key=lambda place, row=row: row[place])[:number] for row in distances]
    return order, [[row[place] for place in places] for row, places in zip(distances, order, strict=True)]


def test_nearest_rows_by_hand_nearest_first_of_equals_the_first() -> None:
    rows = np.array([[3.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 5.0], [-1.0, 0.0]])
    numbers, distances = nearest(np.array([[0.0, 0.0], [0.0, 4.0]]), rows, 3)
    assert numbers.tolist() == [[3, 1, 2], [4, 2, 3]]
    np.testing.assert_allclose(distances, [[0, 1, 1], [1, 3, 4]])
    assert (numbers.dtype, distances.dtype) == (np.intp, np.float64)


@pytest.mark.parametrize("number", [0, 1, 2, 7, 29, 30, 31, 100])
@pytest.mark.parametrize("block_cells", [1, 60, 100, 20_000_000])
def test_nearest_agrees_with_brute_force_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch, number: int, block_cells: int
) -> None:
    monkeypatch.setattr("design_space.neighbors._BLOCK_CELLS", block_cells)
    rng = np.random.default_rng(number)
    points, rows = rng.integers(3, size=(17, 2)) * 1.0, rng.integers(3, size=(30, 2)) * 1.0  # many are equal
    plain = np.sqrt(((points[:, None] - rows) ** 2).sum(axis=2))
    order, least = brute_force(plain, number)
    numbers, distances = nearest(points, rows, number)
    assert numbers.shape == distances.shape == (17, min(number, 30))
    assert numbers.tolist() == order
    np.testing.assert_allclose(distances, np.array(least).reshape(distances.shape))


def test_of_all_equal_rows_the_first_ones_are_nearest() -> None:
    numbers, distances = nearest(np.zeros((2, 3)), np.ones((9, 3)), 4)
    assert numbers.tolist() == [[0, 1, 2, 3]] * 2
    np.testing.assert_allclose(distances, np.sqrt(3))


def test_no_points_and_no_rows_have_no_neighbors() -> None:
    assert [found.shape for found in nearest(np.empty((0, 2)), np.ones((5, 2)), 3)] == [(0, 3)] * 2
    assert [found.shape for found in nearest(np.ones((5, 2)), np.empty((0, 2)), 3)] == [(5, 0)] * 2
    assert [found.shape for found in most_overlapping([], [stack(A)], 3)] == [(0, 1)] * 2
    assert [found.shape for found in most_overlapping([stack(A)], [], 3)] == [(1, 0)] * 2


@pytest.mark.parametrize(("number", "block_cells"), [(1, 20_000_000), (3, 1), (10, 100), (1000, 20_000_000)])
def test_greatest_overlaps_agree_with_a_double_loop(
    monkeypatch: pytest.MonkeyPatch, draw_mixed: Draw, number: int, block_cells: int
) -> None:
    monkeypatch.setattr("design_space.neighbors._BLOCK_CELLS", block_cells)
    rng = np.random.default_rng(number)
    some = DesignSpace.load("flexibert_mini").sample(2, 10, rng) + [draw_mixed(rng) for _ in range(10)]
    # Others that share a beginning with one of them: so overlaps of all sizes occur, and ties.
    starts = [(some[index], int(rng.integers(1, 4))) for index in rng.integers(20, size=30)]
    some += [Architecture((*each.layers[:length], *each.layers[:1])) for each, length in starts]
    targets, sources = some[::2], some[1::2] + some[:5]
    negated = [[-overlap_by_definition(source, target) for source in sources] for target in targets]
    order, least = brute_force(negated, number)
    numbers, overlaps = most_overlapping(targets, sources, number)
    assert numbers.tolist() == order
    assert (-overlaps).tolist() == least
    assert len({overlap for row in negated for overlap in row}) > 5


def test_overlap_of_mixed_heads_by_hand() -> None:
    heads = (Head("sa", "sdp", 64), Head("l", "dct", 64))
    mixed, turned = MixedLayer(heads, 128, (512,)), MixedLayer(heads[::-1], 128, (512,))
    assert overlap(stack(mixed, mixed), stack(turned, turned)) == 1.0
    assert overlap(stack(mixed, MixedLayer(heads, 128, (1024,))), stack(mixed, mixed)) == 0.75
    assert overlap(stack(mixed, MixedLayer(heads[:1] * 2, 128, (512,))), stack(mixed, mixed)) == 0.5
    assert overlap(stack(MixedLayer(heads[:1] * 2, 128, (512,))), stack(A)) == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_overlap_of_one_pair_is_that_of_many(draw: Draw, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, sources = [draw(rng) for _ in range(8)], [draw(rng) for _ in range(6)]
    sources += [Architecture(each.layers[:1]) for each in targets]
    numbers, overlaps = most_overlapping(targets, sources, len(sources))
    for target, places, row in zip(targets, numbers, overlaps, strict=True):
        assert [overlap(sources[place], target) for place in places] == row.tolist()
        assert sorted(row, reverse=True) == row.tolist()
        assert row[0] > 0


@pytest.mark.parametrize(
    ("source", "target", "share"),
    [
        (stack(A, A), stack(A, A), 1.0),
        (stack(A, A), stack(A, B), 0.5),  # layer 2: other operation
        (stack(A, A), stack(A, A_WIDE_FEED_FORWARD), 0.75),  # layer 2: same operation
        (stack(A_WIDE_FEED_FORWARD, A), stack(A, A), 0.25),  # nothing counts after the first difference
        (stack(B, A), stack(A, A), 0.0),
        (stack(A), stack(A, A), 0.5),
        (stack(A, A), stack(A), 1.0),
        (stack(A, A, B, A), stack(A, A, A, A), 0.5),
        (stack(Layer("sa", "wma", 128, 2, (512,))), stack(A), 0.0),
        (stack(Layer("sa", "sdp", 256, 2, (512,))), stack(A), 0.0),
        (stack(Layer("sa", "sdp", 128, 4, (512,))), stack(A), 0.0),
        (stack(Layer("sa", "sdp", 128, 2, (512, 512))), stack(A), 0.5),
    ],
)
def test_overlap_by_hand(source: Architecture, target: Architecture, share: float) -> None:
    assert overlap(source, target) == share


@pytest.mark.parametrize("seed", range(20))
def test_overlap_with_itself_is_one_and_falls_with_the_place_of_a_change(draw: Draw, seed: int) -> None:
    architecture = draw(np.random.default_rng(seed))
    depth = len(architecture.layers)
    assert overlap(architecture, architecture) == 1.0
    foreign = Layer("sa", "sdp", 48, 3, (7,))
    overlaps = []
    for place in range(depth):
        changed = (*architecture.layers[:place], foreign, *architecture.layers[place + 1 :])
        overlaps.append(overlap(Architecture(changed), architecture))
    assert overlaps == [place / depth for place in range(depth)]


def test_prefix_counts_in_the_target() -> None:
    assert overlap(stack(A, B), stack(A, B, A, B)) == 0.5
    assert overlap(stack(A, B, A, B), stack(A, B)) == 1.0


def test_best_parent_has_the_greatest_overlap_and_the_first_of_equals_wins() -> None:
    target = stack(A, A, A, A, A)
    half_layer = stack(A, A, A, A, A_WIDE_FEED_FORWARD)
    last_differs, other = stack(A, A, A, A, B), stack(A, A, A, A)
    assert best_parent(target, [last_differs, half_layer, other]) == (half_layer, 0.9)
    assert best_parent(target, [last_differs, other]) == (last_differs, 0.8)
    assert best_parent(target, [other, last_differs]) == (other, 0.8)


def test_best_parent_needs_the_least_overlap() -> None:
    target = stack(A, A)
    close = stack(A, A_WIDE_FEED_FORWARD)
    assert MIN_OVERLAP == 0.8
    assert best_parent(target, [close]) is None
    assert best_parent(target, []) is None
    assert best_parent(target, [close], min_overlap=0.75) == (close, 0.75)
