"""The id of an architecture: equal exactly where the labelled graphs are isomorphic, which networkx decides."""

import dataclasses
import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from design_space import Architecture, Head, Layer, MixedLayer
from design_space.graph import to_graph
from design_space.layer import AnyLayer

OTHERS = {"sa": ("sdp", "wma"), "l": ("dft", "dct"), "c": ("5", "9")}
UNIFORM = {"l": 2, "o": ["sa", "c"], "h": [128, 64], "n": [2, 4], "f": [[512], [64, 32]], "p": ["sdp", 9]}
MIXED = {"l": 2, "o": [["c_9_32", "sa_sdp_64"], ["l_dct_32"]], "h": [128, 64], "f": [[512], [64, 32]]}
Draw = Callable[[np.random.Generator], Architecture]


@pytest.fixture(params=["draw", "draw_mixed"])
def draw_either(request: pytest.FixtureRequest) -> Draw:
    """Draws an architecture of one form."""
    drawing: Draw = request.getfixturevalue(request.param)
    return drawing


def isomorphic(one: nx.DiGraph, other: nx.DiGraph) -> bool:
    labels = [Counter(label for _, label in graph.nodes(data="label")) for graph in (one, other)]
    if labels[0] != labels[1] or one.number_of_edges() != other.number_of_edges():
        return False  # necessary, and spares networkx the search
    match = nx.algorithms.isomorphism.categorical_node_match("label", None)
    return bool(nx.is_isomorphic(one, other, node_match=match))


def near_misses(architecture: Architecture) -> list[Architecture]:
    """Architectures that differ in one field of one layer, in the order of layers, or in depth."""
    fields = [["heads"]] if architecture.per_head else [["operation", "parameter"], ["num_heads"]]
    fields += [["feed_forward"], [field.name for field in dataclasses.fields(architecture.layers[0])]]
    pairs = itertools.combinations(range(len(architecture.layers)), 2)
    found = [swapped(architecture, one, two, several) for (one, two), several in itertools.product(pairs, fields)]
    for place, layer in enumerate(architecture.layers):
        changed = changed_heads(layer) if isinstance(layer, MixedLayer) else changed_operation(layer)
        changed.append(dataclasses.replace(layer, hidden_size=2 * layer.hidden_size))
        changed.append(dataclasses.replace(layer, feed_forward=(*layer.feed_forward, 24)))
        changed.append(dataclasses.replace(layer, feed_forward=(layer.feed_forward[0] + 1, *layer.feed_forward[1:])))
        for other in changed:
            found.append(Architecture((*architecture.layers[:place], other, *architecture.layers[place + 1 :])))
    found.append(Architecture((*architecture.layers, architecture.layers[-1])))
    return [miss for miss in dict.fromkeys(found) if miss != architecture]


def changed_operation(layer: Layer) -> list[AnyLayer]:
    """The layer with another operation, parameter or number of heads."""
    found: list[AnyLayer] = [
        dataclasses.replace(layer, operation=operation, parameter=parameter)
        for operation, parameters in OTHERS.items()
        for parameter in parameters
        if (operation, parameter) != (layer.operation, layer.parameter)
    ]
    return [*found, dataclasses.replace(layer, num_heads=2 * layer.num_heads)]


def changed_heads(layer: MixedLayer) -> list[AnyLayer]:
    """The layer with one head changed in one field, left out, or once more."""
    found: list[AnyLayer] = []
    for place, head in enumerate(layer.heads):
        rest = layer.heads[:place] + layer.heads[place + 1 :]
        others = [Head(operation, OTHERS[operation][0], head.width) for operation in OTHERS]
        others += [Head(head.operation, parameter, head.width) for parameter in OTHERS[head.operation]]
        others.append(Head(head.operation, head.parameter, 2 * head.width))
        several = [(*rest, other) for other in others if other != head]
        several += [rest] if rest else []
        found += [dataclasses.replace(layer, heads=heads) for heads in (*several, (*layer.heads, head))]
    return found


def swapped(architecture: Architecture, one: int, two: int, fields: list[str]) -> Architecture:
    """Two layers exchange some fields, so that most labels of the graph stay as they are."""
    layers = list(architecture.layers)
    for here, there in ((one, two), (two, one)):
        given = {field: getattr(architecture.layers[there], field) for field in fields}
        layers[here] = dataclasses.replace(layers[here], **given)
    return Architecture(tuple(layers))


