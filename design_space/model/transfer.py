"""Weights of a trained neighbour for a new architecture.

An axis of a weight is one of

- "stream": channels of the residual stream, "inner": of a feed-forward layer, "channel": of a head; all can be
  projected;
- "row": heads, ids, positions, labels; the leading ones correspond;
- "middle": taps of a kernel, distances; those around the middle, where zero is, correspond.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor
from transformers import PreTrainedModel

from design_space.counts import head_size, num_attention_heads
from design_space.errors import InputError
from design_space.layer import Layer
from design_space.model.configuration_flexibert import FlexiBertConfig
from design_space.neighbors import overlap

__all__ = ["Mode", "Transfer", "overlap", "transfer"]

Mode = Literal["ordered", "random_projection"]
"""How weights of another size are taken: their leading block, or projected."""

_Axes = tuple[tuple[str, int], ...]  # kind and size
_PROJECTED = ("stream", "inner", "channel")


@dataclass(frozen=True)
class Transfer:
    """What a target took from a source, by names of its parameters.

    Attributes:
        equal: Copied as they are.
        partial: Of another size: a block copied and the rest fresh, or projected.
        fresh: Left as they were.
        share: Parameters that came from the source, of all in the target, in [0, 1].
    """

    equal: tuple[str, ...]
    partial: tuple[str, ...]
    fresh: tuple[str, ...]
    share: float


@torch.no_grad()
def transfer(source: PreTrainedModel, target: PreTrainedModel, mode: Mode = "ordered", seed: int = 0) -> Transfer:
    """Start a model from a trained one, as far as both have the same parts: embeddings, layers, head.

    Parts are matched by name, layers by number. An operation takes weights from one of its own kind only
    (self-attention, linear transform or convolution). Where sizes differ,

    - "ordered" copies the leading channels, inner units and heads;
    - "random_projection" multiplies channels and inner units by random matrices with orthonormal rows (or columns,
      where there are more), the same one wherever the channels are the same, so that products along them are kept as
      far as they can be. A layer norm's weights are averaged alike.

    Of kernels and distances the middle is copied.

    Args:
        source: Trained FlexiBERT model.
        target: Fresh FlexiBERT model, changed in place.
        mode: What to do where sizes differ.
        seed: Of the projections.

    Returns:
        What was taken.

    Raises:
        InputError: If the mode is unknown.

    Reference: Tuli, Dedhia, Tuli, Jha (2023), "FlexiBERT", JAIR 77 (weight transfer); Tuli and Jha (2023), "EdgeTran",
        arXiv:2303.13745 (ordered transfer and random projection).
    """
    if mode not in get_args(Mode):
        raise InputError(f"transfer: mode must be one of {', '.join(get_args(Mode))}, got {mode!r}.")
    projections = _Projections(seed) if mode == "random_projection" else None
    given = {_bare(name): parameter for name, parameter in source.named_parameters()}
    configs = [cast(FlexiBertConfig, model.config) for model in (source, target)]
    names: dict[str, list[str]] = {"equal": [], "partial": [], "fresh": []}
    num_taken = 0
    for name, parameter in target.named_parameters():
        found = given.get(_bare(name))
        if found is None or not _same_operation(name, *configs):
            names["fresh"].append(name)
            continue
        ours, theirs = _axes(name, parameter, configs[1]), _axes(name, found, configs[0])
        names["equal" if ours == theirs else "partial"].append(name)
        block = found.reshape([size for _, size in theirs])
        if projections is not None:
            block = projections.apply(block, theirs, ours, is_scale="norm" in name.lower() and name.endswith("weight"))
            if ".query." in name:  # attention divides by the root of a head's width, which is another one now
                sizes = [dict(axes)["channel"] for axes in (theirs, ours)]
                block = block * math.sqrt(max(sizes) / min(sizes))
        num_taken += _copy_common(block, parameter, ours)
    share = num_taken / sum(parameter.numel() for parameter in target.parameters())
    return Transfer(**{key: tuple(value) for key, value in names.items()}, share=share)


def _bare(name: str) -> str:
    """A parameter's name, the same in an encoder and in a model with a head."""
    return name.removeprefix("flexibert.")


