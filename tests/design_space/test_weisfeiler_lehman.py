"""Weisfeiler-Lehman features: those of a plain implementation on networkx graphs; distances in their space."""

import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from design_space import Architecture, DesignSpace, Head, Layer, MixedLayer
from design_space.distance import wl_distances, wl_features
from design_space.graph import to_graph

Draw = Callable[[np.random.Generator], Architecture]
Label = tuple[object, ...]
MINI = DesignSpace.load("flexibert_mini")


def counts_by_dictionary(architecture: Architecture, num_iterations: int) -> Counter[Label]:
    """Labels of all iterations, each with the iteration that it belongs to; a new one is the nested tuple itself."""
    graph = to_graph(architecture)
    labels: dict[int, Label] = {node: (label,) for node, label in graph.nodes(data="label")}
    counts = Counter((0, label) for label in labels.values())
    for iteration in range(1, num_iterations + 1):
        before = {node: sorted(labels[other] for other in graph.predecessors(node)) for node in graph}
        after = {node: sorted(labels[other] for other in graph.successors(node)) for node in graph}
        nested: dict[int, Label] = {node: (labels[node], tuple(before[node]), tuple(after[node])) for node in graph}
        labels = {node: (str(label),) for node, label in nested.items()}  # texts can be sorted
        counts.update((iteration, label) for label in labels.values())
    return counts


def kernel_by_dictionary(architectures: list[Architecture], num_iterations: int) -> NDArray[np.float64]:
    counts = [counts_by_dictionary(each, num_iterations) for each in architectures]
    products = [[sum(one[label] * other[label] for label in one) for other in counts] for one in counts]
    return np.array(products, dtype=float)


def kernel(architectures: list[Architecture], num_iterations: int = 3) -> NDArray[np.float64]:
    features = wl_features(architectures, num_iterations)
    return np.asarray((features @ features.T).toarray())


@pytest.mark.parametrize("num_iterations", [0, 1, 2, 3])
def test_kernel_is_that_of_a_plain_implementation(draw: Draw, draw_mixed: Draw, num_iterations: int) -> None:
    rng = np.random.default_rng(num_iterations)
    some = [drawing(rng) for drawing in (draw, draw_mixed) for _ in range(15)]
    some += [Architecture(each.layers[::-1]) for each in some[::3]]
    np.testing.assert_array_equal(kernel(some, num_iterations), kernel_by_dictionary(some, num_iterations))


@pytest.mark.parametrize("name", ["flexibert_mini", "flexibert_2"])
def test_kernel_of_a_shipped_space_is_that_of_a_plain_implementation(name: str) -> None:
    some = DesignSpace.load(name).sample(2, 12, np.random.default_rng(0))
    np.testing.assert_array_equal(kernel(some), kernel_by_dictionary(some, 3))


def test_features_by_hand() -> None:
    one = Architecture((Layer("sa", "sdp", 128, 2, (512,)),))
    # input, sa, sa, add_norm, f512, add_norm, output; then both heads alike, and nothing else
    assert sorted(wl_features([one], 0).data) == [1, 1, 1, 2, 2]
    assert sorted(wl_features([one], 1).data) == sorted([1, 1, 1, 2, 2, 1, 2, 1, 1, 1, 1])


@pytest.mark.parametrize("num_iterations", [0, 1, 3])
def test_each_iteration_counts_every_node_once(draw_mixed: Draw, num_iterations: int) -> None:
    rng = np.random.default_rng(0)
    some = [draw_mixed(rng) for _ in range(8)]
    features = wl_features(some, num_iterations)
    num_nodes = [len(to_graph(architecture)) for architecture in some]
    np.testing.assert_array_equal(features.sum(axis=1), (num_iterations + 1) * np.array(num_nodes))
    assert features.dtype == np.float64


