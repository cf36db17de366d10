"""Where the models of each kind hold what light-weight tuning touches.

Names are ends of the names of a model's parts, as regular expressions.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from design_space.errors import InputError

FLEXIBERT = "flexibert"


@dataclass(frozen=True, kw_only=True)
class Family:
    """Parts of a layer.

    Attributes:
        attention_output: Projects what attention found back to the layer's width.
        feed_forward_output: Projects the feed-forward back to the layer's width.
        queries_and_values: The linear layers that LoRA is added to.
        attention: Calls the attention of `transformers.AttentionInterface`; None where attention is the model's own.
    """

    attention_output: str
    feed_forward_output: str
    queries_and_values: tuple[str, ...] = ("query", "value")
    attention: str | None = r"attention\.self"


_BERT = Family(attention_output=r"attention\.output\.dense", feed_forward_output=r"\d\.output\.dense")
_T5 = Family(
    attention_output=r"SelfAttention\.o",
    feed_forward_output=r"DenseReluDense\.wo",
    queries_and_values=("q", "v"),
    attention=r"(SelfAttention|EncDecAttention)",
)
FAMILIES = {
    "bert": _BERT,
    "camembert": _BERT,
    "deberta-v2": Family(
        attention_output=_BERT.attention_output,
        feed_forward_output=_BERT.feed_forward_output,
        queries_and_values=("query_proj", "value_proj"),
        attention=None,
    ),
    "distilbert": Family(
        attention_output=r"attention\.out_lin",
        feed_forward_output=r"ffn\.lin2",
        queries_and_values=("q_lin", "v_lin"),
        attention=r"\d\.attention",
    ),
    "electra": _BERT,
    FLEXIBERT: Family(attention_output="operation", feed_forward_output="feed_forward", attention="operation"),
    "mt5": _T5,
    "roberta": _BERT,
    "t5": _T5,
    "xlm-roberta": _BERT,
}


def family_of(model: PreTrainedModel, method: str) -> Family:
    """The parts of a model.

    Raises:
        InputError: If its kind is not known.
    """
    kind = model.config.model_type
    if kind not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise InputError(f"--tuning {method}: is for models of {known}, got {kind}. Take 'full', 'head' or 'bitfit'.")
    return FAMILIES[kind]


def parts(model: PreTrainedModel, name_end: str) -> Iterator[tuple[str, nn.Module]]:
    """Names and parts of a model whose names end so, before anything is added to them."""
    ends = re.compile(rf"\.{name_end}$")
    yield from [(name, part) for name, part in model.named_modules() if ends.search(name)]


def operations(model: PreTrainedModel) -> list[str]:
    """What mixes the tokens in each layer of a FlexiBERT, for messages: "layer 2 (l, dct)"."""
    described = model.config.model_dict
    pairs = zip(described["o"], described["p"], strict=True)
    return [f"layer {number} ({kind}, {parameter})" for number, (kind, parameter) in enumerate(pairs)]


def encoder_of(model: PreTrainedModel) -> nn.Module:
    """What reads the input's tokens: the model without its head, or the encoder of an encoder-decoder."""
    if model.config.is_encoder_decoder:
        encoder: nn.Module = model.get_encoder()
        return encoder
    return model.base_model


def num_positions(model: PreTrainedModel) -> int | None:
    """Tokens that a model can read; None where it has no bound."""
    longest: int | None = getattr(model.config, "max_position_embeddings", None)
    embeddings = getattr(getattr(encoder_of(model), "embeddings", None), "position_embeddings", None)
    padding = getattr(embeddings, "padding_idx", None)
    if longest is None or padding is None:
        return longest
    return longest - int(padding) - 1  # RoBERTa counts from behind the padding's own
