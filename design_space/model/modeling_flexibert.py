"""FlexiBERT: an encoder whose layers each have their own operation, heads, hidden size and feed-forward stack.

One model, one file, read from top to bottom. It travels with an export, so it imports torch and transformers alone.

Symbols: B sequences, T tokens, H heads, d head width, h hidden size, K kernel size, L real tokens of a row.

Reference: Tuli, Dedhia, Tuli, Jha (2023), "FlexiBERT: Are current transformer architectures too homogeneous and
rigid?", JAIR 77.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, SequenceClassifierOutput

from .configuration_flexibert import FlexiBertConfig


@dataclass
class TokenMask:
    """Which tokens are real, and what follows from it for every layer of one forward pass.

    Attributes:
        real: 1 for a real token, 0 for padding, shape (B, T); None where all are real.
        positions: Place of each token among the real ones of its row, shape (B, T), or (1, T) where all are real.
        lengths: Real tokens per row, at least 1, shape (B, 1, 1), or (1, 1, 1).
        score_bias: 0 or the least finite value, added to attention scores, shape (B, 1, 1, T); None as for `real`.
        transforms: Matrices made so far, by (kind, size), shared by all layers.
    """

    real: Tensor | None
    positions: Tensor
    lengths: Tensor
    score_bias: Tensor | None
    transforms: dict[tuple[str, int], tuple[Tensor, ...]] = field(default_factory=dict)

    @classmethod
    def from_attention_mask(cls, attention_mask: Tensor | None, hidden_states: Tensor) -> "TokenMask":
        """Read a 0/1 mask of shape (B, T), or None where every token is real."""
        num_tokens = hidden_states.shape[1]
        if attention_mask is None:
            positions = torch.arange(num_tokens, device=hidden_states.device)[None]
            return cls(None, positions, torch.full_like(positions[:, :1, None], num_tokens), None)
        real = attention_mask.to(hidden_states.dtype)
        counts = attention_mask.long().cumsum(dim=1)
        bias = (1.0 - real) * torch.finfo(hidden_states.dtype).min
        return cls(real, (counts - 1).clamp(min=0), counts[:, -1:, None].clamp(min=1), bias[:, None, None, :])

    def zero_padding(self, hidden_states: Tensor) -> Tensor:
        """Set padded tokens to zero: what a convolution sees beyond the ends."""
        return hidden_states if self.real is None else hidden_states * self.real[..., None]


class FlexiBertEmbeddings(nn.Module):
    """Word, token-type and (where positions are absolute) position embeddings, as wide as the first layer."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__()
        width = config.embedding_size
        self.word_embeddings = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_token_id)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.position_embeddings = (
            nn.Embedding(config.max_position_embeddings, width)
            if config.position_embedding_type == "absolute"
            else None
        )
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, words: Tensor, token_type_ids: Tensor, positions: Tensor) -> Tensor:
        """Sum the embeddings: words (B, T, h), ids (B, T), positions (B, T) or (1, T) -> (B, T, h)."""
        embeddings = words + self.token_type_embeddings(token_type_ids)
        if self.position_embeddings is not None:
            embeddings = embeddings + self.position_embeddings(positions)
        return self.dropout(self.LayerNorm(embeddings))  # type: ignore[no-any-return]


class RelativePositionScores(nn.Module):
    """Scores q_i · a_{i−j} with one learned vector per distance.

    Reference: Shaw, Uszkoreit, Vaswani (2018), arXiv:1803.02155, eq. 4; the shift that avoids a (T, T, d) tensor is
    that of Huang et al. (2018), arXiv:1809.04281, section 3.4.
    """

    def __init__(self, max_positions: int, head_size: int) -> None:
        super().__init__()
        self.max_positions = max_positions
        self.distance_embedding = nn.Embedding(2 * max_positions - 1, head_size)

    def forward(self, query: Tensor) -> Tensor:
        """Query (B, H, T, d) -> scores (B, H, T, T), entry (i, j) for the distance i − j."""
        num_tokens = query.shape[2]
        first = self.max_positions - num_tokens
        # Rows from the distance T − 1 down to 1 − T, and a row of zeros that makes the shift below a plain reshape.
        distances = self.distance_embedding.weight[first : first + 2 * num_tokens - 1].flip(0)
        scores = query @ F.pad(distances, (0, 0, 0, 1)).T
        start = num_tokens - 1
        flat = scores.flatten(2)[..., start : start + num_tokens * (2 * num_tokens - 1)]
        return flat.reshape(*flat.shape[:2], num_tokens, 2 * num_tokens - 1)[..., :num_tokens]