@pytest.mark.parametrize(
    "canonical",
    [
        '{"f":[[512],[64,32]],"h":[128,64],"l":2,"n":[2,4],"o":["sa","c"],"p":["sdp",9]}',
        '{"f":[[512],[64]],"h":[128,64],"l":2,"o":[["sa_sdp_64","c_9_32"],["l_dct_32"]]}',
    ],
)
def test_id_is_the_digest_of_the_canonical_json(canonical: str) -> None:
    assert Architecture.from_json(canonical).id == hashlib.sha256(canonical.encode()).hexdigest()[:16]


@pytest.mark.parametrize("model_dict", [UNIFORM, MIXED])
def test_id_is_the_same_in_a_new_process(model_dict: dict[str, object]) -> None:
    code = (
        "import sys; from design_space import Architecture; print(Architecture.from_json(sys.argv[1]).id, hash('seed'))"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code, json.dumps(model_dict)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert printed[0][1] != printed[1][1]
    assert {line[0] for line in printed} == {Architecture.from_model_dict(model_dict).id}


def test_ids_are_equal_exactly_where_graphs_are_isomorphic_over_pairs_of_one_layer() -> None:
    choices = itertools.product([("sa", "sdp"), ("c", "5")], [16, 32], [1, 2], [(24,), (24, 24), (40, 24), (24, 40)])
    small = [Architecture((Layer(*operation, h, n, f),)) for operation, h, n, f in choices]
    for one, other in itertools.product(small, repeat=2):
        assert (one.id == other.id) == isomorphic(to_graph(one), to_graph(other)) == (one == other)


def test_ids_are_equal_exactly_where_graphs_are_isomorphic_over_pairs_of_one_layer_of_mixed_heads() -> None:
    heads = [Head("sa", "sdp", 8), Head("sa", "sdp", 16), Head("l", "dft", 8)]
    several = [*itertools.product(heads, repeat=2), *((head,) for head in heads)]
    small = [Architecture((MixedLayer(each, 16, (24,)),)) for each in several]
    small += [Architecture((Layer("sa", "sdp", 16, number, (24,)),)) for number in (1, 2)]
    pairs = list(itertools.product(small, repeat=2))
    for one, other in pairs:
        assert (one.id == other.id) == isomorphic(to_graph(one), to_graph(other)) == (one == other)
    assert sum(one.id == other.id for one, other in pairs) == len(small) + 2 * 3  # three pairs in the other order


def test_ids_are_equal_exactly_where_graphs_are_isomorphic_over_random_pairs(draw_either: Draw) -> None:
    rng = np.random.default_rng(0)
    pool = [draw_either(rng) for _ in range(12)]
    pool += [Architecture(tuple(reversed(architecture.layers))) for architecture in pool]
    num_equal = 0
    for one, other in itertools.combinations(pool, 2):
        assert (one.id == other.id) == isomorphic(to_graph(one), to_graph(other))
        num_equal += one.id == other.id
    assert num_equal >= 1  # palindromes


@pytest.mark.parametrize("seed", range(6))
def test_ids_of_near_misses_differ_and_so_do_their_graphs(draw_either: Draw, seed: int) -> None:
    architecture = draw_either(np.random.default_rng(seed))
    misses = near_misses(architecture)
    assert len({architecture.id, *(miss.id for miss in misses)}) == 1 + len(misses)
    assert not any(isomorphic(to_graph(architecture), to_graph(miss)) for miss in misses)


@pytest.mark.parametrize("seed", range(4))
def test_graph_with_permuted_node_numbers_is_isomorphic_to_its_own_only(draw_either: Draw, seed: int) -> None:
    rng = np.random.default_rng(seed)
    architecture = draw_either(rng)
    graph = to_graph(architecture)
    order = [int(number) for number in rng.permutation(len(graph))]
    permuted = nx.relabel_nodes(graph, dict(enumerate(order)))
    assert sorted(permuted.edges) != sorted(graph.edges)
    for other in [architecture, *near_misses(architecture)]:
        assert isomorphic(permuted, to_graph(other)) == (other.id == architecture.id)
