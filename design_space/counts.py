"""Parameters of an architecture in closed form: no model is built."""

import math

from design_space.architecture import Architecture, Layer

VOCAB_SIZE = 50_265
MAX_POSITIONS = 512
NUM_TOKEN_TYPES = 2
HEAD_RATIO = 2


def num_parameters(
    architecture: Architecture,
    *,
    vocab_size: int = VOCAB_SIZE,
    max_positions: int = MAX_POSITIONS,
    relative: bool = True,
) -> int:
    """Parameters of `FlexiBertModel`, heads not counted.

    Args:
        architecture: Any.
        vocab_size: Entries of the tokenizer.
        max_positions: Longest sequence in tokens.
        relative: Relative position scores in every layer; else absolute position embeddings.

    Returns:
        The exact number that the torch model reports.

    Example:
        >>> from design_space.architecture import Layer
        >>> num_parameters(Architecture((Layer("sa", "sdp", 256, 4, (1024,)),) * 4), relative=False)
        16157952
    """
    widths = [layer.hidden_size for layer in architecture.layers]
    num_embeddings = vocab_size + NUM_TOKEN_TYPES + (0 if relative else max_positions)
    total = num_embeddings * widths[0] + 2 * widths[0]
    total += sum(_layer(layer, max_positions if relative else 0) for layer in architecture.layers)
    total += sum(_linear(a, b) for a, b in zip(widths, widths[1:], strict=False) if a != b)
    return total


def num_attention_heads(layer: Layer) -> int:
    """Heads that stay self-attention: all but in a convolution, where half of them do, at least one."""
    return max(1, layer.num_heads // HEAD_RATIO) if layer.operation == "c" else layer.num_heads


def head_size(layer: Layer) -> int:
    """Width of one self-attention head; convolution and attention share a convolution layer's width."""
    return layer.hidden_size // num_attention_heads(layer) // (HEAD_RATIO if layer.operation == "c" else 1)


def _linear(num_inputs: int, num_outputs: int, bias: bool = True) -> int:
    return num_inputs * num_outputs + (num_outputs if bias else 0)


def _layer(layer: Layer, relative_positions: int) -> int:
    h = layer.hidden_size
    sizes = (h, *layer.feed_forward, h)
    feed_forward = sum(_linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
    relative = (2 * relative_positions - 1) * head_size(layer) if relative_positions else 0
    return _OPERATIONS[layer.operation](layer, relative) + feed_forward + 4 * h


def _self_attention(layer: Layer, relative: int) -> int:
    h = layer.hidden_size
    # The key has no bias: it would add the same to all scores of a row, which softmax ignores.
    weighted = layer.num_heads * head_size(layer) ** 2 if layer.parameter == "wma" else 0
    return 3 * _linear(h, h) + _linear(h, h, bias=False) + weighted + relative


def _linear_transform(layer: Layer, relative: int) -> int:
    # Query, value and output serve the relative-position attention alone.
    return 3 * _linear(layer.hidden_size, layer.hidden_size) + relative if relative else 0


def _convolution(layer: Layer, relative: int) -> int:
    h, kernel = layer.hidden_size, int(layer.parameter)
    half = math.prod((num_attention_heads(layer), head_size(layer)))
    attention = 2 * _linear(h, half) + _linear(h, half, bias=False) + relative
    separable = h * kernel + _linear(h, half)
    span = _linear(half, num_attention_heads(layer) * kernel) + _linear(h, half)
    return attention + separable + span + _linear(h, h)


_OPERATIONS = {"sa": _self_attention, "l": _linear_transform, "c": _convolution}
