"""An encoder's architecture: frozen, hashable, one canonical form, one id."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from design_space.errors import InputError
from design_space.layer import AnyLayer, Head, Layer, MixedLayer

MODEL_DICT_KEYS = ("l", "o", "h", "n", "f", "p")
MIXED_KEYS = ("l", "o", "h", "f")


@dataclass(frozen=True)
class Architecture:
    """A stack of layers, from the input on.

    Attributes:
        layers: At least one; either all `Layer` or all `MixedLayer`.

    Raises:
        InputError: If there is no layer, or both forms stand together.

    Example:
        >>> mini = Architecture.from_model_dict(
        ...     {"l": 2, "o": ["sa", "c"], "h": [128, 128], "n": [2, 2], "f": [[512], [512, 512]], "p": ["sdp", 9]}
        ... )
        >>> mini.layers[1].feed_forward
        (512, 512)
        >>> Architecture.from_model_dict(mini.to_model_dict()) == mini
        True
    """

    layers: tuple[AnyLayer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError("architecture: layers must hold at least one layer, got none.")
        if len({type(layer) for layer in self.layers}) > 1:
            raise InputError(
                "architecture: layers must all have one operation a layer or all one a head, got both. "
                "Write each operation out head by head."
            )

    @property
    def per_head(self) -> bool:
        """True where each head has its own operation."""
        return isinstance(self.layers[0], MixedLayer)

    @cached_property
    def uniform_layers(self) -> tuple[Layer, ...]:
        """The layers of the form with one operation a layer.

        Raises:
            InputError: If each head has its own operation: nothing computes or trains those yet.
        """
        layers = tuple(layer for layer in self.layers if isinstance(layer, Layer))
        if len(layers) != len(self.layers):
            raise InputError(
                f"architecture: one operation a head ({self.layers[0].operation_name:.40}) has no torch model and no "
                "parameter count yet. Give one operation a layer."
            )
        return layers

    @classmethod
    def from_model_dict(cls, model_dict: Mapping[str, Any], where: str = "model_dict") -> "Architecture":
        """Read the published JSON form `{"l", "o", "h", "n", "f", "p"}`, or the one with an operation a head.

        In the latter, `{"l", "o", "h", "f"}`, each entry of "o" lists a layer's heads, such as "sa_sdp_64".

        Args:
            model_dict: The number of layers, and a list of that length for each other key.
            where: Named in errors.

        Raises:
            InputError: If a key is missing or unknown, a list has another length, or a layer breaks a rule.
        """
        if not isinstance(model_dict, Mapping):
            raise InputError(f"{where}: must be an object with the keys {', '.join(MODEL_DICT_KEYS)}.")
        operations = model_dict.get("o")
        per_head = isinstance(operations, list | tuple) and any(isinstance(heads, list | tuple) for heads in operations)
        keys = MIXED_KEYS if per_head else MODEL_DICT_KEYS
        columns = _columns(model_dict, keys, where)
        layers: list[AnyLayer] = []
        for number, row in enumerate(zip(*columns, strict=True)):
            try:
                layers.append(_mixed_layer(*row) if per_head else _layer(*row))
            except InputError as error:
                raise InputError(f"{where}: layer {number}: {str(error).removeprefix('layer: ')}") from None
        return cls(tuple(layers))

    @classmethod
    def from_json(cls, text: str, where: str = "model_dict") -> "Architecture":
        """Read the JSON text of a model_dict.

        Raises:
            InputError: If it is not JSON or not a model_dict.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: must be JSON, got {text!r:.60} ({str(error):.80}).") from None
        return cls.from_model_dict(content, where)

    def to_model_dict(self) -> dict[str, Any]:
        """The published JSON form; kernel sizes are integers, heads strings."""
        content: dict[str, Any] = {"l": len(self.layers), "o": [], "h": [layer.hidden_size for layer in self.layers]}
        if not self.per_head:
            content["n"] = [layer.num_heads for layer in self.layers]
        content["f"] = [list(layer.feed_forward) for layer in self.layers]
        for layer in self.layers:
            if isinstance(layer, MixedLayer):
                content["o"].append([str(head) for head in layer.heads])
            else:
                content["o"].append(layer.operation)
                parameter = int(layer.parameter) if layer.operation == "c" else layer.parameter
                content.setdefault("p", []).append(parameter)
        return content

    @cached_property
    def blocks(self) -> tuple[tuple[object, ...], ...]:
        """What has to be equal for weights to be shared: of each layer its operation, then its feed-forward stack."""
        return tuple(block for layer in self.layers for block in (layer.operation_block, layer.feed_forward))

    @cached_property
    def id(self) -> str:
        """Sixteen hexadecimal digits, equal for isomorphic graphs and only for them.

        Heads of one layer stand in parallel, kept in one order, and everything else is a chain: so the sequence of
        layers is itself a canonical form of the labelled graph, and its SHA-256 is invariant.
        """
        text = json.dumps(self.to_model_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _columns(model_dict: Mapping[str, Any], keys: Sequence[str], where: str) -> list[Sequence[Any]]:
    """The lists of a model_dict, one a key, each with one entry a layer."""
    for key in keys:
        if key not in model_dict:
            raise InputError(f"{where}: key {key!r} is missing. Give {', '.join(keys)}.")
    if unknown := sorted(map(str, set(model_dict) - set(keys))):
        raise InputError(f"{where}: unknown key {unknown[0]!r}. Give only {', '.join(keys)}.")
    num_layers = model_dict["l"]
    if not isinstance(num_layers, int) or isinstance(num_layers, bool):
        raise InputError(f"{where}: l must be a positive integer, got {num_layers!r:.40}.")
    for key in keys[1:]:
        column = model_dict[key]
        if not isinstance(column, list | tuple) or len(column) != num_layers:
            given = f"{len(column)} entries" if isinstance(column, list | tuple) else f"{column!r:.40}"
            raise InputError(f"{where}: {key} must be a list of l = {num_layers!r} entries, got {given}.")
    return [model_dict[key] for key in keys[1:]]


def _layer(operation: Any, hidden_size: Any, num_heads: Any, feed_forward: Any, parameter: Any) -> Layer:
    return Layer(operation, str(parameter), hidden_size, num_heads, _stack(feed_forward))


def _mixed_layer(heads: Any, hidden_size: Any, feed_forward: Any) -> MixedLayer:
    if not isinstance(heads, list | tuple) or not all(isinstance(head, str) for head in heads):
        raise InputError(f"layer: o must list its heads, like ['sa_sdp_64', 'l_dct_64'], got {heads!r:.60}.")
    return MixedLayer(tuple(Head.parse(head) for head in heads), hidden_size, _stack(feed_forward))


def _stack(feed_forward: Any) -> tuple[Any, ...]:
    return tuple(feed_forward) if isinstance(feed_forward, list | tuple) else (feed_forward,)


def layer_parameters(architecture: Architecture) -> dict[str, str | int]:
    """Flat names and values for tables and plots: `num_layers`, `layer1.operation` and so on.

    Args:
        architecture: Any.

    Returns:
        Names in a fixed order; layers count from 1; feed-forward sizes as "512-512".
    """
    flat: dict[str, str | int] = {"num_layers": len(architecture.layers)}
    for number, layer in enumerate(architecture.layers, start=1):
        flat[f"layer{number}.operation"] = layer.operation_name
        flat[f"layer{number}.hidden_size"] = layer.hidden_size
        flat[f"layer{number}.num_heads"] = layer.num_heads
        flat[f"layer{number}.feed_forward"] = "-".join(map(str, layer.feed_forward))
    return flat