def _same_operation(name: str, *configs: FlexiBertConfig) -> bool:
    """Whether a parameter belongs to no operation, or to one of the same kind in every model."""
    if ".operation." not in name:
        return True
    return len({_layer(name, config).operation for config in configs}) == 1


def _layer(name: str, config: FlexiBertConfig) -> Layer:
    number = int(name.split("layers.")[1].split(".")[0])
    model_dict = config.model_dict
    assert model_dict is not None
    o, p, h, n, f = (model_dict[key][number] for key in "ophnf")
    return Layer(o, str(p), h, n, tuple(f))


def _axes(name: str, parameter: Tensor, config: FlexiBertConfig) -> _Axes:
    """What the axes of a parameter are; those of heads are told apart from their channels."""
    *_, part, kind = name.split(".")
    sizes = tuple(parameter.shape)
    if ".operation." in name:
        return tuple(_operation_axes(part, kind, sizes, _layer(name, config)))
    if ".feed_forward." in name:
        first_is_inner, last_is_inner = part != "output", part != "0"
        kinds = ("inner" if first_is_inner else "stream", "inner" if last_is_inner else "stream")
    elif part.endswith("_embeddings") or part in ("decoder", "out_proj", "qa_outputs", "classifier"):
        kinds = ("row", "stream")
    else:
        kinds = ("stream", "stream")
    return tuple(zip(kinds, sizes, strict=False))


def _operation_axes(part: str, kind: str, sizes: tuple[int, ...], layer: Layer) -> Iterator[tuple[str, int]]:
    heads, channels = ("row", num_attention_heads(layer)), ("channel", head_size(layer))
    if part == "distance_embedding":
        yield from (("middle", sizes[0]), channels)
    elif kind == "weighting":
        yield from (heads, channels, channels)
    elif kind == "depthwise":
        yield from (("middle", sizes[0]), ("stream", sizes[1]))
    elif part == "output":
        yield ("stream", sizes[0])
        if sizes[1:]:  # a convolution's heads stand beside those of its attention
            yield from (("row", sizes[1] // (heads[1] * channels[1])), heads, channels)
    else:
        yield heads
        yield ("middle", sizes[0] // heads[1]) if part == "kernel" else channels
        if sizes[1:]:
            yield from (heads, channels) if part == "kernel" else (("stream", sizes[1]),)


def _copy_common(block: Tensor, parameter: Tensor, axes: _Axes) -> int:
    """Copy what a block and a parameter both have; how many numbers that are."""
    target = parameter.view([size for _, size in axes])
    places = [_common(kind, given, size) for (kind, size), given in zip(axes, block.shape, strict=True)]
    taken = block[tuple(theirs for theirs, _ in places)]
    target[tuple(ours for _, ours in places)] = taken
    return taken.numel()


def _common(kind: str, given: int, size: int) -> tuple[slice, slice]:
    """The places of an axis that source and target share."""
    count = min(given, size)
    starts = [(length - count) // 2 if kind == "middle" else 0 for length in (given, size)]
    return slice(starts[0], starts[0] + count), slice(starts[1], starts[1] + count)


class _Projections:
    """Random maps between channels of two sizes, one for each kind and pair of sizes."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._made: dict[tuple[str, int, int], Tensor] = {}

    def apply(self, block: Tensor, theirs: _Axes, ours: _Axes, is_scale: bool) -> Tensor:
        """Project every axis of channels whose sizes differ."""
        for axis, ((kind, given), (_, size)) in enumerate(zip(theirs, ours, strict=True)):
            if kind not in _PROJECTED or given == size:
                continue
            matrix = self._matrix(kind, given, size).to(block)
            if is_scale:
                # Mean of the source's scales; a wider norm gives each channel less of the same length.
                weights = matrix.square()
                matrix = weights / weights.sum(dim=1, keepdim=True) * math.sqrt(min(1.0, given / size))
            block = torch.tensordot(matrix, block, dims=([1], [axis])).movedim(0, axis)
        return block

    def _matrix(self, kind: str, given: int, size: int) -> Tensor:
        """Orthonormal rows or columns, shape (size, given)."""
        key = (kind, given, size)
        if key not in self._made:
            drawn = torch.randn(max(given, size), min(given, size), generator=self._generator)
            columns = torch.linalg.qr(drawn).Q
            self._made[key] = columns if size > given else columns.T
        return self._made[key]
