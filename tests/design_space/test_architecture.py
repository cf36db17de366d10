import dataclasses
import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_space import Architecture, InputError, Layer
from design_space.architecture import layer_choices, layer_parameters
from design_space.graph import to_graph

FLEXIBERT_MINI = {
    "l": 4,
    "o": ["sa", "sa", "l", "l"],
    "h": [256, 256, 128, 128],
    "n": [2, 2, 4, 4],
    "f": [[512, 512, 512], [512, 512, 512], [1024], [1024]],
    "p": ["sdp", "sdp", "dct", "dct"],
}
VALID: dict[str, Any] = {"l": 2, "o": ["sa", "c"], "h": [32, 64], "n": [2, 4], "f": [[64], [64, 32]], "p": ["wma", 9]}
Draw = Callable[[np.random.Generator], Architecture]

operations = st.sampled_from(["sa", "l", "c"])
parameters = {"sa": st.sampled_from(["sdp", "wma"]), "l": st.sampled_from(["dft", "dct"])}
odd = st.integers(0, 20).map(lambda half: str(2 * half + 1))
layers = operations.flatmap(
    lambda operation: st.builds(
        lambda parameter, heads, width, sizes: Layer(
            operation, parameter, 2 * heads * max(1, heads // 2) * width, heads, tuple(sizes)
        ),
        parameters.get(operation, odd),
        st.integers(1, 12),
        st.integers(1, 64),
        st.lists(st.integers(1, 4096), min_size=1, max_size=4),
    )
)


def isomorphic(one: nx.DiGraph, other: nx.DiGraph) -> bool:
    labels = [Counter(label for _, label in graph.nodes(data="label")) for graph in (one, other)]
    if labels[0] != labels[1] or one.number_of_edges() != other.number_of_edges():
        return False  # necessary, and spares networkx the search
    match = nx.algorithms.isomorphism.categorical_node_match("label", None)
    return bool(nx.is_isomorphic(one, other, node_match=match))


def near_misses(architecture: Architecture) -> list[Architecture]:
    """Architectures that differ in one field of one layer, in the order of layers, or in depth."""
    found = []
    for one, two in itertools.combinations(range(len(architecture.layers)), 2):
        for fields in (("operation", "parameter"), ("num_heads",), ("feed_forward",)):
            found.append(swapped(architecture, one, two, fields))
    for place, layer in enumerate(architecture.layers):
        others = {"sa": ("sdp", "wma"), "l": ("dft", "dct"), "c": ("5", "9")}
        changed = [
            dataclasses.replace(layer, parameter=parameter)
            for parameter in others[layer.operation]
            if parameter != layer.parameter
        ]
        changed += [
            dataclasses.replace(layer, operation=operation, parameter=others[operation][0])
            for operation in others
            if operation != layer.operation
        ]
        changed.append(dataclasses.replace(layer, hidden_size=2 * layer.hidden_size))
        changed.append(dataclasses.replace(layer, num_heads=2 * layer.num_heads))
        changed.append(dataclasses.replace(layer, feed_forward=(*layer.feed_forward, 24)))
        changed.append(dataclasses.replace(layer, feed_forward=(layer.feed_forward[0] + 1, *layer.feed_forward[1:])))
        for other in changed:
            found.append(Architecture((*architecture.layers[:place], other, *architecture.layers[place + 1 :])))
    found.append(Architecture((*architecture.layers, architecture.layers[-1])))
    return [miss for miss in dict.fromkeys(found) if miss != architecture]


def swapped(architecture: Architecture, one: int, two: int, fields: tuple[str, ...]) -> Architecture:
    """Two layers exchange some fields, so that most labels of the graph stay as they are."""
    layers = list(architecture.layers)
    for here, there in ((one, two), (two, one)):
        given = {field: getattr(architecture.layers[there], field) for field in fields}
        layers[here] = dataclasses.replace(layers[here], **given)
    return Architecture(tuple(layers))


def test_published_flexibert_mini_round_trips_exactly() -> None:
    architecture = Architecture.from_model_dict(FLEXIBERT_MINI)
    assert architecture.layers[0] == Layer("sa", "sdp", 256, 2, (512, 512, 512))
    assert architecture.layers[3] == Layer("l", "dct", 128, 4, (1024,))
    assert architecture.to_model_dict() == FLEXIBERT_MINI
    text = json.dumps(architecture.to_model_dict())
    assert text == json.dumps(FLEXIBERT_MINI)
    assert Architecture.from_json(text) == architecture


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(layers, min_size=1, max_size=6))
def test_model_dict_and_json_round_trip(stack: list[Layer]) -> None:
    architecture = Architecture(tuple(stack))
    model_dict = architecture.to_model_dict()
    read = Architecture.from_json(json.dumps(model_dict))
    assert read == architecture
    assert hash(read) == hash(architecture)
    assert read.id == architecture.id
    assert read.to_model_dict() == model_dict
    assert all(isinstance(p, int) == (o == "c") for o, p in zip(model_dict["o"], model_dict["p"], strict=True))


