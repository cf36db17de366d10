from collections.abc import Callable

import numpy as np
import pytest
from transformers import BertConfig, BertModel

from design_space import Architecture, Layer
from design_space.counts import head_size, num_attention_heads, num_parameters
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
