"""Graphs by hand; as arrays they are those of networkx; labels stand in the published order."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import yaml

from design_space import Architecture, DesignSpace, Head, Layer, MixedLayer
from design_space.graph import graph_arrays, head_labels, label_groups, operation_label, to_graph

Draw = Callable[[np.random.Generator], Architecture]


@pytest.fixture(params=["draw", "draw_mixed"])
def draw_either(request: pytest.FixtureRequest) -> Draw:
    """Draws an architecture of one form."""
    drawing: Draw = request.getfixturevalue(request.param)
    return drawing


def test_graph_of_one_layer_by_hand() -> None:
    graph = to_graph(Architecture((Layer("sa", "sdp", 128, 2, (512, 1024)),)))
    labels = [graph.nodes[node]["label"] for node in sorted(graph)]
    assert labels == ["input", "sa_h128_p-sdp", "sa_h128_p-sdp", "add_norm", "f512", "f1024", "add_norm", "output"]
    assert sorted(graph.edges) == [
        (0, 1),
        (0, 2),
        (0, 3),  # residual
        (1, 3),
        (2, 3),
        (3, 4),
        (3, 6),  # residual
        (4, 5),
        (5, 6),
        (6, 7),
    ]


def test_graph_of_one_layer_with_mixed_heads_by_hand() -> None:
    heads = (Head("c", "9", 32), Head("sa", "sdp", 64), Head("l", "dct", 32))
    graph = to_graph(Architecture((MixedLayer(heads, 128, (512,)),)))
    labels = [graph.nodes[node]["label"] for node in sorted(graph)]
    assert labels[:4] == ["input", "sa_h128_w64_p-sdp", "l_h128_w32_p-dct", "c_h128_w32_p-9"]
    assert labels[4:] == ["add_norm", "f512", "add_norm", "output"]
    residual = [(0, 4), (4, 6)]
    assert set(graph.edges) == {(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4), (4, 5), (5, 6), (6, 7), *residual}


def test_labels_of_operations() -> None:
    assert operation_label("c", 256, 9) == operation_label("c", 256, "9") == "c_h256_p-9"
    assert operation_label("sa", 128, "wma", 64) == "sa_h128_w64_p-wma"
    assert head_labels(Layer("c", "9", 256, 4, (512,))) == ["c_h256_p-9"] * 4
    assert head_labels(MixedLayer((Head("l", "dft", 8),) * 2, 16, (24,))) == ["l_h16_w8_p-dft"] * 2


@pytest.mark.parametrize("seed", range(5))
def test_nodes_edges_and_order(draw_either: Draw, seed: int) -> None:
    architecture = draw_either(np.random.default_rng(seed))
    graph = to_graph(architecture)
    num_heads = sum(layer.num_heads for layer in architecture.layers)
    num_sizes = sum(len(layer.feed_forward) for layer in architecture.layers)
    assert len(graph) == 2 + num_heads + num_sizes + 2 * len(architecture.layers)
    assert graph.number_of_edges() == 1 + 2 * num_heads + num_sizes + 3 * len(architecture.layers)
    assert all(source < target for source, target in graph.edges)
    assert nx.is_weakly_connected(graph)
    labels = Counter(label for _, label in graph.nodes(data="label"))
    assert (labels["input"], labels["output"], labels["add_norm"]) == (1, 1, 2 * len(architecture.layers))


def first_63_bits(label: str) -> int:
    return int(hashlib.sha256(label.encode()).hexdigest(), 16) >> (256 - 63)


def assert_arrays_hold_the_graphs(architectures: list[Architecture]) -> None:
    arrays = graph_arrays(architectures)
    assert arrays.num_graphs == len(architectures)
    assert arrays.labels.shape == arrays.graph_of.shape
    start, edges = 0, []
    for number, architecture in enumerate(architectures):
        graph = to_graph(architecture)
        nodes = slice(start, start + len(graph))
        assert arrays.labels[nodes].tolist() == [first_63_bits(graph.nodes[node]["label"]) for node in sorted(graph)]
        assert (arrays.graph_of[nodes] == number).all()
        edges += [(source + start, target + start) for source, target in graph.edges]
        start += len(graph)
    assert len(arrays.labels) == start
    assert arrays.edges.shape == (2, len(edges))
    assert sorted(zip(*arrays.edges.tolist(), strict=True)) == sorted(edges)


@pytest.mark.parametrize("seed", range(3))
def test_arrays_hold_exactly_the_nodes_and_edges_of_the_graphs(draw: Draw, draw_mixed: Draw, seed: int) -> None:
    rng = np.random.default_rng(seed)
    some = [drawing(rng) for drawing in (draw, draw_mixed) for _ in range(10)]
    order = rng.permutation(len(some))
    assert_arrays_hold_the_graphs([some[index] for index in order] + some[:3])  # both forms, some twice


@pytest.mark.parametrize("name", ["flexibert_mini", "flexibert_2"])
def test_arrays_hold_the_graphs_of_shipped_spaces(name: str) -> None:
    space = DesignSpace.load(name)
    assert_arrays_hold_the_graphs(space.sample(3, 20, np.random.default_rng(0)))


def test_arrays_of_a_single_layer_and_of_nothing() -> None:
    assert_arrays_hold_the_graphs([Architecture((Layer("sa", "sdp", 8, 1, (8,)),))])
    empty = graph_arrays([])
    assert empty.num_graphs == 0
    assert (empty.labels.shape, empty.graph_of.shape, empty.edges.shape) == ((0,), (0,), (2, 0))


def test_label_groups_in_the_published_order() -> None:
    assert label_groups(DesignSpace.load("flexibert_mini")) == [
        ["input", "output", "add_norm"],
        ["f512", "f1024"],
        ["l_h128_p-dft", "l_h128_p-dct", "l_h256_p-dft", "l_h256_p-dct"],
        ["sa_h128_p-sdp", "sa_h128_p-wma", "sa_h256_p-sdp", "sa_h256_p-wma"],
        ["c_h128_p-5", "c_h128_p-9", "c_h256_p-5", "c_h256_p-9"],
    ]


def test_label_groups_of_mixed_heads_stand_by_size_then_width_then_parameter() -> None:
    special, feed_forwards, transforms, attentions, convolutions = label_groups(DesignSpace.load("flexibert_2"))
    assert special == ["input", "output", "add_norm"]
    assert feed_forwards == ["f256", "f512", "f1024", "f2048", "f3072", "f4096"]
    widths = {128: (10, 16, 32, 64), 256: (21, 32, 64, 128), 512: (42, 64, 128, 256), 768: (64, 96, 192, 384)}
    places = [f"h{hidden_size}_w{width}" for hidden_size in widths for width in widths[hidden_size]]
    for group, operation, parameters in (
        (transforms, "l", ("dft", "dct")),
        (attentions, "sa", ("sdp", "wma")),
        (convolutions, "c", (5, 9, 13)),
    ):
        assert group == [f"{operation}_{place}_p-{p}" for place, p in itertools.product(places, parameters)]


@pytest.mark.parametrize("name", ["flexibert_mini", "flexibert_small", "flexibert_2"])
def test_order_of_labels_does_not_hang_on_the_order_in_the_file(tmp_path: Path, name: str) -> None:
    content = yaml.safe_load((resources.files("design_space") / "spaces" / f"{name}.yaml").read_text("utf-8"))
    choices = content["architecture"]
    for values in (*choices.values(), *choices["operation_parameters"].values()):
        if isinstance(values, list):
            values.reverse()
    path = tmp_path / "reversed.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    turned = DesignSpace.load(path)
    assert turned.content.architecture.operation_types == ["c", "l", "sa"]
    assert label_groups(turned) == label_groups(DesignSpace.load(name))


def test_an_operation_that_the_space_lacks_leaves_no_group(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(
        "architecture: {encoder_layers: [2], hidden_size: [16], num_heads: [2], operation_types: [sa],"
        " operation_parameters: {sa: [wma]}, feed-forward_hidden: [24], number_of_feed-forward_stacks: [2]}\n",
        "utf-8",
    )
    assert label_groups(DesignSpace.load(path)) == [["input", "output", "add_norm"], ["f24"], ["sa_h16_p-wma"]]


def labels_of(architectures: list[Architecture]) -> set[str]:
    return {label for each in architectures for _, label in to_graph(each).nodes(data="label")}


@pytest.mark.parametrize(("name", "num_labels"), [("flexibert_mini", 3 + 2 + 12), ("flexibert_2", 3 + 6 + 16 * 7)])
def test_label_groups_hold_each_label_of_random_members_once(name: str, num_labels: int) -> None:
    space = DesignSpace.load(name)
    known = list(itertools.chain.from_iterable(label_groups(space)))
    assert len(known) == len(set(known)) == num_labels
    for level in space.levels:
        assert labels_of(space.sample(level, 100, np.random.default_rng(level))) <= set(known)


def test_label_groups_hold_no_label_that_no_member_has() -> None:
    mini, mixed = DesignSpace.load("flexibert_mini"), DesignSpace.load("flexibert_2")
    assert labels_of(mini.sample(1, 200, np.random.default_rng(0))) == set(itertools.chain(*label_groups(mini)))
    # Few layers of a random member have two heads: so one member for each size and each number of equal heads.
    heads, sizes, stacks = (axis.values for axis in mixed.axes(1))
    alike = [several for several in heads if len(set(several)) == 1]
    members = [mixed.assemble(1, [[several], [size], [stacks[0]]]) for several in alike for size in sizes]
    members += [mixed.assemble(1, [[alike[0]], [sizes[0]], [stack]]) for stack in stacks]
    assert labels_of(members) == set(itertools.chain(*label_groups(mixed)))
