"""One layer in both forms: heads are a multiset in one canonical order, and each broken rule is named."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_space import Head, InputError, Layer, MixedLayer

parameters = {"sa": st.sampled_from(["sdp", "wma"]), "l": st.sampled_from(["dft", "dct"])}
odd = st.integers(0, 20).map(lambda half: str(2 * half + 1))
heads = st.sampled_from(["sa", "l", "c"]).flatmap(
    lambda operation: st.builds(Head, st.just(operation), parameters.get(operation, odd), st.integers(1, 4096))
)
SDP, DCT = Head("sa", "sdp", 64), Head("l", "dct", 32)


@given(heads)
def test_a_head_is_written_and_read_back(head: Head) -> None:
    assert str(head) == f"{head.operation}_{head.parameter}_{head.width}"
    assert Head.parse(str(head)) == head


@pytest.mark.parametrize(
    "text",
    [
        *("", "sa", "sa_sdp", "sa_sdp_", "sa_sdp_64_", "sa_sdp_64_2", "sa-sdp-64", "sa_sdp_064", "sa_sdp_-1"),
        *("sa_sdp_+1", "sa_sdp_ 64", "sa_sdp_64 ", "sa_sdp_64\n", "sa_sdp_6.0", "sa_sdp_1e3", "sa_sdp_½", "sa_sdp_٦"),
        *("sa_sdp_wide", "sa_sdp_" + "1" * 5000),
    ],
)
def test_a_head_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="layer: a head must be written like 'sa_sdp_64', got") as refusal:
        Head.parse(text)
    assert len(str(refusal.value)) < 150


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x_sdp_64", "operation must be one of sa, l, c, got 'x'"),
        ("SA_sdp_64", "operation must be one of sa, l, c, got 'SA'"),
        ("_sdp_64", "operation must be one of sa, l, c, got ''"),
        ("sa_dft_64", "the parameter of 'sa' must be one of sdp, wma, got 'dft'"),
        ("l_sdp_64", "the parameter of 'l' must be one of dft, dct, got 'sdp'"),
        ("sa__64", "the parameter of 'sa' must be one of sdp, wma, got ''"),
        ("c_4_64", "the parameter of 'c' must be an odd kernel size, got '4'"),
        ("c_0_64", "odd kernel size, got '0'"),
        ("c_-3_64", "odd kernel size, got '-3'"),
        ("c_05_64", "odd kernel size, got '05'"),
        ("c_٥_64", "odd kernel size, got '٥'"),
        ("c__64", "odd kernel size, got ''"),
        ("c_" + "9" * 5000 + "_64", "odd kernel size, got '9999"),
        ("sa_sdp_0", "a head's width must be a positive integer, got 0"),
    ],
)
def test_a_head_that_breaks_a_rule_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        Head.parse(text)
    assert len(str(refusal.value)) < 150


@settings(deadline=None)
@given(st.lists(heads, min_size=1, max_size=6), st.data())
def test_heads_in_any_order_are_one_layer(several: list[Head], data: st.DataObject) -> None:
    layer = MixedLayer(tuple(several), 128, (512,))
    other = MixedLayer(tuple(data.draw(st.permutations(several))), 128, (512,))
    assert layer == other
    assert hash(layer) == hash(other)
    assert layer.heads == other.heads
    assert sorted(map(str, layer.heads)) == sorted(map(str, several))


def test_heads_stand_by_operation_then_parameter_then_width_kernels_and_widths_as_numbers() -> None:
    written = ["sa_sdp_8", "sa_sdp_16", "sa_sdp_128", "sa_wma_8", "l_dft_8", "l_dct_8"]
    written += ["c_5_8", "c_9_8", "c_13_8", "c_13_16", "c_101_8"]
    layer = MixedLayer(tuple(Head.parse(text) for text in sorted(written)), 128, (512,))
    assert [str(head) for head in layer.heads] == written


def test_number_of_equal_heads_counts() -> None:
    one, two, three = (MixedLayer((SDP,) * number + (DCT,), 128, (512,)) for number in (1, 2, 3))
    assert len({one, two, three}) == 3
    assert [layer.num_heads for layer in (one, two, three)] == [2, 3, 4]
    assert two.operation_name == "sa_sdp_64+sa_sdp_64+l_dct_32"


def test_widths_of_heads_need_not_add_up_to_the_hidden_size() -> None:
    assert MixedLayer((SDP, DCT), 100, (512,)).hidden_size == 100


def test_operation_block_is_equal_where_all_but_the_feed_forward_is() -> None:
    base = MixedLayer((SDP, DCT), 128, (512,))
    assert base.operation_block == MixedLayer((DCT, SDP), 128, (1024, 1024)).operation_block
    others = [
        MixedLayer((SDP, SDP), 128, (512,)),
        MixedLayer((SDP, dataclasses.replace(DCT, width=64)), 128, (512,)),
        MixedLayer((SDP, DCT), 256, (512,)),
        MixedLayer((SDP, DCT, DCT), 128, (512,)),
    ]
    assert base.operation_block not in [other.operation_block for other in others]
    uniform = Layer("sa", "sdp", 128, 2, (512,))
    assert uniform.operation_block == ("sa-sdp", 128, 2)
    assert uniform.operation_block == dataclasses.replace(uniform, feed_forward=(64, 64)).operation_block
    assert uniform.operation_block != MixedLayer((SDP, SDP), 128, (512,)).operation_block


@pytest.mark.parametrize("layer", [Layer("sa", "sdp", 128, 2, (512,)), MixedLayer((SDP,), 128, (512,)), SDP])
def test_layers_and_heads_are_frozen(layer: Layer | MixedLayer | Head) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.operation = "l"  # type: ignore[misc,union-attr]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"heads": ()}, "layer: heads must hold at least one head, got none"),
        ({"hidden_size": 0}, "layer: hidden_size must be a positive integer, got 0"),
        ({"hidden_size": True}, "hidden_size must be a positive integer, got True"),
        ({"hidden_size": 128.0}, "hidden_size must be a positive integer, got 128.0"),
        ({"feed_forward": ()}, "layer: feed_forward must hold at least one size, got none"),
        ({"feed_forward": (512, 0)}, "feed_forward must be a positive integer, got 0"),
        ({"feed_forward": ("512",)}, "feed_forward must be a positive integer, got '512'"),
    ],
)
def test_a_wrong_layer_of_mixed_heads_is_refused(fields: dict[str, object], message: str) -> None:
    right = MixedLayer((SDP, DCT), 128, (512,))
    with pytest.raises(InputError, match=message):
        dataclasses.replace(right, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("hidden_size", "num_heads"), [(2, 1), (2, 2), (6, 3), (6, 6), (4, 4), (12, 12), (768, 12)])
def test_a_convolution_shares_its_width_with_attention_heads(hidden_size: int, num_heads: int) -> None:
    assert Layer("c", "9", hidden_size, num_heads, (8,)).hidden_size == hidden_size


@pytest.mark.parametrize(("hidden_size", "num_heads", "divisor"), [(1, 1, 2), (9, 3, 2), (5, 5, 4), (14, 7, 6)])
def test_a_convolution_whose_width_cannot_be_shared_is_refused(hidden_size: int, num_heads: int, divisor: int) -> None:
    with pytest.raises(InputError, match=f"with {num_heads} heads needs a hidden_size divisible by {divisor}, got"):
        Layer("c", "9", hidden_size, num_heads, (8,))
