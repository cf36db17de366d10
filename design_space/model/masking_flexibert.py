"""Which tokens of a FlexiBERT batch see each other, and what follows from it for every operation.

It travels with an export beside the model's file, so it imports torch alone.

Symbols: B sequences, T tokens, h hidden size, K kernel size.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def is_readable(tensor: Tensor) -> bool:
    """Whether values may be looked at: not on a GPU, which would be waited for, and not in a graph, which cannot."""
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    return not (tensor.is_cuda or is_traced)


@dataclass
class TokenMask:
    """Which tokens are real and which see each other, and what follows from it for every layer of one forward pass.

    Attributes:
        real: True for a real token, False for padding, shape (B, T); None where all are real.
        positions: Place of each token among the real ones of its document, shape (B, T), or (1, T) where all rows are
            one document and real.
        lengths: Real tokens of each row, at least 1, shape (B, 1, 1), or (1, 1, 1); where a row holds several
            documents those of each token's document, shape (B, T, 1).
        sees: Whether a token may look at another, which is real and of the same document, shape (B, T, T), or (B, 1, T)
            where every row is one document; None where every token sees its whole row.
        documents: Number of each token's document, from 1 on, shape (B, T); None where every row is one document.
        made: What has been made of it so far, by kind and size or type, shared by all layers.
    """

    real: Tensor | None
    positions: Tensor
    lengths: Tensor
    sees: Tensor | None = None
    documents: Tensor | None = None
    made: dict[tuple[str, Any], tuple[Tensor, ...]] = field(default_factory=dict)

    @classmethod
    def from_attention_mask(
        cls, attention_mask: Tensor | None, hidden_states: Tensor, document_ids: Tensor | None = None
    ) -> "TokenMask":
        """Read a 0/1 mask of shape (B, T), or None where every token is real, and documents (B, T), or None for one."""
        if document_ids is not None and not (is_readable(document_ids) and _is_one(document_ids)):
            return cls._of_documents(attention_mask, document_ids)
        num_tokens = hidden_states.shape[1]
        if attention_mask is None or (is_readable(attention_mask) and bool(attention_mask.all())):
            positions = torch.arange(num_tokens, device=hidden_states.device)[None]
            return cls(None, positions, torch.full_like(positions[:, :1, None], num_tokens))
        real = attention_mask.bool()
        counts = real.long().cumsum(dim=1)
        return cls(real, (counts - 1).clamp(min=0), counts[:, -1:, None].clamp(min=1), real[:, None, :])

    @classmethod
    def _of_documents(cls, attention_mask: Tensor | None, document_ids: Tensor) -> "TokenMask":
        documents = document_ids - document_ids[:, :1] + 1
        sees = documents[:, :, None] == documents[:, None, :]
        real = None if attention_mask is None else attention_mask.bool()
        if real is not None:
            sees = sees & real[:, None, :]
        # What a token sees before itself is its place, and all that it sees its document.
        return cls(real, sees.tril(-1).sum(-1), sees.sum(-1, keepdim=True).clamp(min=1), sees, documents)

    def to(self, device: torch.device, non_blocking: bool = False) -> "TokenMask":
        """The same on another device, for models that are spread over several."""
        if self.positions.device == torch.device(device):
            return self
        real, sees, documents = (
            None if part is None else part.to(device, non_blocking=non_blocking)
            for part in (self.real, self.sees, self.documents)
        )
        return TokenMask(real, self.positions.to(device), self.lengths.to(device), sees, documents)

    def zero_padding(self, hidden_states: Tensor) -> Tensor:
        """Set padded tokens to zero: what a convolution sees beyond the ends."""
        return hidden_states if self.real is None else hidden_states * self.real[..., None]

    def within_documents(self, taps: Iterable[Tensor], kernel_size: int) -> Iterable[Tensor]:
        """Set to zero what a token takes from another document: (B, T, …) for each of K neighbours -> the same."""
        if self.documents is None:
            return taps
        if ("taps", kernel_size) not in self.made:
            neighbours = windows(self.documents, kernel_size)
            self.made["taps", kernel_size] = tuple((found == self.documents)[..., None] for found in neighbours)
        return (tap * is_own for tap, is_own in zip(taps, self.made["taps", kernel_size], strict=True))

    def score_bias(self, dtype: torch.dtype) -> Tensor | None:
        """What is added to attention scores: 0, or for what is not seen a value so low that softmax gives it nothing.

        Returns:
            Shape (B, 1, 1, T), or (B, 1, T, T) with several documents in a row, or None where every token sees all.
            Half of the least finite value, so that a row without a real token stays finite.
        """
        if self.sees is None:
            return None
        if ("bias", dtype) not in self.made:
            bias = (~self.sees).to(dtype) * (torch.finfo(dtype).min / 2)
            self.made["bias", dtype] = (bias[:, None],)
        return self.made["bias", dtype][0]

    def along_tokens(self, kind: str, orthonormal: bool, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Matrices of the transform `kind` over the real tokens of each document, zero elsewhere, each (B, T, T)."""
        if (kind, dtype) not in self.made:
            matrices = TRANSFORMS[kind](self.positions, self.lengths, orthonormal)
            if self.sees is not None:
                inside = self.sees if self.real is None else self.real[:, :, None] & self.sees
                matrices = tuple(matrix * inside for matrix in matrices)
            self.made[kind, dtype] = tuple(matrix.to(dtype) for matrix in matrices)
        return self.made[kind, dtype]

    def along_width(self, kind: str, width: int, orthonormal: bool, dtype: torch.dtype) -> Tensor:
        """What a row of values is multiplied by to be transformed along the hidden width, shape (h, h)."""
        key = (f"{kind}-{dtype}", width)
        if key not in self.made:
            places = torch.arange(width, device=self.positions.device)[None]
            length = torch.full_like(self.lengths[:1, :1], width)
            matrices = TRANSFORMS[kind](places, length, orthonormal)
            if kind == "dct":
                matrix = matrices[0][0].T
            else:
                # Cosines are even and sines odd about h / 2: h columns hold all that is distinct.
                matrix = torch.cat([matrices[0][0, :, : width // 2 + 1], matrices[1][0, :, 1 : (width + 1) // 2]], 1)
            self.made[key] = (matrix.to(dtype),)
        return self.made[key][0]


def _is_one(document_ids: Tensor) -> bool:
    """Whether every row is one document."""
    return bool((document_ids == document_ids[:, :1]).all())


def fourier_matrices(positions: Tensor, lengths: Tensor, orthonormal: bool) -> tuple[Tensor, Tensor]:
    """Cosine and sine parts of the discrete Fourier transform of each row's, or each token's document's, length.

    Args:
        positions: Place of each token, integers, shape (B, T).
        lengths: Length of each row, integers, shape (B, 1, 1), or of each token's document, shape (B, T, 1).
        orthonormal: Divide by the root of the length.

    Returns:
        Two tensors (B, T, T) in float32, each entry exact to rounding.
    """
    turns = positions[:, :, None] * positions[:, None, :] % lengths
    listed = _listed(lengths)
    angles = _angles(listed, positions.shape[1])
    scale = _wide(listed).rsqrt() if orthonormal else 1.0
    return _looked_up(angles.cos() * scale, turns, lengths), _looked_up(angles.sin() * scale, turns, lengths)


def cosine_matrices(positions: Tensor, lengths: Tensor, orthonormal: bool) -> tuple[Tensor]:
    """The discrete cosine transform II of the same lengths; arguments as for `fourier_matrices`.

    Returns:
        One tensor (B, T, T) in float32, entry (k, j) for output k and input j.
    """
    turns = positions[:, :, None] * (2 * positions[:, None, :] + 1) % (4 * lengths)
    listed = _listed(lengths)
    cosines = _angles(4 * listed, 4 * positions.shape[1]).cos()
    if not orthonormal:
        return (_looked_up(2 * cosines, turns, lengths),)
    first = positions[:, :, None] == 0
    scaled = cosines * (2 / _wide(listed)).sqrt()
    return (_looked_up(scaled, turns, lengths) * torch.where(first, math.sqrt(0.5), 1.0),)


def _listed(lengths: Tensor) -> Tensor:
    """The lengths that have a table: those of the rows (B, 1, 1), or, with one a token, all that may be (T, 1, 1)."""
    num_tokens = lengths.shape[1]
    return lengths if num_tokens == 1 else torch.arange(1, num_tokens + 1, device=lengths.device)[:, None, None]


def _angles(periods: Tensor, size: int) -> Tensor:
    """The angles 2π m / period for m below the size: periods (R, 1, 1) -> (R, size)."""
    return torch.arange(size, device=periods.device) * (2 * math.pi / _wide(periods))


def _wide(lengths: Tensor) -> Tensor:
    """Lengths (R, 1, 1) as floats (R, 1), in float64 where the device has it."""
    return lengths[..., 0].to(torch.float32 if lengths.device.type == "mps" else torch.float64)


def _looked_up(tables: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
    """Entries of the tables of `_listed`, in float32: tables (R, size), places (B, T, T) -> (B, T, T)."""
    if lengths.shape[1] == 1:
        return tables.float().gather(1, places.flatten(1)).view(places.shape)
    return tables.float().take((lengths - 1) * tables.shape[1] + places)


TRANSFORMS = {"dft": fourier_matrices, "dct": cosine_matrices}


def windows(x: Tensor, kernel_size: int) -> list[Tensor]:
    """The K neighbours of each token, zero beyond the ends: (B, T, …) -> K views of the same shape."""
    reach = kernel_size // 2
    padded = F.pad(x, [0, 0] * (x.dim() - 2) + [reach, reach])
    return [padded[:, offset : offset + x.shape[1]] for offset in range(kernel_size)]
