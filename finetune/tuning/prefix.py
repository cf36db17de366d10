"""Prefix tuning: learnt keys and values before those of the text, in every attention of encoder and decoder.

They stand outside the text: its positions, masks and relative biases stay what they are. transformers lets attention be
exchanged by name (`AttentionInterface`), which reaches T5's encoder and cross-attention as well as BERT; FlexiBERT's
attention is wrapped. Symbols: B texts, H heads, T tokens, P virtual tokens, d head width.

Reference:
    Li and Liang 2021, arXiv 2101.00190, section 4.2.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from design_space.errors import InputError
from design_space.model.masking_flexibert import TokenMask
from design_space.model.operations_flexibert import Attention
from finetune.tuning.families import FLEXIBERT, family_of, operations, parts
from finetune.tuning.settings import Tuning
from finetune.tuning.virtual_tokens import VirtualTokens, prefix_tokens, require_room

_NAME = "sdpa_with_prefix"


def add_prefixes(model: PreTrainedModel, tuning: Tuning) -> None:
    """Let every attention see learnt keys and values before those of the text.

    Raises:
        InputError: If a layer has no keys or attention of another form, the model's kind is not known, or there are
            almost as many virtual tokens as the model has positions.
    """
    family = family_of(model, tuning.method)
    require_room(model, tuning)
    if family.attention is None:
        raise InputError(f"--tuning prefix: is not defined for {model.config.model_type}, whose attention is its own.")
    if model.config.model_type == FLEXIBERT:
        _wrap_operations(model, tuning)
        return
    heads = model.config.num_attention_heads
    width = heads * (getattr(model.config, "d_kv", None) or model.config.hidden_size // heads)
    for _, part in parts(model, family.attention):
        part.add_module("prefix", prefix_tokens(tuning, width).to(model.device))
    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, _mask)
    model.set_attn_implementation(_NAME)


class PrefixedAttention(nn.Module):
    """A FlexiBERT attention whose keys and values begin with learnt ones, as far from every token as from any other.

    Args:
        attention: Of the operation.
        prefix: Its keys and values.
    """

    def __init__(self, attention: Attention, prefix: VirtualTokens) -> None:
        super().__init__()
        self.attention, self.prefix = attention, prefix

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: TokenMask, output_attentions: bool
    ) -> tuple[Tensor, Tensor | None]:
        """(B, H, T, d) each -> context (B, T, H · d) and, on request, probabilities (B, H, T, P + T)."""
        key, value = _prepend(self.prefix, key, value)
        query = query * self.attention.scale
        scores = query @ key.transpose(-1, -2)
        bias = mask.score_bias(query.dtype)
        if self.attention.relative is not None:
            relative = self.attention.relative(query)
            bias = relative if bias is None else relative + bias
        if bias is not None:
            scores = scores + F.pad(bias, (self.prefix.num_tokens, 0))
        probabilities = scores.softmax(dim=-1)
        dropout = self.attention.config.attention_probs_dropout_prob if self.training else 0.0
        context = (F.dropout(probabilities, dropout) @ value).transpose(1, 2).flatten(2)
        return context, probabilities if output_attentions else None


def _wrap_operations(model: PreTrainedModel, tuning: Tuning) -> None:
    found = list(parts(model, "operation"))
    for (_, operation), described in zip(found, operations(model), strict=True):
        if not hasattr(operation, "key"):
            raise InputError(f"--tuning prefix: is not defined for {described}, which has no keys. Take 'adapter'.")
    for _, operation in found:
        attention, key = operation.get_submodule("attention"), operation.get_submodule("key")
        assert isinstance(attention, Attention)
        assert isinstance(key, nn.Linear)
        operation.add_module(
            "attention", PrefixedAttention(attention, prefix_tokens(tuning, key.out_features).to(model.device))
        )


def _prepend(prefix: VirtualTokens, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (B, H, T, d) -> (B, H, P + T, d)."""
    num_heads = key.shape[1]
    heads = prefix().to(key.dtype).unflatten(-1, (2, num_heads, -1)).permute(1, 2, 0, 3)  # 2, H, P, d
    first, second = (part.expand(len(key), -1, -1, -1) for part in heads)
    return torch.cat([first, key], dim=2), torch.cat([second, value], dim=2)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """As transformers' scaled dot product attention, with the module's prefix; a mask sees it, a bias is 0 there."""
    prefix = getattr(module, "prefix", None)
    if isinstance(prefix, VirtualTokens):
        key, value = _prepend(prefix, key, value)
        room = (prefix.num_tokens, 0)
        if attention_mask is not None:
            attention_mask = F.pad(attention_mask, room, value=attention_mask.dtype == torch.bool)
        if position_bias is not None:
            position_bias = F.pad(position_bias, room)
    found: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, position_bias=position_bias, **kwargs
    )
    return found


def _mask(*args: Any, **kwargs: Any) -> Tensor | None:
    """A causal mask is always made: what the kernels would assume instead knows no prefix."""
    mask: Tensor | None = sdpa_mask(*args, **{**kwargs, "allow_is_causal_skip": False})
    return mask