def test_kernel_as_text_and_a_bare_feed_forward_size_are_read_as_the_canonical_form() -> None:
    read = Architecture.from_model_dict({**VALID, "p": ["wma", "9"], "f": [64, (64, 32)]})
    assert read == Architecture.from_model_dict(VALID)
    assert read.to_model_dict() == VALID


def test_equal_architectures_are_one_key_and_different_ones_are_not() -> None:
    one, same = Architecture.from_model_dict(VALID), Architecture.from_model_dict(VALID)
    other = Architecture.from_model_dict({**VALID, "h": [32, 32]})
    assert one == same
    assert one is not same
    assert one != other
    assert {one: 1, same: 2, other: 3} == {one: 2, other: 3}
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.layers = ()  # type: ignore[misc]


def test_id_is_the_digest_of_the_canonical_json() -> None:
    canonical = '{"f":[[512],[64,32]],"h":[128,64],"l":2,"n":[2,4],"o":["sa","c"],"p":["sdp",9]}'
    assert Architecture.from_json(canonical).id == hashlib.sha256(canonical.encode()).hexdigest()[:16]


def test_id_is_the_same_in_a_new_process() -> None:
    code = (
        "import sys; from design_space import Architecture; print(Architecture.from_json(sys.argv[1]).id, hash('seed'))"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code, json.dumps(FLEXIBERT_MINI)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert printed[0][1] != printed[1][1]
    assert {line[0] for line in printed} == {Architecture.from_model_dict(FLEXIBERT_MINI).id}


def test_ids_are_equal_exactly_where_graphs_are_isomorphic_over_pairs_of_one_layer() -> None:
    choices = itertools.product([("sa", "sdp"), ("c", "5")], [16, 32], [1, 2], [(24,), (24, 24), (40, 24), (24, 40)])
    small = [Architecture((Layer(*operation, h, n, f),)) for operation, h, n, f in choices]
    for one, other in itertools.product(small, repeat=2):
        assert (one.id == other.id) == isomorphic(to_graph(one), to_graph(other)) == (one == other)


def test_ids_are_equal_exactly_where_graphs_are_isomorphic_over_random_pairs(draw: Draw) -> None:
    rng = np.random.default_rng(0)
    pool = [draw(rng) for _ in range(12)]
    pool += [Architecture(tuple(reversed(architecture.layers))) for architecture in pool]
    num_equal = 0
    for one, other in itertools.combinations(pool, 2):
        assert (one.id == other.id) == isomorphic(to_graph(one), to_graph(other))
        num_equal += one.id == other.id
    assert num_equal >= 1  # palindromes


@pytest.mark.parametrize("seed", range(6))
def test_ids_of_near_misses_differ_and_so_do_their_graphs(draw: Draw, seed: int) -> None:
    architecture = draw(np.random.default_rng(seed))
    misses = near_misses(architecture)
    assert len({architecture.id, *(miss.id for miss in misses)}) == 1 + len(misses)
    assert not any(isomorphic(to_graph(architecture), to_graph(miss)) for miss in misses)


@pytest.mark.parametrize("seed", range(4))
def test_graph_with_permuted_node_numbers_is_isomorphic_to_its_own_only(draw: Draw, seed: int) -> None:
    rng = np.random.default_rng(seed)
    architecture = draw(rng)
    graph = to_graph(architecture)
    order = [int(number) for number in rng.permutation(len(graph))]
    permuted = nx.relabel_nodes(graph, dict(enumerate(order)))
    assert sorted(permuted.edges) != sorted(graph.edges)
    for other in [architecture, *near_misses(architecture)]:
        assert isomorphic(permuted, to_graph(other)) == (other.id == architecture.id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"o": ["sa", "x"]}, r"layer 1: operation must be one of sa, l, c, got 'x'"),
        ({"o": [["sa"], "c"]}, r"layer 0: operation must be one of sa, l, c, got \['sa'\]"),
        ({"p": ["dft", 9]}, r"layer 0: the parameter of 'sa' must be one of sdp, wma, got 'dft'"),
        ({"p": [None, 9]}, r"layer 0: the parameter of 'sa' must be one of sdp, wma, got 'None'"),
        ({"o": ["l", "c"]}, r"layer 0: the parameter of 'l' must be one of dft, dct, got 'wma'"),
        ({"p": ["wma", 4]}, r"layer 1: the parameter of 'c' must be an odd kernel size, got '4'"),
        ({"p": ["wma", 0]}, r"odd kernel size, got '0'"),
        ({"p": ["wma", -3]}, r"odd kernel size, got '-3'"),
        ({"p": ["wma", "09"]}, r"odd kernel size, got '09'"),
        ({"p": ["wma", 9.0]}, r"odd kernel size, got '9.0'"),
        ({"p": ["wma", True]}, r"odd kernel size, got 'True'"),
        ({"p": ["wma", "sdp"]}, r"odd kernel size, got 'sdp'"),
        ({"h": [33, 64]}, r"layer 0: hidden_size must be divisible by num_heads, got 33 and 2"),
        ({"h": [32, 9], "n": [2, 3]}, r"layer 1: a convolution with 3 heads needs a hidden_size divisible by 2, got 9"),
        ({"h": [32]}, r"h must be a list of l = 2 entries, got 1 entries"),
        ({"f": [[64], [64], [64]]}, r"f must be a list of l = 2 entries, got 3 entries"),
        ({"l": 3}, r"o must be a list of l = 3 entries, got 2 entries"),
        ({"o": "sa"}, r"o must be a list of l = 2 entries, got 'sa'"),
        ({"x": 1}, r"unknown key 'x'. Give only l, o, h, n, f, p"),
        ({"f": [[], [64]]}, r"layer 0: feed_forward must hold at least one size, got none"),
        ({"f": [[64], [64, 0]]}, r"layer 1: feed_forward must be a positive integer, got 0"),
        ({"f": [[64], [-1]]}, r"feed_forward must be a positive integer, got -1"),
        ({"f": [[64.0], [64]]}, r"feed_forward must be a positive integer, got 64.0"),
        ({"f": [[True], [64]]}, r"feed_forward must be a positive integer, got True"),
        ({"f": [None, [64]]}, r"feed_forward must be a positive integer, got None"),
        ({"h": [0, 64]}, r"layer 0: hidden_size must be a positive integer, got 0"),
        ({"h": [True, 64], "n": [1, 4]}, r"hidden_size must be a positive integer, got True"),
        ({"h": [32.0, 64]}, r"hidden_size must be a positive integer, got 32.0"),
        ({"h": ["32", 64]}, r"hidden_size must be a positive integer, got '32'"),
        ({"n": [0, 4]}, r"num_heads must be a positive integer, got 0"),
        ({"n": [-2, 4]}, r"num_heads must be a positive integer, got -2"),
        ({"n": [True, 4]}, r"num_heads must be a positive integer, got True"),
        ({"n": [2.0, 4]}, r"num_heads must be a positive integer, got 2.0"),
        ({"l": 0, "o": [], "h": [], "n": [], "f": [], "p": []}, r"layers must hold at least one layer"),
    ],
)
def test_wrong_model_dict_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Architecture.from_model_dict({**VALID, **change})


