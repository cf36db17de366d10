"""The two JSON forms of an architecture: read, written back exactly, and refused where they break a rule."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_space import Architecture, Head, InputError, Layer, MixedLayer
from design_space.architecture import layer_parameters
from design_space.counts import num_flops, num_parameters
from design_space.model import FlexiBertConfig

FLEXIBERT_MINI = {
    "l": 4,
    "o": ["sa", "sa", "l", "l"],
    "h": [256, 256, 128, 128],
    "n": [2, 2, 4, 4],
    "f": [[512, 512, 512], [512, 512, 512], [1024], [1024]],
    "p": ["sdp", "sdp", "dct", "dct"],
}
VALID: dict[str, Any] = {"l": 2, "o": ["sa", "c"], "h": [32, 64], "n": [2, 4], "f": [[64], [64, 32]], "p": ["wma", 9]}
MIXED: dict[str, Any] = {
    "l": 2,
    "o": [["sa_sdp_64", "l_dct_32", "c_9_32"], ["c_5_64", "c_5_64"]],
    "h": [128, 256],
    "f": [[512], [1024, 256]],
}

# Heads as MIXED_LAYERS writes them: by operation, then parameter (kernels as numbers), then width.
WRITTEN_HEADS = ["sa_sdp_8", "sa_sdp_16", "sa_wma_8", "l_dft_8", "l_dct_128", "c_5_8", "c_9_8", "c_9_16", "c_13_8"]

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
mixed_model_dicts = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WRITTEN_HEADS), min_size=1, max_size=6),
        st.integers(1, 4096),
        st.lists(st.integers(1, 4096), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=6,
).map(lambda rows: {"l": len(rows), **{key: [row[place] for row in rows] for place, key in enumerate("ohf")}})


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


def test_form_with_one_operation_a_head_round_trips_exactly() -> None:
    architecture = Architecture.from_model_dict(MIXED)
    heads = (Head("sa", "sdp", 64), Head("l", "dct", 32), Head("c", "9", 32))
    assert architecture.layers[0] == MixedLayer(heads, 128, (512,))
    assert architecture.layers[1] == MixedLayer((Head("c", "5", 64),) * 2, 256, (1024, 256))
    text = json.dumps(architecture.to_model_dict())
    assert text == json.dumps(MIXED)
    assert Architecture.from_json(text) == architecture
    assert architecture.per_head
    assert not Architecture.from_model_dict(VALID).per_head


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(mixed_model_dicts, st.randoms(use_true_random=False))
def test_heads_in_any_order_are_one_architecture_written_in_one_order(model_dict: dict[str, Any], rng: Any) -> None:
    canonical = {**model_dict, "o": [sorted(heads, key=WRITTEN_HEADS.index) for heads in model_dict["o"]]}
    shuffled = {**model_dict, "o": [rng.sample(heads, len(heads)) for heads in model_dict["o"]]}
    one, other = Architecture.from_json(json.dumps(canonical)), Architecture.from_json(json.dumps(shuffled))
    assert one.to_model_dict() == other.to_model_dict() == canonical
    assert one == other
    assert hash(one) == hash(other)
    assert one.id == other.id


def test_order_of_layers_counts_where_that_of_heads_does_not() -> None:
    turned = {key: MIXED[key][::-1] for key in "ohf"}
    assert Architecture.from_model_dict({"l": 2, **turned}) != Architecture.from_model_dict(MIXED)


def test_one_form_is_never_the_other_with_the_same_operations() -> None:
    uniform = Architecture((Layer("sa", "sdp", 128, 2, (512,)),))
    mixed = Architecture((MixedLayer((Head("sa", "sdp", 64),) * 2, 128, (512,)),))
    assert uniform != mixed
    assert uniform.id != mixed.id


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"o": ["sa", "x"]}, r"layer 1: operation must be one of sa, l, c, got 'x'"),
        ({"o": [["sa_sdp_32"], ["c_5_64"]]}, r"unknown key 'n'. Give only l, o, h, f"),  # both forms at once
        ({"o": [None, "c"]}, r"layer 0: operation must be one of sa, l, c, got None"),
        ({"p": ["dft", 9]}, r"layer 0: the parameter of 'sa' must be one of sdp, wma, got 'dft'"),
        ({"p": [None, 9]}, r"layer 0: the parameter of 'sa' must be one of sdp, wma, got 'None'"),
        ({"o": ["l", "c"]}, r"layer 0: the parameter of 'l' must be one of dft, dct, got 'wma'"),
        ({"p": ["wma", 4]}, r"layer 1: the parameter of 'c' must be an odd kernel size, got '4'"),
        ({"p": ["wma", 0]}, r"odd kernel size, got '0'"),
        ({"p": ["wma", -3]}, r"odd kernel size, got '-3'"),
        ({"p": ["wma", "09"]}, r"odd kernel size, got '09'"),
        ({"p": ["wma", 9.0]}, r"odd kernel size, got '9.0'"),
        ({"p": ["wma", True]}, r"odd kernel size, got 'True'"),
        ({"p": ["wma", "9" * 5000]}, r"odd kernel size, got '9999"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"o": [["x_sdp_64"], ["c_5_64"]]}, r"layer 0: operation must be one of sa, l, c, got 'x'"),
        ({"o": [["sa_sdp_64"], ["c_5_64", "l_wma_8"]]}, r"layer 1: the parameter of 'l' must be one of dft, dct"),
        ({"o": [["sa_sdp_64"], ["c_4_64"]]}, r"layer 1: the parameter of 'c' must be an odd kernel size, got '4'"),
        ({"o": [["sa_sdp"], ["c_5_64"]]}, r"layer 0: a head must be written like 'sa_sdp_64', got 'sa_sdp'"),
        ({"o": [["sa_sdp_064"], ["c_5_64"]]}, r"must be written like 'sa_sdp_64', got 'sa_sdp_064'"),
        ({"o": [["sa_sdp_-1"], ["c_5_64"]]}, r"must be written like 'sa_sdp_64', got 'sa_sdp_-1'"),
        ({"o": [["sa_sdp_0"], ["c_5_64"]]}, r"layer 0: a head's width must be a positive integer, got 0"),
        ({"o": [["sa_sdp_64"], []]}, r"layer 1: heads must hold at least one head, got none"),
        ({"o": [["sa_sdp_64"], "c"]}, r"layer 1: o must list its heads, like \['sa_sdp_64', 'l_dct_64'\], got 'c'"),
        ({"o": ["sa", ["c_5_64"]]}, r"layer 0: o must list its heads, .* got 'sa'"),
        ({"o": [["sa_sdp_64", 5], ["c_5_64"]]}, r"layer 0: o must list its heads, .* got \['sa_sdp_64', 5\]"),
        ({"o": [["sa_sdp_64"], [["c_5_64"]]]}, r"layer 1: o must list its heads"),
        ({"o": [["sa_sdp_64"]]}, r"o must be a list of l = 2 entries, got 1 entries"),
        ({"h": [128]}, r"h must be a list of l = 2 entries, got 1 entries"),
        ({"h": 128}, r"h must be a list of l = 2 entries, got 128"),
        ({"f": [[512]] * 3}, r"f must be a list of l = 2 entries, got 3 entries"),
        ({"l": 3}, r"o must be a list of l = 3 entries, got 2 entries"),
        ({"n": [3, 2]}, r"unknown key 'n'. Give only l, o, h, f"),
        ({"p": ["sdp", 5]}, r"unknown key 'p'. Give only l, o, h, f"),
        ({"h": [128, 0]}, r"layer 1: hidden_size must be a positive integer, got 0"),
        ({"h": [128, "256"]}, r"layer 1: hidden_size must be a positive integer, got '256'"),
        ({"f": [[512], []]}, r"layer 1: feed_forward must hold at least one size, got none"),
        ({"f": [[512], [0]]}, r"layer 1: feed_forward must be a positive integer, got 0"),
    ],
)
def test_wrong_form_with_one_operation_a_head_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Architecture.from_model_dict({**MIXED, **change})


@pytest.mark.parametrize("key", ["l", "h", "f"])
def test_missing_key_of_the_form_with_one_operation_a_head_is_refused(key: str) -> None:
    with pytest.raises(InputError, match=f"key '{key}' is missing. Give l, o, h, f"):
        Architecture.from_model_dict({name: value for name, value in MIXED.items() if name != key})


def test_layers_of_both_forms_in_one_architecture_are_refused() -> None:
    both = (Layer("sa", "sdp", 128, 2, (512,)), MixedLayer((Head("sa", "sdp", 64),), 128, (512,)))
    with pytest.raises(InputError, match="all have one operation a layer or all one a head, got both"):
        Architecture(both)


def test_what_needs_one_operation_a_layer_refuses_the_other_form_by_its_heads() -> None:
    mixed = Architecture.from_model_dict(MIXED)
    name = r"one operation a head \(sa_sdp_64\+l_dct_32\+c_9_32\) has no torch model and no parameter count yet"
    with pytest.raises(InputError, match=name):
        _ = mixed.uniform_layers
    for refuse in (num_parameters, num_flops, FlexiBertConfig.from_architecture):
        with pytest.raises(InputError, match=name):
            refuse(mixed)
    with pytest.raises(ValueError, match="layer 0: one operation a head is not supported; give one a layer"):
        FlexiBertConfig(model_dict={**VALID, "o": [["sa_sdp_32"], ["c_9_64"]]})
    uniform = Architecture.from_model_dict(VALID)
    assert uniform.uniform_layers == uniform.layers


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


def test_flat_parameters_of_layers_with_one_operation_a_head() -> None:
    assert layer_parameters(Architecture.from_model_dict(MIXED)) == {
        "num_layers": 2,
        "layer1.operation": "sa_sdp_64+l_dct_32+c_9_32",
        "layer1.hidden_size": 128,
        "layer1.num_heads": 3,
        "layer1.feed_forward": "512",
        "layer2.operation": "c_5_64+c_5_64",
        "layer2.hidden_size": 256,
        "layer2.num_heads": 2,
        "layer2.feed_forward": "1024-256",
    }
