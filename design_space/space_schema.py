"""What a space file may say: its keys, and the rules that its values keep."""

import itertools
import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from design_space.constraint import Constraint
from design_space.errors import InputError
from design_space.layer import OPERATIONS, check_operation, check_width

MAX_SIZE = 100_000  # keeps sums over a model within 64 bits
MAX_LAYERS = 1_000
MAX_STACK = 100
MAX_VALUES = 100_000  # of one field of a layer

Size = Annotated[int, Field(strict=True, gt=0, le=MAX_SIZE)]
Sizes = Annotated[list[Size], Field(min_length=1)]
FieldName = Literal["operation", "hidden_size", "num_heads", "feed_forward"]


class LevelFile(BaseModel):
    """One level of the hierarchy.

    Attributes:
        layers_per_stack: Adjacent layers that are equal.
        free_feed_forward: True where the sizes of one layer's feed-forward stack may differ.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers_per_stack: Size
    free_feed_forward: StrictBool


class FixedLayer(BaseModel):
    """What one layer must be; fields left out stay free. The keys are those of a model_dict.

    Attributes:
        o: Operation, with its parameter `p`.
        p: Parameter of the operation.
        h: Hidden size.
        n: Number of heads.
        f: Feed-forward stack.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    o: StrictStr | None = None
    p: StrictStr | StrictInt | None = None
    h: Size | None = None
    n: Size | None = None
    f: Sizes | None = None

    @property
    def operation(self) -> tuple[str, str] | None:
        """Operation and parameter."""
        return None if self.o is None else (self.o, str(self.p))

    @property
    def hidden_size(self) -> int | None:
        """Hidden size."""
        return self.h

    @property
    def num_heads(self) -> int | None:
        """Number of heads."""
        return self.n

    @property
    def feed_forward(self) -> tuple[int, ...] | None:
        """Feed-forward stack."""
        return None if self.f is None else tuple(self.f)


