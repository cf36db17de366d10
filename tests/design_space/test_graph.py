from collections import Counter
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from design_space import Architecture, Layer
from design_space.graph import operation_label, to_graph


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


def test_label_of_a_convolution_holds_its_kernel() -> None:
    assert operation_label(Layer("c", "9", 256, 4, (512,))) == "c_h256_p-9"


@pytest.mark.parametrize("seed", range(5))
def test_nodes_edges_and_order(draw: Callable[[np.random.Generator], Architecture], seed: int) -> None:
    architecture = draw(np.random.default_rng(seed))
    graph = to_graph(architecture)
    num_heads = sum(layer.num_heads for layer in architecture.layers)
    num_sizes = sum(len(layer.feed_forward) for layer in architecture.layers)
    assert len(graph) == 2 + num_heads + num_sizes + 2 * len(architecture.layers)
    assert graph.number_of_edges() == 1 + 2 * num_heads + num_sizes + 3 * len(architecture.layers)
    assert all(source < target for source, target in graph.edges)
    assert nx.is_weakly_connected(graph)
    labels = Counter(label for _, label in graph.nodes(data="label"))
    assert (labels["input"], labels["output"], labels["add_norm"]) == (1, 1, 2 * len(architecture.layers))
