from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel, PreTrainedModel

from design_space import Architecture, Head, InputError, Layer, MixedLayer
from design_space.counts import flops, head_size, num_attention_heads, num_flops, num_parameters
from design_space.model import FlexiBertConfig, FlexiBertModel
from design_space.model.presets import preset

Draw = Callable[[np.random.Generator], Architecture]


def built(architecture: Architecture, vocab_size: int, max_positions: int, relative: bool) -> int:
    config = FlexiBertConfig.from_architecture(
        architecture,
        vocab_size=vocab_size,
        max_position_embeddings=max_positions,
        position_embedding_type="relative_key" if relative else "absolute",
    )
    return int(FlexiBertModel(config).num_parameters())


def counted(model: PreTrainedModel, sequence_length: int, masked: bool = False) -> int:
    ids = torch.full((1, sequence_length), 3)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids) if masked else None)
    return int(counter.get_total_flops())


def eager(architecture: Architecture, relative: bool) -> FlexiBertModel:
    config = FlexiBertConfig.from_architecture(
        architecture,
        vocab_size=20,
        max_position_embeddings=130,
        position_embedding_type="relative_key" if relative else "absolute",
    )
    model: FlexiBertModel = FlexiBertModel._from_config(config, attn_implementation="eager")
    return model


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_closed_form_is_what_the_model_reports(draw: Draw, seed: int, relative: bool) -> None:
    architecture = draw(np.random.default_rng(seed))
    given = {"vocab_size": 37 + seed, "max_positions": 11 + seed, "relative": relative}
    assert num_parameters(architecture, **given) == built(architecture, **given)


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("num_heads", [1, 2, 3, 6])
@pytest.mark.parametrize(("operation", "parameter"), [("sa", "wma"), ("l", "dct"), ("c", "7")])
def test_closed_form_at_odd_and_single_heads(operation: str, parameter: str, num_heads: int, relative: bool) -> None:
    architecture = Architecture((Layer(operation, parameter, 36, num_heads, (8, 5)),))
    given = {"vocab_size": 20, "max_positions": 10, "relative": relative}
    assert num_parameters(architecture, **given) == built(architecture, **given)


