"""What mixes the tokens of a FlexiBERT layer: self-attention, linear transform, dynamic convolution.

It travels with an export beside the model's file, so it imports torch alone.

Symbols: B sequences, T tokens, H heads, d head width, h hidden size, K kernel size.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .configuration_flexibert import FlexiBertConfig
from .masking_flexibert import TokenMask, is_readable, windows

_QUERY_BLOCK = 64
_MAX_SCORES = 2**20  # made at a time on a CPU
_MAX_KEPT = 4  # scores of a token and head that are kept for the gradients, in head widths


class RelativePositionScores(nn.Module):
    """Scores q_i · a_{i−j} with one learned vector per distance.

    Queries are taken in blocks of b: a block meets fewer than T + b distances, and reading its scores with rows one
    shorter shifts row i by i places. No (T, T, d) tensor is made.

    Reference: Shaw, Uszkoreit, Vaswani (2018), arXiv:1803.02155, eq. 4; the shift is that of Huang et al. (2018),
    arXiv:1809.04281, section 3.4.
    """

    def __init__(self, max_positions: int, head_size: int) -> None:
        super().__init__()
        self.max_positions = max_positions
        self.distance_embedding = nn.Embedding(2 * max_positions - 1, head_size)

    def forward(self, query: Tensor) -> Tensor:
        """Query (B, H, T, d) -> scores (B, H, T, T), entry (i, j) for the distance i − j."""
        num_rows, num_tokens, head_size = query.shape[0] * query.shape[1], query.shape[2], query.shape[3]
        num_blocks, block = 1, num_tokens
        if not torch.compiler.is_exporting():  # which cannot divide an unknown length
            num_blocks = (num_tokens + _QUERY_BLOCK - 1) // _QUERY_BLOCK
            block = (num_tokens + num_blocks - 1) // num_blocks
        width = num_tokens + block
        missing = num_blocks * block - num_tokens
        # Block n goes from the distance (n + 1) b − 1 on down; what lies beyond T − 1 is never read.
        starts = torch.arange(1, num_blocks + 1, device=query.device) * block - 1
        distances = starts[:, None] - torch.arange(width, device=query.device)
        places = distances.clamp(1 - num_tokens, num_tokens - 1) + self.max_positions - 1
        windows = self.distance_embedding(places).transpose(1, 2)
        rows = F.pad(query.reshape(num_rows, num_tokens, head_size), (0, 0, 0, missing))
        blocks = rows.unflatten(1, (num_blocks, block)).transpose(0, 1)
        scores = torch.bmm(blocks.reshape(num_blocks, num_rows * block, head_size), windows)
        flat = scores.reshape(num_blocks, num_rows, block * width)[..., block - 1 : -1]
        shifted = flat.reshape(num_blocks, num_rows, block, width - 1)[..., :num_tokens].transpose(0, 1)
        return shifted.reshape(*query.shape[:2], num_blocks * block, num_tokens)[:, :, :num_tokens]


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
        query = query * self.scale
        bias = mask.score_bias(query.dtype)
        # On a CPU no fused kernel takes a bias that needs a gradient, as the position scores do.
        can_fuse = key is not None and not output_attentions and (self.relative is None or query.is_cuda)
        if can_fuse and self.config._attn_implementation != "eager":
            if self.relative is not None:
                scores = self.relative(query)
                bias = scores if bias is None else scores + bias
            assert key is not None
            context = F.scaled_dot_product_attention(query, key, value, bias, dropout, scale=1.0)
            return context.transpose(1, 2).flatten(2), None
        if output_attentions or not is_readable(query):
            context, probabilities = self._attend(query, key, value, bias, dropout)
            return context.transpose(1, 2).flatten(2), probabilities if output_attentions else None
        # A few rows at a time stay in the cache.
        num_rows = max(1, _MAX_SCORES // (query.shape[1] * query.shape[2] ** 2))
        count = -(-len(query) // num_rows)
        parts = ([None] * count if tensor is None else tensor.split(num_rows) for tensor in (query, key, value, bias))
        contexts = [self._context(dropout, *rows) for rows in zip(*parts, strict=True)]
        return torch.cat(contexts).transpose(1, 2).flatten(2), None

    def _context(self, dropout: float, query: Tensor, key: Tensor | None, value: Tensor, bias: Tensor | None) -> Tensor:
        """As `_attend`, without the probabilities; in long sequences they are made again when gradients need them."""
        num_tokens, head_size = query.shape[2:]
        if not torch.is_grad_enabled() or num_tokens <= _MAX_KEPT * head_size:
            return self._attend(query, key, value, bias, dropout)[0]
        context: Tensor = checkpoint(
            lambda *rows: self._attend(*rows)[0],
            *(query, key, value, bias, dropout),
            use_reentrant=False,
            preserve_rng_state=dropout > 0,
        )
        return context

    def _attend(
        self, query: Tensor, key: Tensor | None, value: Tensor, bias: Tensor | None, dropout: float
    ) -> tuple[Tensor, Tensor]:
        scores = self._scores(query, key)
        probabilities = (scores if bias is None else scores + bias).softmax(dim=-1)
        return F.dropout(probabilities, dropout) @ value, probabilities

    def _scores(self, query: Tensor, key: Tensor | None) -> Tensor:
        if self.relative is None:
            assert key is not None
            return query @ key.transpose(-1, -2)
        scores: Tensor = self.relative(query)
        if key is None:
            return scores
        added = torch.baddbmm(scores.flatten(0, 1), query.flatten(0, 1), key.flatten(0, 1).transpose(-1, -2))
        return added.reshape(scores.shape)


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

    Both run over the real tokens of each document and over the whole hidden width, and nothing is dropped out of them.
    With relative positions, attention by distance alone is added.

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
            return mixed, None
        query, value = (split_heads(part(x), self.num_heads) for part in (self.query, self.value))
        context, probabilities = self.attention(query, None, value, mask, output_attentions)
        return mixed + self.dropout(self.output(context)), probabilities

    def _transform(self, x: Tensor, mask: TokenMask) -> Tensor:
        if self.kind == "dft" and mask.sees is None:
            norm = "ortho" if self.orthonormal else "backward"
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            transformed: Tensor = torch.fft.fft2(wide, norm=norm)
            return transformed.real.to(x.dtype)
        width = x.shape[-1]
        along_tokens = mask.along_tokens(self.kind, self.orthonormal, x.dtype)
        mixed = x @ mask.along_width(self.kind, width, self.orthonormal, x.dtype)
        if self.kind == "dct":
            return along_tokens[0] @ mixed
        # Real part of F_T X F_h with F = C − iS (both symmetric): C X C − S X S. Its columns m and h − m differ in the
        # sign of the second part alone.
        even, odd = mixed[..., : width // 2 + 1], mixed[..., width // 2 + 1 :]
        cosine, sine = along_tokens[0] @ even, along_tokens[1] @ odd
        first, inner, middle = cosine.split([1, sine.shape[-1], even.shape[-1] - 1 - sine.shape[-1]], dim=-1)
        return torch.cat([first, inner - sine, middle, (inner + sine).flip(-1)], dim=-1)


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
        taps = (shifted * weight for shifted, weight in zip(spans, self.depthwise, strict=True))
        span = sum(mask.within_documents(taps, self.kernel_size))
        kernel = self.kernel(self.pointwise(span) * query).unflatten(-1, (self.num_heads, self.kernel_size))
        weights = mask.within_documents(kernel.softmax(dim=-1).unbind(-1), self.kernel_size)
        values = mask.zero_padding(self.convolved(x)).unflatten(-1, (self.num_heads, -1))
        local = sum(
            shifted * weight[..., None]
            for shifted, weight in zip(windows(values, self.kernel_size), weights, strict=True)
        )
        assert isinstance(local, Tensor)
        return self.dropout(self.output(torch.cat([context, local.flatten(2)], dim=-1))), probabilities


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, T, H · d) -> (B, H, T, d)."""
    return x.reshape(*x.shape[:2], num_heads, -1).transpose(1, 2)


OPERATIONS = {"sa": SelfAttention, "l": LinearTransform, "c": DynamicConvolution}
