"""Parameters and floating-point operations of an architecture in closed form: no model is built.

Symbols: T tokens, h hidden size, d head width, K kernel size.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from design_space.architecture import Architecture
from design_space.errors import InputError
from design_space.layer import Layer

VOCAB_SIZE = 50_265
MAX_POSITIONS = 512
NUM_TOKEN_TYPES = 2
HEAD_RATIO = 2
SEQUENCE_LENGTH = 128
QUERY_BLOCK = 64  # of the model, where it meets relative positions


@dataclass(frozen=True)
class Quantity:
    """A number that is a sum over the parts of an architecture, so that a space can count with it.

    Attributes:
        embedding: Share of the embeddings, by their width.
        layer: Share of a layer.
        joint: Share of the projection between two adjacent layers of unequal width, by both widths.
        per_head: Whether it is known where each head has its own operation.
    """

    embedding: Callable[[int], int]
    layer: Callable[[Any], int]
    joint: Callable[[int, int], int]
    per_head: bool = False

    def of(self, architecture: Architecture) -> int:
        """The sum.

        Raises:
            InputError: If each head has its own operation, and the number is not known there.
        """
        layers = architecture.layers if self.per_head else architecture.uniform_layers
        widths = [layer.hidden_size for layer in layers]
        joints = (self.joint(a, b) for a, b in itertools.pairwise(widths) if a != b)
        return self.embedding(widths[0]) + sum(map(self.layer, layers)) + sum(joints)


def parameters(vocab_size: int = VOCAB_SIZE, max_positions: int = MAX_POSITIONS, relative: bool = True) -> Quantity:
    """Parameters of `FlexiBertModel`, heads not counted.

    Args:
        vocab_size: Entries of the tokenizer.
        max_positions: Longest sequence in tokens.
        relative: Relative position scores in every layer; else absolute position embeddings.
    """
    num_embeddings = vocab_size + NUM_TOKEN_TYPES + (0 if relative else max_positions)
    positions = max_positions if relative else 0
    return Quantity(
        embedding=lambda width: num_embeddings * width + 2 * width,
        layer=lambda layer: _layer_parameters(layer, positions),
        joint=_linear,
    )


def num_parameters(
    architecture: Architecture,
    *,
    vocab_size: int = VOCAB_SIZE,
    max_positions: int = MAX_POSITIONS,
    relative: bool = True,
) -> int:
    """Parameters of `FlexiBertModel`, heads not counted (see `parameters`).

    Returns:
        The exact number that the torch model reports.

    Raises:
        InputError: If each head has its own operation.

    Example:
        >>> num_parameters(Architecture((Layer("sa", "sdp", 256, 4, (1024,)),) * 4), relative=False)
        16157952
    """
    return parameters(vocab_size, max_positions, relative).of(architecture)


def flops(sequence_length: int = SEQUENCE_LENGTH, relative: bool = True) -> Quantity:
    """Floating-point operations of one forward pass of `FlexiBertModel` over one sequence without padding.

    A multiply-add is two operations. Counted are all matrix products: linear maps, attention scores and contexts, and
    the cosine transform, which the model computes as products with T × T and h × h matrices. A layer takes
    `2 T (W + a T w + t h (h + T))`: W entries of weight matrices (as many multiply-adds a token); w the width of its
    attention, h or, beside a convolution, h / 2; a = 2 for keys and values, 1 for values alone, 0 without attention;
    t = 1 for dct, else 0. Relative positions take `2 n b (T + b) w` more: n blocks of b queries, at most 64, each meet
    T + b distances.

    Not counted are biases, residuals, activations, softmax, norms, masks, embedding look-ups, and the making of the
    transforms' matrices. Nor are what the model computes without matrix products: the two weighted sums over the
    windows of a convolution, `3 T h K` operations a layer, and the fast Fourier transform of dft, about
    `5 T h log2(T h)` (padded rows take products instead, as many as dct).

    Args:
        sequence_length: Tokens, T; the model must allow as many positions.
        relative: Relative position scores in every layer; else absolute position embeddings.

    Returns:
        What `torch.utils.flop_counter.FlopCounterMode` counts in the model with eager attention.

    Raises:
        InputError: If sequence_length is not a positive integer.
    """
    if not isinstance(sequence_length, int) or isinstance(sequence_length, bool) or sequence_length < 1:
        raise InputError(
            f"flops: sequence_length must be a positive integer, got {sequence_length!r:.40}. "
            "Give the number of tokens."
        )
    return Quantity(
        embedding=lambda width: 0,
        layer=lambda layer: _layer_flops(layer, sequence_length, relative),
        joint=lambda a, b: 2 * sequence_length * a * b,
    )


def num_flops(architecture: Architecture, sequence_length: int = SEQUENCE_LENGTH, *, relative: bool = True) -> int:
    """Floating-point operations of one forward pass over one sequence (see `flops`).

    Returns:
        The exact number that torch counts.

    Raises:
        InputError: If sequence_length is not a positive integer, or each head has its own operation.

    Example:
        >>> num_flops(Architecture((Layer("sa", "sdp", 256, 4, (1024,)),) * 4), relative=False)
        872415232
    """
    return flops(sequence_length, relative).of(architecture)


def num_attention_heads(layer: Layer) -> int:
    """Heads that stay self-attention: all but in a convolution, where half of them do, at least one."""
    return max(1, layer.num_heads // HEAD_RATIO) if layer.operation == "c" else layer.num_heads


def head_size(layer: Layer) -> int:
    """Width of one self-attention head; convolution and attention share a convolution layer's width."""
    return layer.hidden_size // num_attention_heads(layer) // (HEAD_RATIO if layer.operation == "c" else 1)


