from collections.abc import Callable

import numpy as np
import pytest

from design_space import Architecture, Layer
from design_space.neighbors import MIN_OVERLAP, best_parent, biased_overlap

A = Layer("sa", "sdp", 128, 2, (512,))
A_WIDE_FEED_FORWARD = Layer("sa", "sdp", 128, 2, (1024,))
B = Layer("l", "dft", 128, 2, (512,))
Draw = Callable[[np.random.Generator], Architecture]


def stack(*layers: Layer) -> Architecture:
    return Architecture(layers)


@pytest.mark.parametrize(
    ("source", "target", "overlap"),
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
def test_overlap_by_hand(source: Architecture, target: Architecture, overlap: float) -> None:
    assert biased_overlap(source, target) == overlap


@pytest.mark.parametrize("seed", range(20))
def test_overlap_with_itself_is_one_and_falls_with_the_place_of_a_change(draw: Draw, seed: int) -> None:
    architecture = draw(np.random.default_rng(seed))
    depth = len(architecture.layers)
    assert biased_overlap(architecture, architecture) == 1.0
    foreign = Layer("sa", "sdp", 48, 3, (7,))
    overlaps = []
    for place in range(depth):
        changed = (*architecture.layers[:place], foreign, *architecture.layers[place + 1 :])
        overlaps.append(biased_overlap(Architecture(changed), architecture))
    assert overlaps == [place / depth for place in range(depth)]


def test_prefix_counts_in_the_target() -> None:
    assert biased_overlap(stack(A, B), stack(A, B, A, B)) == 0.5
    assert biased_overlap(stack(A, B, A, B), stack(A, B)) == 1.0


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