@pytest.mark.parametrize("key", ["l", "o", "h", "n", "f", "p"])
def test_missing_key_is_refused(key: str) -> None:
    with pytest.raises(InputError, match=f"my file: key '{key}' is missing. Give l, o, h, n, f, p"):
        Architecture.from_model_dict({name: value for name, value in VALID.items() if name != key}, where="my file")


def test_form_with_one_operation_a_head_is_refused() -> None:
    hetero = {"l": 1, "o": [["sa_sdp_64", "l_dft_64"]], "h": [128], "f": [[512]]}
    with pytest.raises(InputError, match="one operation a head is not supported"):
        Architecture.from_model_dict(hetero)


@pytest.mark.parametrize("text", ["", "{", "{'l': 1}", "l: 1"])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="here: must be JSON, got"):
        Architecture.from_json(text, where="here")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"sa"'])
def test_json_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="must be an object with the keys l, o, h, n, f, p"):
        Architecture.from_json(text)


@pytest.mark.parametrize("number", [True, 1.0])
def test_number_of_layers_that_is_no_integer_is_refused(number: object) -> None:
    one = {key: value[:1] for key, value in VALID.items() if key != "l"}
    with pytest.raises(InputError):
        Architecture.from_model_dict({"l": number, **one})


@pytest.mark.parametrize(
    "text", ['{"l": 1, "o": 5}', '{"l": ' + "1" * 5000 + "}", "[" * 100_000], ids=["o is a number", "huge", "deep"]
)
def test_strange_json_is_refused_as_input(text: str) -> None:
    with pytest.raises(InputError):
        Architecture.from_json(text)


def test_flat_parameters_of_layers() -> None:
    assert layer_parameters(Architecture.from_model_dict(VALID)) == {
        "num_layers": 2,
        "layer1.operation": "sa-wma",
        "layer1.hidden_size": 32,
        "layer1.num_heads": 2,
        "layer1.feed_forward": "64",
        "layer2.operation": "c-9",
        "layer2.hidden_size": 64,
        "layer2.num_heads": 4,
        "layer2.feed_forward": "64-32",
    }


def test_layer_choices_hold_every_value_for_every_layer_number() -> None:
    choices = layer_choices(Architecture.from_model_dict(VALID).layers, [3, 1])
    assert choices["num_layers"] == [1, 3]
    assert {name.split(".")[0] for name in choices} == {"num_layers", "layer1", "layer2", "layer3"}
    assert choices["layer3.operation"] == ["c-9", "sa-wma"]
    assert choices["layer1.hidden_size"] == [32, 64]
    assert choices["layer2.feed_forward"] == ["64", "64-32"]
