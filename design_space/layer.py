"""One encoder layer, in two forms: one operation for all heads, or one operation a head."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

from design_space.errors import InputError

# Operation of a layer -> its parameters; None: an odd kernel size.
OPERATIONS: dict[str, tuple[str, ...] | None] = {"sa": ("sdp", "wma"), "l": ("dft", "dct"), "c": None}


@dataclass(frozen=True, order=True)
class Layer:
    """A layer whose heads share one operation.

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
        _check_stack(self.feed_forward)
        if self.hidden_size % self.num_heads:
            raise InputError(
                f"layer: hidden_size must be divisible by num_heads, got {self.hidden_size} and {self.num_heads}. "
                "Change one of them."
            )
        check_width(self.operation, self.hidden_size, self.num_heads, where="layer")

    @property
    def operation_name(self) -> str:
        """Operation and parameter, such as `sa-sdp`."""
        return f"{self.operation}-{self.parameter}"

    @property
    def operation_block(self) -> tuple[str, int, int]:
        """What has to be equal for two layers to share the weights of their operation."""
        return self.operation_name, self.hidden_size, self.num_heads


@dataclass(frozen=True)
class Head:
    """One head with its own operation, written `sa_sdp_64`.

    Attributes:
        operation: As of a layer.
        parameter: As of a layer.
        width: Of the head; the widths of a layer's heads together need not equal its hidden size.

    Raises:
        InputError: If a field breaks its rule.
    """

    operation: str
    parameter: str
    width: int

    def __post_init__(self) -> None:
        check_operation(self.operation, self.parameter, where="layer")
        _check_size("a head's width", self.width)

    def __str__(self) -> str:
        return f"{self.operation}_{self.parameter}_{self.width}"

    @classmethod
    @lru_cache(maxsize=4096)  # noqa: B019 (few heads exist, and they live as long as the class)
    def parse(cls, text: str) -> Self:
        """Read `operation_parameter_width`.

        Raises:
            InputError: If it is not of that form, or a part breaks its rule.
        """
        parts = text.split("_")
        if len(parts) != 3 or not _is_number(parts[2]):
            raise InputError(f"layer: a head must be written like 'sa_sdp_64', got {text!r:.60}.")
        return cls(parts[0], parts[1], int(parts[2]))

    @cached_property
    def order(self) -> tuple[int, int, str, int]:
        """Place in the canonical order: sa, l, c; then the parameter, kernels by size; then the width."""
        size = int(self.parameter) if self.operation == "c" else 0
        parameters = OPERATIONS[self.operation]
        place = parameters.index(self.parameter) if parameters else size
        return list(OPERATIONS).index(self.operation), place, self.parameter, self.width


@dataclass(frozen=True)
class MixedLayer:
    """A layer in which each head has its own operation, as in FlexiBERT 2.0.

    Attributes:
        heads: A multiset, kept in canonical order; at least one.
        hidden_size: Width; the output projection maps the heads back to it.
        feed_forward: Sizes of the stacked feed-forward layers, at least one.

    Raises:
        InputError: If a field breaks its rule.
    """

    heads: tuple[Head, ...]
    hidden_size: int
    feed_forward: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.heads:
            raise InputError("layer: heads must hold at least one head, got none.")
        _check_size("hidden_size", self.hidden_size)
        _check_stack(self.feed_forward)
        object.__setattr__(self, "heads", tuple(sorted(self.heads, key=lambda head: head.order)))

    @property
    def num_heads(self) -> int:
        """Parallel heads."""
        return len(self.heads)

    @property
    def operation_name(self) -> str:
        """Its heads, such as `sa_sdp_32+l_dct_32`."""
        return "+".join(map(str, self.heads))

    @property
    def operation_block(self) -> tuple[str, int, int]:
        """What has to be equal for two layers to share the weights of their operation."""
        return self.operation_name, self.hidden_size, self.num_heads


AnyLayer = Layer | MixedLayer


def check_operation(operation: object, parameter: str, where: str) -> None:
    """Refuse an unknown operation, or a parameter that the operation does not have.

    Raises:
        InputError: With the choices.
    """
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise InputError(f"{where}: operation must be one of {', '.join(OPERATIONS)}, got {operation!r}.")
    parameters = OPERATIONS[operation]
    if parameters is None:
        if not _is_number(parameter) or int(parameter) % 2 == 0:
            raise InputError(
                f"{where}: the parameter of {operation!r} must be an odd kernel size, got {parameter!r:.40}."
            )
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


def _is_number(text: object) -> bool:
    """Whether it is a number as Python writes it, and not absurdly long."""
    return isinstance(text, str) and len(text) < 19 and text.isascii() and text.isdecimal() and text == str(int(text))


def _check_size(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"layer: {name} must be a positive integer, got {value!r}.")


def _check_stack(sizes: tuple[int, ...]) -> None:
    for size in sizes:
        _check_size("feed_forward", size)
    if not sizes:
        raise InputError("layer: feed_forward must hold at least one size, got none.")