def test_no_iteration_counts_labels_alone(draw: Draw) -> None:
    rng = np.random.default_rng(1)
    some = [draw(rng) for _ in range(20)]
    counts = [Counter(label for _, label in to_graph(each).nodes(data="label")) for each in some]
    names = sorted(set(itertools.chain.from_iterable(counts)))
    table = np.array([[each[name] for name in names] for each in counts])
    features = wl_features(some, 0).toarray()
    assert features.shape == table.shape
    assert sorted(map(tuple, features.T)) == sorted(map(tuple, table.T))  # the same columns in another order


def test_distance_by_hand_without_iterations() -> None:
    one = Architecture((Layer("sa", "sdp", 128, 2, (512,)),))
    other = Architecture((Layer("sa", "wma", 128, 2, (512,)),))
    # input, output, f512 once, add_norm twice in both; the two heads in one alone: 7 of 11
    assert wl_distances([one], [other], num_iterations=0)[0, 0] == pytest.approx(np.sqrt(2 - 2 * 7 / 11), rel=1e-6)


def test_order_of_heads_changes_nothing_that_of_layers_does() -> None:
    heads = [Head("sa", "sdp", 64), Head("l", "dct", 32), Head("c", "9", 32)]
    first, second = MixedLayer(tuple(heads), 128, (512,)), MixedLayer(tuple(heads[:1]), 256, (1024,))
    turned = MixedLayer(tuple(heads[::-1]), 128, (512,))
    one, same, other = Architecture((first, second)), Architecture((turned, second)), Architecture((second, first))
    assert wl_distances([one], [same])[0, 0] == pytest.approx(0, abs=1e-6)
    assert wl_distances([one], [other])[0, 0] > 0.1
    assert wl_distances([one], [other], num_iterations=0)[0, 0] == pytest.approx(0, abs=1e-6)


def test_distances_are_symmetric_zero_for_equal_ones_alone_and_at_most_root_two(draw: Draw, draw_mixed: Draw) -> None:
    rng = np.random.default_rng(2)
    some = [drawing(rng) for drawing in (draw, draw_mixed) for _ in range(25)]
    some += [some[0], some[30]]
    matrix = wl_distances(some)
    assert matrix.dtype == np.float32
    assert (matrix == matrix.T).all()
    assert (np.diag(matrix) == 0).all()
    equal = np.array([[one == other for other in some] for one in some])
    assert matrix[equal].max() < 1e-6
    assert matrix[~equal].min() > 0.01
    assert matrix.max() <= np.float32(np.sqrt(2))


def test_small_different_architectures_lie_apart() -> None:
    layers = [Layer(*o, 16, n, f) for o in (("sa", "sdp"), ("l", "dft")) for n in (1, 2) for f in ((24,), (24, 40))]
    some = [Architecture(stack) for depth in (1, 2) for stack in itertools.product(layers, repeat=depth)]
    matrix = wl_distances(some)
    assert matrix[~np.eye(len(some), dtype=bool)].min() > 0.01


def test_rows_and_columns_give_what_the_whole_matrix_has() -> None:
    some = MINI.sample(2, 40, np.random.default_rng(3))
    whole = wl_distances(some)
    np.testing.assert_allclose(wl_distances(some[:7], some[5:]), whole[:7, 5:], atol=1e-6)
    np.testing.assert_allclose(wl_distances(some, some), whole, atol=1e-6)


def test_blocks_change_nothing_and_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    some = MINI.sample(2, 30, np.random.default_rng(4))
    whole = wl_distances(some[:20], some)
    monkeypatch.setattr("design_space.distance.weisfeiler_lehman._BLOCK", 8)
    told: list[tuple[int, int]] = []
    np.testing.assert_allclose(wl_distances(some[:20], some, lambda *cells: told.append(cells)), whole, atol=1e-6)
    assert told == [(240, 600), (480, 600), (600, 600)]


def test_no_architectures_make_an_empty_matrix() -> None:
    some = MINI.sample(1, 3, np.random.default_rng(0))
    assert wl_distances([]).shape == (0, 0)
    assert wl_distances(some, []).shape == (3, 0)
    assert wl_distances([], some).shape == (0, 3)