_LinearMap = tuple[int, int, bool]  # inputs, outputs, whether it has a bias


def _linear(num_inputs: int, num_outputs: int, bias: bool = True) -> int:
    return num_inputs * num_outputs + (num_outputs if bias else 0)


def _layer_parameters(layer: Layer, relative_positions: int) -> int:
    linear_maps = sum(_linear(*sizes) for sizes in _linear_maps(layer, relative_positions > 0))
    distances = (2 * relative_positions - 1) * head_size(layer) if relative_positions else 0
    depthwise = layer.hidden_size * int(layer.parameter) if layer.operation == "c" else 0
    norms = 4 * layer.hidden_size
    return linear_maps + distances + depthwise + norms


def _layer_flops(layer: Layer, num_tokens: int, relative: bool) -> int:
    h, width = layer.hidden_size, num_attention_heads(layer) * head_size(layer)
    has_keys = layer.operation != "l"
    linear_maps = num_tokens * sum(a * b for a, b, _ in _linear_maps(layer, relative))
    attended = num_tokens * num_tokens * (has_keys + (has_keys or relative)) * width
    num_blocks = math.ceil(num_tokens / QUERY_BLOCK)
    block = math.ceil(num_tokens / num_blocks)
    distances = num_blocks * block * (num_tokens + block) * width if relative else 0
    transforms = num_tokens * h * (h + num_tokens) if layer.parameter == "dct" else 0
    return 2 * (linear_maps + attended + distances + transforms)


def _linear_maps(layer: Layer, relative: bool) -> list[_LinearMap]:
    """All that map each token by a learned matrix: those of the operation, then the feed-forward stack."""
    sizes = (layer.hidden_size, *layer.feed_forward, layer.hidden_size)
    return _OPERATIONS[layer.operation](layer, relative) + [(a, b, True) for a, b in itertools.pairwise(sizes)]


def _self_attention(layer: Layer, relative: bool) -> list[_LinearMap]:
    h, d = layer.hidden_size, head_size(layer)
    weighted = [(d, d, False)] * layer.num_heads if layer.parameter == "wma" else []
    # The key has no bias: it would add the same to all scores of a row, which softmax ignores.
    return [(h, h, True)] * 3 + [(h, h, False), *weighted]


def _linear_transform(layer: Layer, relative: bool) -> list[_LinearMap]:
    # Query, value and output serve the relative-position attention alone.
    return [(layer.hidden_size, layer.hidden_size, True)] * 3 if relative else []


def _convolution(layer: Layer, relative: bool) -> list[_LinearMap]:
    h, half = layer.hidden_size, num_attention_heads(layer) * head_size(layer)
    attention = [(h, half, True), (h, half, False), (h, half, True)]
    pointwise, values = (h, half, True), (h, half, True)
    kernels = (half, num_attention_heads(layer) * int(layer.parameter), True)
    return [*attention, pointwise, kernels, values, (h, h, True)]


_OPERATIONS = {"sa": _self_attention, "l": _linear_transform, "c": _convolution}