class ArchitectureFile(BaseModel):
    """The choices of every layer, under the published names.

    Attributes:
        encoder_layers: Numbers of layers.
        hidden_size: Widths.
        num_heads: Numbers of heads.
        operation_types: Operations.
        operation_parameters: Parameters of each operation.
        feed_forward_hidden: Sizes of a feed-forward.
        num_feed_forwards: Lengths of a feed-forward stack.
        operation_per_head: True where each head of a layer has its own operation, as in FlexiBERT 2.0.
        per_model: Fields that are chosen once for the whole model.
        monotone: Fields that never decrease from layer to layer: operations in the order of the file, feed-forward
            stacks by the sum of their sizes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder_layers: Sizes
    hidden_size: Sizes
    num_heads: Sizes
    operation_types: Annotated[list[str], Field(min_length=1)]
    operation_parameters: dict[str, Annotated[list[StrictStr | StrictInt], Field(min_length=1)]]
    feed_forward_hidden: Annotated[Sizes, Field(alias="feed-forward_hidden")]
    num_feed_forwards: Annotated[Sizes, Field(alias="number_of_feed-forward_stacks")]
    operation_per_head: StrictBool = False
    per_model: list[FieldName] = []
    monotone: list[FieldName] = []

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, field in type(self).model_fields.items():
            values = getattr(self, name)
            if isinstance(values, list) and len(set(values)) != len(values):
                raise InputError(f"{field.alias or name} must hold distinct values, got {values}")
        if max(self.encoder_layers) > MAX_LAYERS:
            raise InputError(f"encoder_layers must be at most {MAX_LAYERS}, got {max(self.encoder_layers)}")
        self._check_operations()
        self._check_rules()
        self._check_numbers_of_values()
        if not self.operation_per_head:
            self._check_widths()
        elif min(self.hidden_size) < max(self.num_heads):
            raise InputError(
                f"hidden_size must be at least num_heads, got {min(self.hidden_size)} and {max(self.num_heads)}"
            )
        return self

    def _check_operations(self) -> None:
        for operation in self.operation_types:
            if operation not in OPERATIONS:
                raise InputError(f"operation_types must be among {', '.join(OPERATIONS)}, got {operation!r}")
            if operation not in self.operation_parameters:
                raise InputError(f"operation_parameters must give parameters for {operation!r}, got none")
            parameters = [str(parameter) for parameter in self.operation_parameters[operation]]
            for parameter in parameters:
                check_operation(operation, parameter, where="operation_parameters")
            if len(set(parameters)) != len(parameters):
                raise InputError(f"operation_parameters.{operation} must hold distinct values, got {parameters}")
        if extra := sorted(set(self.operation_parameters) - set(self.operation_types)):
            raise InputError(f"operation_parameters names {extra[0]!r}, which operation_types does not")

    def _check_numbers_of_values(self) -> None:
        """Stacks, and multisets of heads, are listed; they grow fast."""
        num_sizes = len(self.feed_forward_hidden)
        if max(self.num_feed_forwards) > MAX_STACK:
            raise InputError(
                f"number_of_feed-forward_stacks must be at most {MAX_STACK}, got {max(self.num_feed_forwards)}"
            )
        if sum(num_sizes**length for length in self.num_feed_forwards) > MAX_VALUES:
            raise InputError(f"number_of_feed-forward_stacks must give at most {MAX_VALUES} stacks of sizes")
        num_operations = sum(len(parameters) for parameters in self.operation_parameters.values())
        multisets = sum(math.comb(num_operations + number - 1, number) for number in self.num_heads)
        if self.operation_per_head and multisets > MAX_VALUES:
            raise InputError(f"num_heads must give at most {MAX_VALUES} multisets of operations, gives {multisets}")

    def _check_rules(self) -> None:
        if both := sorted(set(self.per_model) & set(self.monotone)):
            raise InputError(f"monotone must not name what per_model names, both name {both[0]!r}")
        if self.operation_per_head:
            for name in (*self.per_model, *self.monotone):
                if name in ("operation", "num_heads"):
                    raise InputError(f"per_model and monotone cannot name {name!r} where operation_per_head is true")

    def _check_widths(self) -> None:
        for hidden_size in self.hidden_size:
            for num_heads in self.num_heads:
                if hidden_size % num_heads:
                    raise InputError(f"hidden_size must be divisible by num_heads, got {hidden_size} and {num_heads}")
                for operation in self.operation_types:
                    check_width(operation, hidden_size, num_heads, where="hidden_size")


class SpaceFile(BaseModel):
    """A whole file.

    Attributes:
        datasets: Kept for the reader; the search takes its tasks from its own flags.
        architecture: Choices of every layer.
        levels: Of the hierarchy, coarse to fine; each holds all of the one before.
        constraints: Such as `params <= 12e6`; architectures that break one are not in the space.
        fixed_layers: What single layers must be, by their number from 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    datasets: list[str] = []
    architecture: ArchitectureFile
    levels: Annotated[list[LevelFile], Field(min_length=1)] = [
        LevelFile(layers_per_stack=2, free_feed_forward=False),
        LevelFile(layers_per_stack=1, free_feed_forward=False),
        LevelFile(layers_per_stack=1, free_feed_forward=True),
    ]
    constraints: list[StrictStr] = []
    fixed_layers: dict[Annotated[int, Field(strict=True, ge=0)], FixedLayer] = {}

    @model_validator(mode="after")
    def _limits_are_known(self) -> Self:
        for text in self.constraints:
            quantity = Constraint.parse(text).quantity
            if self.architecture.operation_per_head and quantity != "layers":
                raise InputError(
                    f"constraints: {quantity} is not known yet where operation_per_head is true, got {text!r}"
                )
        return self

    @model_validator(mode="after")
    def _fixed_are_choices(self) -> Self:
        choices = self.architecture
        for number, layer in self.fixed_layers.items():
            where = f"fixed_layers.{number}"
            if number >= max(choices.encoder_layers):
                raise InputError(
                    f"{where}: must be less than {max(choices.encoder_layers)}, the greatest encoder_layers"
                )
            if choices.operation_per_head and (layer.o, layer.p, layer.n) != (None, None, None):
                raise InputError(f"{where}: only h and f can be fixed where operation_per_head is true")
            if (layer.o is None) != (layer.p is None):
                raise InputError(f"{where}: o and p must stand together, got o = {layer.o} and p = {layer.p}")
            parameters = [str(parameter) for parameter in choices.operation_parameters.get(layer.o or "", [])]
            if layer.o is not None and str(layer.p) not in parameters:
                raise InputError(f"{where}: {layer.o} with {layer.p} is not among the operations of the space")
            for key, value, known in (
                ("h", layer.h, choices.hidden_size),
                ("n", layer.n, choices.num_heads),
                ("f", len(layer.f) if layer.f else None, choices.num_feed_forwards),
                *(("f", size, choices.feed_forward_hidden) for size in layer.f or []),
            ):
                if value is not None and value not in known:
                    raise InputError(f"{where}.{key}: must be among {known}, got {value}")
        return self

    @model_validator(mode="after")
    def _levels_are_nested(self) -> Self:
        for number, (coarse, fine) in enumerate(itertools.pairwise(self.levels), start=1):
            if coarse.layers_per_stack % fine.layers_per_stack:
                raise InputError(
                    f"levels.{number}.layers_per_stack must divide that of the level before, "
                    f"got {fine.layers_per_stack} after {coarse.layers_per_stack}"
                )
            if coarse.free_feed_forward and not fine.free_feed_forward:
                raise InputError(f"levels.{number}.free_feed_forward must stay true, got false after true")
        return self

    @model_validator(mode="after")
    def _stacks_divide(self) -> Self:
        for number, level in enumerate(self.levels):
            for depth in self.architecture.encoder_layers:
                if depth % level.layers_per_stack:
                    raise InputError(
                        f"levels.{number}.layers_per_stack must divide every encoder_layers, "
                        f"got {level.layers_per_stack} and {depth}"
                    )
        return self
