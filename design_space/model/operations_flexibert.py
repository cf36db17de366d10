"""What mixes the tokens of a FlexiBERT layer: self-attention, linear transform, dynamic convolution.

It travels with an export beside the model's file, so it imports torch alone.

Symbols: B sequences, T tokens, H heads, d head width, h hidden size, K kernel size.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .configuration_flexibert import FlexiBertConfig

_QUERY_BLOCK = 64
_MAX_SCORES = 2**20  # made at a time on a CPU
_MAX_KEPT = 4  # scores of a token and head that are kept for the gradients, in head widths


def is_readable(tensor: Tensor) -> bool:
    """Whether values may be looked at: not on a GPU, which would be waited for, and not in a graph, which cannot."""
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    return not (tensor.is_cuda or is_traced)


@dataclass
class TokenMask:
    """Which tokens are real, and what follows from it for every layer of one forward pass.

    Attributes:
        real: True for a real token, False for padding, shape (B, T); None where all are real.
        positions: Place of each token among the real ones of its row, shape (B, T), or (1, T) where all are real.
        lengths: Real tokens per row, at least 1, shape (B, 1, 1), or (1, 1, 1).
        made: What has been made of it so far, by kind and size or type, shared by all layers.
    """

    real: Tensor | None
    positions: Tensor
    lengths: Tensor
    made: dict[tuple[str, Any], tuple[Tensor, ...]] = field(default_factory=dict)

    @classmethod
    def from_attention_mask(cls, attention_mask: Tensor | None, hidden_states: Tensor) -> "TokenMask":
        """Read a 0/1 mask of shape (B, T), or None where every token is real."""
        num_tokens = hidden_states.shape[1]
        if attention_mask is None or (is_readable(attention_mask) and bool(attention_mask.all())):
            positions = torch.arange(num_tokens, device=hidden_states.device)[None]
            return cls(None, positions, torch.full_like(positions[:, :1, None], num_tokens))
        real = attention_mask.bool()
        counts = real.long().cumsum(dim=1)
        return cls(real, (counts - 1).clamp(min=0), counts[:, -1:, None].clamp(min=1))

    def to(self, device: torch.device, non_blocking: bool = False) -> "TokenMask":
        """The same on another device, for models that are spread over several."""
        if self.positions.device == torch.device(device):
            return self
        real = None if self.real is None else self.real.to(device, non_blocking=non_blocking)
        return TokenMask(real, self.positions.to(device), self.lengths.to(device))

    def zero_padding(self, hidden_states: Tensor) -> Tensor:
        """Set padded tokens to zero: what a convolution sees beyond the ends."""
        return hidden_states if self.real is None else hidden_states * self.real[..., None]

    def score_bias(self, dtype: torch.dtype) -> Tensor | None:
        """What is added to attention scores: 0, or for padding a value so low that softmax gives it nothing.

        Returns:
            Shape (B, 1, 1, T), or None where all tokens are real. Half of the least finite value, so that a row without
            a real token stays finite.
        """
        if self.real is None:
            return None
        if ("bias", dtype) not in self.made:
            bias = (~self.real).to(dtype) * (torch.finfo(dtype).min / 2)
            self.made["bias", dtype] = (bias[:, None, None, :],)
        return self.made["bias", dtype][0]

    def along_tokens(self, kind: str, orthonormal: bool, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Matrices of the transform `kind` over the real tokens of each row, zero for padding, each (B, T, T)."""
        if (kind, dtype) not in self.made:
            matrices = TRANSFORMS[kind](self.positions, self.lengths, orthonormal)
            if self.real is not None:
                inside = self.real[:, :, None] & self.real[:, None, :]
                matrices = tuple(matrix * inside for matrix in matrices)
            self.made[kind, dtype] = tuple(matrix.to(dtype) for matrix in matrices)
        return self.made[kind, dtype]

    def along_width(self, kind: str, width: int, orthonormal: bool, dtype: torch.dtype) -> Tensor:
        """What a row of values is multiplied by to be transformed along the hidden width, shape (h, h)."""
        key = (f"{kind}-{dtype}", width)
        if key not in self.made:
            places = torch.arange(width, device=self.positions.device)[None]
            length = torch.full_like(self.lengths[:1], width)
            matrices = TRANSFORMS[kind](places, length, orthonormal)
            if kind == "dct":
                matrix = matrices[0][0].T
            else:
                # Cosines are even and sines odd about h / 2: h columns hold all that is distinct.
                matrix = torch.cat([matrices[0][0, :, : width // 2 + 1], matrices[1][0, :, 1 : (width + 1) // 2]], 1)
            self.made[key] = (matrix.to(dtype),)
        return self.made[key][0]


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

    Both run over the real tokens of each row and over the whole hidden width, and nothing is dropped out of them. With
    relative positions, attention by distance alone is added.

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
        if self.kind == "dft" and mask.real is None:
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


def fourier_matrices(positions: Tensor, lengths: Tensor, orthonormal: bool) -> tuple[Tensor, Tensor]:
    """Cosine and sine parts of the discrete Fourier transform of each row's length.

    Args:
        positions: Place of each token, integers, shape (B, T).
        lengths: Length of each row, integers, shape (B, 1, 1).
        orthonormal: Divide by the root of the length.

    Returns:
        Two tensors (B, T, T) in float32, each entry exact to rounding.
    """
    turns = positions[:, :, None] * positions[:, None, :] % lengths
    angles = _angles(lengths, positions.shape[1])
    scale = _wide(lengths).rsqrt() if orthonormal else 1.0
    return _looked_up(angles.cos() * scale, turns), _looked_up(angles.sin() * scale, turns)


def cosine_matrices(positions: Tensor, lengths: Tensor, orthonormal: bool) -> tuple[Tensor]:
    """The discrete cosine transform II of each row's length; arguments as for `fourier_matrices`.

    Returns:
        One tensor (B, T, T) in float32, entry (k, j) for output k and input j.
    """
    turns = positions[:, :, None] * (2 * positions[:, None, :] + 1) % (4 * lengths)
    cosines = _angles(4 * lengths, 4 * positions.shape[1]).cos()
    if not orthonormal:
        return (_looked_up(2 * cosines, turns),)
    first = positions[:, :, None] == 0
    return (_looked_up(cosines * (2 / _wide(lengths)).sqrt(), turns) * torch.where(first, math.sqrt(0.5), 1.0),)


def _angles(periods: Tensor, size: int) -> Tensor:
    """The angles 2π m / period for m below the size, shape (B, size)."""
    return torch.arange(size, device=periods.device) * (2 * math.pi / _wide(periods))


def _wide(lengths: Tensor) -> Tensor:
    """Lengths (B, 1, 1) as floats (B, 1), in float64 where the device has it."""
    return lengths[..., 0].to(torch.float32 if lengths.device.type == "mps" else torch.float64)


def _looked_up(table: Tensor, places: Tensor) -> Tensor:
    """Entries of each row's table, in float32: table (B, size), places (B, T, T) -> (B, T, T)."""
    return table.float().gather(1, places.flatten(1)).view(places.shape)


TRANSFORMS = {"dft": fourier_matrices, "dct": cosine_matrices}


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


OPERATIONS = {"sa": SelfAttention, "l": LinearTransform, "c": DynamicConvolution}
