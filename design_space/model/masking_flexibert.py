"""Which tokens of a FlexiBERT batch see each other, and what follows from it for every operation.

It travels with an export beside the model's file, so it imports torch alone.

Symbols: B sequences, T tokens, h hidden size, K kernel size.
"""

import math
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


def windows(x: Tensor, kernel_size: int) -> list[Tensor]:
    """The K neighbours of each token, zero beyond the ends: (B, T, …) -> K views of the same shape."""
    reach = kernel_size // 2
    padded = F.pad(x, [0, 0] * (x.dim() - 2) + [reach, reach])
    return [padded[:, offset : offset + x.shape[1]] for offset in range(kernel_size)]
