"""An encoder's architecture: frozen, hashable, one canonical form, one id."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from design_space.errors import InputError

# Operation of a layer -> its parameters; None: an odd kernel size.
OPERATIONS: dict[str, tuple[str, ...] | None] = {"sa": ("sdp", "wma"), "l": ("dft", "dct"), "c": None}
MODEL_DICT_KEYS = ("l", "o", "h", "n", "f", "p")


@dataclass(frozen=True, order=True)
class Layer:
    """One encoder layer.

    Attributes:
        operation: "sa" self-attention, "l" linear transform, "c" dynamic span-based convolution.
        parameter: "sdp" or "wma" for sa, "dft" or "dct" for l, the odd kernel size ("5", "9", …) for c.
        hidden_size: Width, divisible by `num_heads`.
        num_heads: Parallel heads.
        feed_forward: Sizes of the stacked feed-forward layers, at least one.

    Raises:
        InputError: If a field breaks its rule.
    """

    operation: str
    parameter: str
    hidden_size: int
    num_heads: int
    feed_forward: tuple[int, ...]

    def __post_init__(self) -> None:
        check_operation(self.operation, self.parameter, where="layer")
        for name, value in (("hidden_size", self.hidden_size), ("num_heads", self.num_heads)):
            _check_size(name, value)
        for size in self.feed_forward:
            _check_size("feed_forward", size)
        if not self.feed_forward:
            raise InputError("layer: feed_forward must hold at least one size, got none.")
        if self.hidden_size % self.num_heads:
            raise InputError(
                f"layer: hidden_size must be divisible by num_heads, got {self.hidden_size} and {self.num_heads}. "
                "Change one of them."
            )
        check_width(self.operation, self.hidden_size, self.num_heads, where="layer")


@dataclass(frozen=True)
class Architecture:
    """A stack of layers, from the input on.

    Attributes:
        layers: At least one layer.

    Example:
        >>> mini = Architecture.from_model_dict(
        ...     {"l": 2, "o": ["sa", "c"], "h": [128, 128], "n": [2, 2], "f": [[512], [512, 512]], "p": ["sdp", 9]}
        ... )
        >>> mini.layers[1].feed_forward
        (512, 512)
        >>> Architecture.from_model_dict(mini.to_model_dict()) == mini
        True
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError("architecture: layers must hold at least one layer, got none.")

    @classmethod
    def from_model_dict(cls, model_dict: Mapping[str, Any], where: str = "model_dict") -> "Architecture":
        """Read the published JSON form `{"l", "o", "h", "n", "f", "p"}`.

        Args:
            model_dict: The number of layers, and a list of that length for each other key.
            where: Named in errors.

        Raises:
            InputError: If a key is missing or unknown, a list has another length, or a layer breaks a rule.
        """
        if not isinstance(model_dict, Mapping):
            raise InputError(f"{where}: must be an object with the keys {', '.join(MODEL_DICT_KEYS)}.")
        operations = model_dict.get("o")
        per_head = isinstance(operations, list | tuple) and any(isinstance(heads, list) for heads in operations)
        if "n" not in model_dict and per_head:
            raise InputError(f"{where}: one operation a head is not supported yet. Give one operation a layer.")
        for key in MODEL_DICT_KEYS:
            if key not in model_dict:
                raise InputError(f"{where}: key {key!r} is missing. Give {', '.join(MODEL_DICT_KEYS)}.")
        if unknown := sorted(map(str, set(model_dict) - set(MODEL_DICT_KEYS))):
            raise InputError(f"{where}: unknown key {unknown[0]!r}. Give only {', '.join(MODEL_DICT_KEYS)}.")
        num_layers = model_dict["l"]
        if not isinstance(num_layers, int) or isinstance(num_layers, bool):
            raise InputError(f"{where}: l must be a positive integer, got {num_layers!r:.40}.")
        for key in MODEL_DICT_KEYS[1:]:
            column = model_dict[key]
            if not isinstance(column, list | tuple) or len(column) != num_layers:
                given = f"{len(column)} entries" if isinstance(column, list | tuple) else repr(column)
                raise InputError(f"{where}: {key} must be a list of l = {num_layers!r} entries, got {given}.")
        layers = []
        for number, (o, h, n, f, p) in enumerate(zip(*(model_dict[key] for key in MODEL_DICT_KEYS[1:]), strict=True)):
            try:
                layers.append(Layer(o, str(p), h, n, tuple(f) if isinstance(f, list | tuple) else (f,)))
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
        """The published JSON form; kernel sizes are integers."""
        return {
            "l": len(self.layers),
            "o": [layer.operation for layer in self.layers],
            "h": [layer.hidden_size for layer in self.layers],
            "n": [layer.num_heads for layer in self.layers],
            "f": [list(layer.feed_forward) for layer in self.layers],
            "p": [int(layer.parameter) if layer.operation == "c" else layer.parameter for layer in self.layers],
        }

    @cached_property
    def id(self) -> str:
        """Sixteen hexadecimal digits, equal for isomorphic graphs and only for them.

        Heads of one layer are alike and stand in parallel, everything else is a chain: so the sequence of layers is
        itself a canonical form of the labelled graph, and its SHA-256 is invariant.
        """
        text = json.dumps(self.to_model_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_operation(operation: object, parameter: str, where: str) -> None:
    """Refuse an unknown operation, or a parameter that the operation does not have.

    Raises:
        InputError: With the choices.
    """
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise InputError(f"{where}: operation must be one of {', '.join(OPERATIONS)}, got {operation!r}.")
    parameters = OPERATIONS[operation]
    if parameters is None:
        if not parameter.isdecimal() or int(parameter) % 2 == 0 or parameter != str(int(parameter)):
            raise InputError(f"{where}: the parameter of {operation!r} must be an odd kernel size, got {parameter!r}.")
    elif parameter not in parameters:
        raise InputError(
            f"{where}: the parameter of {operation!r} must be one of {', '.join(parameters)}, got {parameter!r}."
        )


def check_width(operation: str, hidden_size: int, num_heads: int, where: str) -> None:
    """Refuse a convolution whose width cannot be shared between convolution and attention heads.

    Raises:
        InputError: If hidden_size is not divisible by 2 · max(1, num_heads // 2).
    """
    divisor = 2 * max(1, num_heads // 2)
    if operation == "c" and hidden_size % divisor:
        raise InputError(
            f"{where}: a convolution with {num_heads} heads needs a hidden_size divisible by {divisor}, "
            f"got {hidden_size}."
        )


def _check_size(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"layer: {name} must be a positive integer, got {value!r}.")


def layer_parameters(architecture: Architecture) -> dict[str, str | int]:
    """Flat names and values for tables and plots: `num_layers`, `layer1.operation` and so on.

    Args:
        architecture: Any.

    Returns:
        Names in a fixed order; layers count from 1; feed-forward sizes as "512-512".
    """
    flat: dict[str, str | int] = {"num_layers": len(architecture.layers)}
    for number, layer in enumerate(architecture.layers, start=1):
        flat[f"layer{number}.operation"] = f"{layer.operation}-{layer.parameter}"
        flat[f"layer{number}.hidden_size"] = layer.hidden_size
        flat[f"layer{number}.num_heads"] = layer.num_heads
        flat[f"layer{number}.feed_forward"] = "-".join(map(str, layer.feed_forward))
    return flat


def layer_choices(layers: Sequence[Layer], num_layers: Sequence[int]) -> dict[str, list[str | int]]:
    """All values that `layer_parameters` can give for stacks of the given layers.

    Args:
        layers: Every layer that may occur.
        num_layers: Every depth that may occur.

    Returns:
        Sorted values by name.
    """
    values: dict[str, set[Any]] = {"num_layers": set(num_layers)}
    alone = layer_choices_of_one(layers)
    for number in range(1, max(num_layers) + 1):
        values |= {f"layer{number}.{name}": set(column) for name, column in alone.items()}
    return {name: sorted(column) for name, column in values.items()}


def layer_choices_of_one(layers: Sequence[Layer]) -> dict[str, set[str | int]]:
    """Values of each field over some layers, named as in `layer_parameters`."""
    columns: dict[str, set[str | int]] = {}
    for layer in layers:
        for name, value in layer_parameters(Architecture((layer,))).items():
            if name != "num_layers":
                columns.setdefault(name.removeprefix("layer1."), set()).add(value)
    return columns