class Attention(nn.Module):
    """Softmax attention over given queries, keys and values, with position scores and mask."""

    def __init__(self, config: FlexiBertConfig, head_size: int) -> None:
        super().__init__()
        self.config = config
        self.scale = 1.0 / math.sqrt(head_size)
        self.relative = (
            RelativePositionScores(config.max_position_embeddings, head_size)
            if config.position_embedding_type == "relative_key"
            else None
        )

    def forward(
        self, query: Tensor, key: Tensor | None, value: Tensor, mask: TokenMask, output_attentions: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Attend: (B, H, T, d) each -> context (B, T, H · d) and, on request, probabilities (B, H, T, T).

        Without keys the scores are those of the relative positions alone.
        """
        dropout = self.config.attention_probs_dropout_prob if self.training else 0.0
        bias = mask.score_bias
        if self.relative is not None:
            scores = self.relative(query) * self.scale
            bias = scores if bias is None else scores + bias
        if key is not None and not output_attentions and self.config._attn_implementation != "eager":
            context = F.scaled_dot_product_attention(query, key, value, bias, dropout, scale=self.scale)
            return context.transpose(1, 2).flatten(2), None
        scores = bias if key is None else (query @ key.transpose(-1, -2)) * self.scale + (0 if bias is None else bias)
        assert isinstance(scores, Tensor)
        probabilities = scores.softmax(dim=-1)
        context = F.dropout(probabilities, dropout) @ value
        return context.transpose(1, 2).flatten(2), probabilities if output_attentions else None


class SelfAttention(nn.Module):
    """Self-attention: scaled dot product (sdp), or weighted multiplicative (wma) with scores Q W Kᵀ.

    The key has no bias: it would add one constant to all scores of a row, which softmax ignores.
    """

    def __init__(self, config: FlexiBertConfig, layer: dict[str, Any]) -> None:
        super().__init__()
        width, self.num_heads = layer["h"], layer["n"]
        head_size = width // self.num_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        weighted = layer["p"] == "wma"
        self.weighting = nn.Parameter(torch.eye(head_size).repeat(self.num_heads, 1, 1)) if weighted else None
        self.attention = Attention(config, head_size)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, mask: TokenMask, output_attentions: bool) -> tuple[Tensor, Tensor | None]:
        """Tokens (B, T, h) -> the same shape, and probabilities on request."""
        query, key, value = (split_heads(part(x), self.num_heads) for part in (self.query, self.key, self.value))
        if self.weighting is not None:
            key = key @ self.weighting.transpose(-1, -2)
        context, probabilities = self.attention(query, key, value, mask, output_attentions)
        return self.dropout(self.output(context)), probabilities


class LinearTransform(nn.Module):
    """Real part of the 2-D discrete Fourier transform (dft), or 2-D discrete cosine transform (dct-II).

    Both run over the real tokens of each row and over the whole hidden width. With relative positions, attention by
    distance alone is added.

    Reference: Lee-Thorp et al. (2022), "FNet", arXiv:2105.03824, section 3.2.
    """

    def __init__(self, config: FlexiBertConfig, layer: dict[str, Any]) -> None:
        super().__init__()
        width, self.num_heads, self.kind = layer["h"], layer["n"], layer["p"]
        self.orthonormal = config.transform_norm == "ortho"
        self.relative = config.position_embedding_type == "relative_key"
        if self.relative:
            self.query = nn.Linear(width, width)
            self.value = nn.Linear(width, width)
            self.attention = Attention(config, width // self.num_heads)
            self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, mask: TokenMask, output_attentions: bool) -> tuple[Tensor, Tensor | None]:
        """Tokens (B, T, h) -> the same shape, and probabilities on request."""
        mixed = self._transform(x, mask)
        if not self.relative:
            if output_attentions:
                raise ValueError(f"output_attentions: a {self.kind} layer with absolute positions has no attention.")
            return self.dropout(mixed), None
        query, value = (split_heads(part(x), self.num_heads) for part in (self.query, self.value))
        context, probabilities = self.attention(query, None, value, mask, output_attentions)
        return self.dropout(mixed + self.output(context)), probabilities

    def _transform(self, x: Tensor, mask: TokenMask) -> Tensor:
        matrices = cosine_matrices if self.kind == "dct" else fourier_matrices
        for size, positions, lengths in (
            (0, mask.positions, mask.lengths),  # along the tokens; 0 names it, as T may equal h
            (x.shape[-1], torch.arange(x.shape[-1], device=x.device)[None], None),
        ):
            if (self.kind, size) not in mask.transforms:
                made: tuple[Tensor, ...] = matrices(
                    positions, torch.tensor(size) if lengths is None else lengths, self.orthonormal
                )
                if lengths is not None and mask.real is not None:
                    inside = mask.real[:, :, None] * mask.real[:, None, :]
                    made = tuple(matrix * inside for matrix in made)
                mask.transforms[self.kind, size] = tuple(matrix.to(x.dtype) for matrix in made)
        along_tokens, along_width = mask.transforms[self.kind, 0], mask.transforms[self.kind, x.shape[-1]]
        if self.kind == "dct":
            return along_tokens[0] @ (x @ along_width[0][0].T)
        # Real part of F_T X F_h with F = C − iS (both symmetric): C X C − S X S.
        cosine, sine = (x @ matrix[0] for matrix in along_width)
        return along_tokens[0] @ cosine - along_tokens[1] @ sine


def fourier_matrices(positions: Tensor, lengths: Tensor, orthonormal: bool) -> tuple[Tensor, Tensor]:
    """Cosine and sine parts of the discrete Fourier transform of each row's length.

    Args:
        positions: Place of each token, integers, shape (B, T).
        lengths: Length of each row, integers, broadcastable to (B, 1, 1).
        orthonormal: Divide by the root of the length.

    Returns:
        Two tensors (B, T, T) in float32. Phases are reduced in integers, so they are exact to rounding.
    """
    phase = (positions[:, :, None] * positions[:, None, :]) % lengths * (2 * math.pi / lengths)
    scale = lengths.float().rsqrt() if orthonormal else 1.0
    return phase.cos() * scale, phase.sin() * scale


def cosine_matrices(positions: Tensor, lengths: Tensor, orthonormal: bool) -> tuple[Tensor]:
    """The discrete cosine transform II of each row's length; arguments as for `fourier_matrices`.

    Returns:
        One tensor (B, T, T) in float32, entry (k, j) for output k and input j.
    """
    phase = (positions[:, :, None] * (2 * positions[:, None, :] + 1)) % (4 * lengths) * (math.pi / (2 * lengths))
    if not orthonormal:
        return (2 * phase.cos(),)
    first = positions[:, :, None] == 0
    return (phase.cos() * torch.where(first, 1.0, math.sqrt(2.0)) * lengths.float().rsqrt(),)


class DynamicConvolution(nn.Module):
    """Span-based dynamic convolution beside self-attention, each on half of the hidden width.

    Reference: Jiang et al. (2020), "ConvBERT", arXiv:2008.02496, eq. 4 to 6.
    """

    def __init__(self, config: FlexiBertConfig, layer: dict[str, Any]) -> None:
        super().__init__()
        width, self.kernel_size = layer["h"], int(layer["p"])
        self.num_heads = max(1, layer["n"] // 2)
        half = width // 2
        self.query = nn.Linear(width, half)
        self.key = nn.Linear(width, half, bias=False)
        self.value = nn.Linear(width, half)
        self.attention = Attention(config, half // self.num_heads)
        self.depthwise = nn.Parameter(torch.empty(self.kernel_size, width))
        self.pointwise = nn.Linear(width, half)
        self.kernel = nn.Linear(half, self.num_heads * self.kernel_size)
        self.convolved = nn.Linear(width, half)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, mask: TokenMask, output_attentions: bool) -> tuple[Tensor, Tensor | None]:
        """Tokens (B, T, h) -> the same shape, and probabilities on request."""
        query = self.query(x)
        heads = (split_heads(part, self.num_heads) for part in (query, self.key(x), self.value(x)))
        context, probabilities = self.attention(*heads, mask, output_attentions)
        spans = windows(mask.zero_padding(x), self.kernel_size)
        span = sum(shifted * weight for shifted, weight in zip(spans, self.depthwise, strict=True))
        kernel = self.kernel(self.pointwise(span) * query).unflatten(-1, (self.num_heads, self.kernel_size))
        weights = kernel.softmax(dim=-1).unbind(-1)
        values = mask.zero_padding(self.convolved(x)).unflatten(-1, (self.num_heads, -1))
        local = sum(
            shifted * weight[..., None]
            for shifted, weight in zip(windows(values, self.kernel_size), weights, strict=True)
        )
        assert isinstance(local, Tensor)
        return self.dropout(self.output(torch.cat([context, local.flatten(2)], dim=-1))), probabilities


def windows(x: Tensor, kernel_size: int) -> list[Tensor]:
    """The K neighbours of each token, zero beyond the ends: (B, T, …) -> K views of the same shape."""
    reach = kernel_size // 2
    padded = F.pad(x, [0, 0] * (x.dim() - 2) + [reach, reach])
    return [padded[:, offset : offset + x.shape[1]] for offset in range(kernel_size)]


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, T, H · d) -> (B, H, T, d)."""
    return x.reshape(*x.shape[:2], num_heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """A stack of GELU layers, then the projection back to the hidden size."""

    def __init__(self, config: FlexiBertConfig, layer: dict[str, Any]) -> None:
        super().__init__()
        sizes = [layer["h"], *layer["f"]]
        self.stack = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.output = nn.Linear(sizes[-1], layer["h"])
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, T, h) -> the same shape."""
        for linear in self.stack:
            x = F.gelu(linear(x))
        return self.dropout(self.output(x))  # type: ignore[no-any-return]


OPERATIONS = {"sa": SelfAttention, "l": LinearTransform, "c": DynamicConvolution}


class FlexiBertLayer(GradientCheckpointingLayer):
    """Operation and feed-forward stack, each with residual and layer norm; first a projection where widths differ."""

    def __init__(self, config: FlexiBertConfig, layer: dict[str, Any], input_size: int) -> None:
        super().__init__()
        width = layer["h"]
        self.projection = nn.Linear(input_size, width) if input_size != width else None
        self.operation = OPERATIONS[layer["o"]](config, layer)
        self.operation_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config, layer)
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, mask: TokenMask, output_attentions: bool = False) -> tuple[Tensor, Tensor | None]:
        """Tokens (B, T, input_size) -> (B, T, h), and attention probabilities on request."""
        if self.projection is not None:
            x = self.projection(x)
        mixed, probabilities = self.operation(x, mask, output_attentions)
        x = self.operation_norm(x + mixed)
        return self.feed_forward_norm(x + self.feed_forward(x)), probabilities


class HeadLinear(nn.Linear):
    """A layer of the classification head: initial weights keep the scale of its input.

    Two layers at `initializer_range` shrink the signal of a narrow encoder so far that short runs never leave the
    plateau.
    """


class FlexiBertPreTrainedModel(PreTrainedModel):
    """Initialisation and loading."""

    config_class = FlexiBertConfig
    config: FlexiBertConfig
    base_model_prefix = "flexibert"
    supports_gradient_checkpointing = True
    # The loss is a mean over the batch: the Trainer must divide it by its accumulation steps.
    accepts_loss_kwargs = False
    _supports_sdpa = True
    _no_split_modules = ["FlexiBertLayer"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, HeadLinear):
            init.normal_(module.weight, std=module.in_features**-0.5)
            init.zeros_(module.bias)
            return
        super()._init_weights(module)
        if isinstance(module, SelfAttention) and module.weighting is not None:
            init.copy_(module.weighting, torch.eye(module.weighting.shape[-1]).expand_as(module.weighting))
        elif isinstance(module, DynamicConvolution):
            init.normal_(module.depthwise, std=self.config.initializer_range)
        elif isinstance(module, MaskedLMHead):
            init.zeros_(module.bias)


class FlexiBertModel(FlexiBertPreTrainedModel):
    """The encoder without a head."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__(config)
        assert config.model_dict is not None
        columns = {key: config.model_dict[key] for key in ("o", "h", "n", "f", "p")}
        layers = [{key: column[number] for key, column in columns.items()} for number in range(config.model_dict["l"])]
        widths = [config.embedding_size, *columns["h"]]
        self.embeddings = FlexiBertEmbeddings(config)
        self.layers = nn.ModuleList(
            FlexiBertLayer(config, layer, width) for layer, width in zip(layers, widths, strict=False)
        )
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The word embeddings."""
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the word embeddings."""
        self.embeddings.word_embeddings = value  # type: ignore[assignment]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput | tuple[Tensor, ...]:
        """Encode.

        Args:
            input_ids: Token ids, shape (B, T); or give `inputs_embeds`.
            attention_mask: 1 for real tokens, 0 for padding on either side, shape (B, T); all real where None.
            token_type_ids: Segment of each token, shape (B, T); 0 where None.
            inputs_embeds: Word embeddings, shape (B, T, width of the first layer), instead of `input_ids`.
            output_attentions: Also return the probabilities of each layer.
            output_hidden_states: Also return the embeddings and each layer's output.
            return_dict: False for a plain tuple.
            **kwargs: Ignored; what callers pass to every kind of encoder.

        Returns:
            `last_hidden_state` of shape (B, T, hidden size of the last layer), and what was asked for.

        Raises:
            ValueError: If both or neither of ids and embeddings are given, or the sequence is too long.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("FlexiBertModel: give either input_ids or inputs_embeds, not both and not neither.")
        words = self.embeddings.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if words.shape[1] > self.config.max_position_embeddings:
            raise ValueError(
                f"FlexiBertModel: a sequence must have at most max_position_embeddings = "
                f"{self.config.max_position_embeddings} tokens, got {words.shape[1]}. Truncate it."
            )
        if token_type_ids is None:
            token_type_ids = torch.zeros(words.shape[:2], dtype=torch.long, device=words.device)
        output_attentions = self.config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = (
            self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        )
        mask = TokenMask.from_attention_mask(attention_mask, words)
        x = self.embeddings(words, token_type_ids, mask.positions)
        hidden_states, attentions = [x], []
        for layer in self.layers:
            x, probabilities = layer(x, mask, bool(output_attentions))
            hidden_states.append(x)
            attentions.append(probabilities)
        output = BaseModelOutput(
            last_hidden_state=x,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
        return output if _wants_dict(self.config, return_dict) else output.to_tuple()


class MaskedLMHead(nn.Module):
    """From the last layer's width back to that of the embeddings, then to the vocabulary."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.embedding_size)
        self.LayerNorm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.decoder = nn.Linear(config.embedding_size, config.vocab_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (…, h) -> scores (…, vocabulary)."""
        return self.decoder(self.LayerNorm(F.gelu(self.dense(x))))  # type: ignore[no-any-return]


class FlexiBertForMaskedLM(FlexiBertPreTrainedModel):
    """Predicts masked tokens; the output embeddings are the input ones."""

    _tied_weights_keys = {
        "lm_head.decoder.weight": "flexibert.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    }

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__(config)
        self.flexibert = FlexiBertModel(config)
        self.lm_head = MaskedLMHead(config)
        self.post_init()

    def get_output_embeddings(self) -> nn.Linear:
        """The projection to the vocabulary."""
        decoder: nn.Linear = self.lm_head.decoder
        return decoder

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replace the projection to the vocabulary."""
        self.lm_head.decoder = new_embeddings
        self.lm_head.bias = new_embeddings.bias

    def forward(
        self,
        input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> MaskedLMOutput | tuple[Tensor, ...]:
        """Score every token of the vocabulary at every place.

        Args:
            input_ids: Token ids, shape (B, T).
            labels: Ids to predict, −100 where there is nothing to predict, shape (B, T).
            return_dict: False for a plain tuple.
            **kwargs: As for `FlexiBertModel`.

        Returns:
            `logits` of shape (B, T, vocabulary) and, with labels, the mean cross-entropy in nats as `loss`.
        """
        output = self.flexibert(input_ids, return_dict=True, **kwargs)
        logits = self.lm_head(output.last_hidden_state)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100)
        result = MaskedLMOutput(
            loss=loss, logits=logits, hidden_states=output.hidden_states, attentions=output.attentions
        )
        return result if _wants_dict(self.config, return_dict) else result.to_tuple()


class ClassificationHead(nn.Module):
    """Pooled sequence -> tanh layer -> one score per label."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__()
        dropout = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.pooling = config.classifier_pooling
        self.dense = HeadLinear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.out_proj = HeadLinear(config.hidden_size, config.num_labels or 2)

    def forward(self, x: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Tokens (B, T, h) and mask (B, T) -> scores (B, labels)."""
        real = torch.ones(x.shape[:2], device=x.device) if attention_mask is None else attention_mask
        if self.pooling == "first":
            pooled = x[torch.arange(len(x), device=x.device), real.to(torch.int8).argmax(dim=1)]
        else:
            weights = real.to(x.dtype)[..., None]
            pooled = (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
        return self.out_proj(self.dropout(torch.tanh(self.dense(self.dropout(pooled)))))  # type: ignore[no-any-return]


class FlexiBertForSequenceClassification(FlexiBertPreTrainedModel):
    """Labels or scores a sentence or a pair."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__(config)
        self.flexibert = FlexiBertModel(config)
        self.classifier = ClassificationHead(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Score every label.

        Args:
            input_ids: Token ids, shape (B, T).
            attention_mask: 1 for real tokens, shape (B, T).
            labels: Class numbers (B,); floats (B,) where `num_labels` is 1; 0/1 floats (B, labels) for several labels.
            return_dict: False for a plain tuple.
            **kwargs: As for `FlexiBertModel`.

        Returns:
            `logits` of shape (B, labels) and, with labels, the mean loss: squared error for one output, binary
            cross-entropy for several labels at once, else cross-entropy.
        """
        output = self.flexibert(input_ids, attention_mask=attention_mask, return_dict=True, **kwargs)
        logits = self.classifier(output.last_hidden_state, attention_mask)
        result = SequenceClassifierOutput(
            loss=None if labels is None else self._loss(logits.float(), labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )
        return result if _wants_dict(self.config, return_dict) else result.to_tuple()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.config.num_labels == 1:
            return F.mse_loss(logits.squeeze(-1), labels.float())
        if self.config.problem_type == "multi_label_classification":
            return F.binary_cross_entropy_with_logits(logits, labels.float())
        return F.cross_entropy(logits, labels)


def _wants_dict(config: FlexiBertConfig, return_dict: bool | None) -> bool:
    return bool(config.return_dict if return_dict is None else return_dict)