def test_bert_mini_is_bert_without_key_biases() -> None:
    config = BertConfig(
        vocab_size=50_265, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    bert = BertModel(config, add_pooling_layer=False).num_parameters()
    assert num_parameters(preset("bert_mini"), relative=False) == bert - 4 * 256


def test_flexibert_mini_has_two_to_four_percent_fewer_parameters_than_bert_mini() -> None:
    flexibert, bert = (num_parameters(preset(name), relative=False) for name in ("flexibert_mini", "bert_mini"))
    assert 0.02 <= 1 - flexibert / bert <= 0.04


def test_one_layer_by_hand() -> None:
    architecture = Architecture((Layer("l", "dft", 4, 2, (3,)),))
    embeddings = (10 + 2) * 4 + 8
    feed_forward = 4 * 3 + 3 + 3 * 4 + 4
    norms = 2 * 8
    given = {"vocab_size": 10, "max_positions": 5}
    assert num_parameters(architecture, relative=False, **given) == embeddings + 5 * 4 + feed_forward + norms
    # Query, value and output, and 2 · 5 − 1 distances of width 2.
    relative = 3 * (4 * 4 + 4) + 9 * 2
    assert num_parameters(architecture, relative=True, **given) == embeddings + relative + feed_forward + norms


@pytest.mark.parametrize(
    ("operation", "num_heads", "heads", "width"), [("sa", 4, 4, 8), ("l", 4, 4, 8), ("c", 4, 2, 8), ("c", 1, 1, 16)]
)
def test_heads_and_width_of_attention(operation: str, num_heads: int, heads: int, width: int) -> None:
    layer = Layer(operation, {"sa": "sdp", "l": "dft", "c": "5"}[operation], 32, num_heads, (8,))
    assert (num_attention_heads(layer), head_size(layer)) == (heads, width)


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_flops_are_what_torch_counts(draw: Draw, seed: int, relative: bool) -> None:
    architecture = draw(np.random.default_rng(seed))
    model = eager(architecture, relative)
    for sequence_length in (1, 2, 31, 64, 65, 130):
        expected = num_flops(architecture, sequence_length, relative=relative)
        assert counted(model, sequence_length) == expected
        assert counted(model, sequence_length, masked=True) == expected


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("num_heads", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("operation", "parameter"), [("sa", "sdp"), ("sa", "wma"), ("l", "dft"), ("l", "dct"), ("c", "1"), ("c", "7")]
)
def test_flops_of_each_operation_at_odd_and_single_heads(
    operation: str, parameter: str, num_heads: int, relative: bool
) -> None:
    architecture = Architecture(tuple(Layer(operation, parameter, h, num_heads, (8, 5)) for h in (36, 12)))
    model = eager(architecture, relative)
    for sequence_length in (1, 12, 36):
        assert counted(model, sequence_length) == num_flops(architecture, sequence_length, relative=relative)


def test_flops_of_bert_mini_are_those_of_bert() -> None:
    config = BertConfig(
        vocab_size=20,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        attn_implementation="eager",
    )
    bert = counted(BertModel(config, add_pooling_layer=False), 128)
    assert num_flops(preset("bert_mini"), relative=False) == bert


def test_flops_of_one_layer_by_hand() -> None:
    feed_forward = 4 * 3 + 3 * 4
    cosine = Architecture((Layer("l", "dct", 4, 2, (3,)),))
    # For each of 5 tokens: a cosine over 4 channels, then one over 5 tokens; two operations a multiply-add.
    transforms = 4 * 4 + 5 * 4
    assert num_flops(cosine, 5, relative=False) == 2 * 5 * (transforms + feed_forward)
    fourier = Architecture((Layer("l", "dft", 4, 2, (3,)),))
    assert num_flops(fourier, 5, relative=False) == 2 * 5 * feed_forward
    # Query, value and output; 5 + 5 distances and 5 values over 2 heads of width 2.
    relative = 3 * 4 * 4 + (5 + 5 + 5) * 2 * 2
    assert num_flops(cosine, 5, relative=True) == 2 * 5 * (transforms + relative + feed_forward)
    # 65 queries are two blocks of 33, which meet 65 + 33 distances each.
    distances = 2 * 33 * (65 + 33) * 2 * 2
    longer = 2 * 65 * (feed_forward + 3 * 4 * 4 + 65 * 2 * 2) + 2 * distances
    assert num_flops(fourier, 65, relative=True) == longer
    weighted = Architecture((Layer("sa", "wma", 4, 2, (3,)),))
    # Query, key, value and output, 2 × 2 weights of 2 heads; 5 keys and 5 values.
    attention = 4 * 4 * 4 + 2 * 2 * 2 + (5 + 5) * 4
    assert num_flops(weighted, 5, relative=False) == 2 * 5 * (attention + feed_forward)


def test_flops_add_up_over_layers_and_the_projections_between_them() -> None:
    wide, narrow = Layer("sa", "wma", 32, 2, (24,)), Layer("c", "5", 16, 4, (40, 24))
    alone = [num_flops(Architecture((layer,)), 10) for layer in (wide, narrow)]
    assert num_flops(Architecture((wide, wide)), 10) == 2 * alone[0]
    assert num_flops(Architecture((wide, narrow)), 10) == sum(alone) + 2 * 10 * 32 * 16
    quantity = flops(10)
    assert quantity.embedding(32) == 0
    assert [quantity.layer(layer) for layer in (wide, narrow)] == alone


def test_flops_default_to_128_tokens_and_relative_positions() -> None:
    architecture = preset("flexibert_mini")
    assert num_flops(architecture) == num_flops(architecture, 128, relative=True)


@pytest.mark.parametrize("sequence_length", [0, -1, 1.5, 128.0, True, "128", None])
def test_flops_refuse_a_length_that_is_no_positive_integer(sequence_length: object) -> None:
    with pytest.raises(InputError, match=r"^flops: sequence_length must be a positive integer, got [^\n]*\.$"):
        flops(sequence_length)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sequence_length must be a positive integer"):
        num_flops(preset("bert_tiny"), sequence_length)  # type: ignore[arg-type]


def test_counts_refuse_one_operation_a_head() -> None:
    mixed = Architecture((MixedLayer((Head("sa", "sdp", 8), Head("l", "dft", 8)), 16, (24,)),))
    for count in (num_flops, num_parameters):
        with pytest.raises(InputError, match="one operation a head"):
            count(mixed)
