"""A design space: which architectures exist at each level, counted and drawn without listing them."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from design_space.architecture import Architecture
from design_space.choices import Axis, axes_of, check_not_empty
from design_space.constraint import Constraint
from design_space.errors import InputError
from design_space.layer import AnyLayer, Head, Layer, MixedLayer
from design_space.layer_table import LayerTable
from design_space.limited_sampling import LimitedDraws
from design_space.space_file import check_space, read_space
from design_space.space_schema import SpaceFile
from design_space.tally import Tally

MAX_ENUMERATED = 100_000_000
_MAX_LAYERS = 100_000
_MAX_WALKED = 100_000  # ranks; of more, what limits leave is collected where it is not more than the next
_MAX_COLLECTED = 10_000
_MAX_MISSES = 20_000  # draws in a row that break a limit or are known
_FEW = 2  # times as many as wanted: then they are counted first


@dataclass(frozen=True)
class DesignSpace:
    """Encoders whose layers are chosen from the same fields, freely or by the file's rules.

    Attributes:
        name: Of the preset or file.
        content: The checked file.

    Example:
        >>> space = DesignSpace.load("flexibert_mini")
        >>> [space.size(level) for level in space.levels]
        [9312, 84943872, 3317817600]
    """

    name: str
    content: SpaceFile

    @classmethod
    def load(cls, name_or_file: str | Path) -> Self:
        """Read a shipped space by name, or a YAML file.

        Raises:
            InputError: If it does not exist or breaks a rule.
        """
        name, content = read_space(name_or_file)
        space = cls(name, content)
        for level in space.levels:
            per_stack = space.layers_per_stack(level)
            where = f"{name}: level {level}"
            check_not_empty(space.axes(level), [depth // per_stack for depth in space.depths], per_stack, where)
        return space

    def within(self, constraints: Sequence[Constraint]) -> Self:
        """The same space with further limits.

        Raises:
            InputError: If a limit is not known for its architectures.
        """
        texts = [*self.content.constraints, *map(str, constraints)]
        content = {**self.content.model_dump(by_alias=True), "constraints": texts}
        return dataclasses.replace(self, content=check_space(content, self.name))

    @property
    def levels(self) -> range:
        """Numbers of the hierarchy's levels, from 1."""
        return range(1, len(self.content.levels) + 1)

    @property
    def depths(self) -> list[int]:
        """Numbers of layers an architecture may have, ascending."""
        return sorted(self.content.architecture.encoder_layers)

    @property
    def per_head(self) -> bool:
        """True where each head has its own operation."""
        return self.content.architecture.operation_per_head

    @cached_property
    def constraints(self) -> list[Constraint]:
        """Limits that every architecture keeps."""
        return [Constraint.parse(text) for text in self.content.constraints]

    @cached_property
    def _allowed_depths(self) -> list[int]:
        """The depths within the limits on the number of layers."""
        limits = [constraint for constraint in self.constraints if constraint.quantity == "layers"]
        return [depth for depth in self.depths if all(limit.allows(depth) for limit in limits)]

    def axes(self, level: int) -> tuple[Axis, ...]:
        """The fields of a level's layers, with their values and rules."""
        return self._axes_by_level[self._index(level)]

    @cached_property
    def _axes_by_level(self) -> list[tuple[Axis, ...]]:
        return [axes_of(self.content, level) for level in self.content.levels]

    def layers(self, level: int) -> list[AnyLayer]:
        """Every layer that a level's fields can form, in a fixed order.

        Raises:
            InputError: If they are more than 100,000.
        """
        axes = self.axes(level)
        self._check_num_layers(level)
        return [self._make_layer(*values) for values in itertools.product(*(axis.values for axis in axes))]

    def _check_num_layers(self, level: int) -> None:
        number = math.prod(len(axis.values) for axis in self.axes(level))
        if number > _MAX_LAYERS:
            raise InputError(f"{self.name}: level {level} has {number} layers, more than {_MAX_LAYERS}.")

    @property
    def _make_layer(self) -> Callable[..., AnyLayer]:
        return _mixed_layer if self.per_head else _uniform_layer

    def size(self, level: int) -> int:
        """Exact number of architectures of a level.

        Raises:
            InputError: If there is no such level, or its limits make an exact count too costly.
        """
        if not self._sum_limits:
            return self.size_without_limits(level)
        tally = Tally(self._layer_table(level))
        return sum(tally.count(number, self.layers_per_stack(level)) for number in self._num_slots(level))

    def size_if_countable(self, level: int) -> int | None:
        """Exact number of architectures of a level; None where its limits make that too costly."""
        try:
            return self.size(level)
        except InputError:
            self._index(level)
            return None

    @cached_property
    def _sum_limits(self) -> list[Constraint]:
        """Limits on what the layers add up to."""
        return [constraint for constraint in self.constraints if constraint.quantity != "layers"]

    def _layer_table(self, level: int) -> LayerTable:
        self._check_num_layers(level)
        return LayerTable(self.axes(level), _uniform_layer, self._sum_limits)

    def _num_slots(self, level: int) -> list[int]:
        """Stacks of equal layers that an allowed architecture may have."""
        return [depth // self.layers_per_stack(level) for depth in self._allowed_depths]

    def size_without_limits(self, level: int) -> int:
        """Number of ranks: architectures of the allowed depths, other limits aside."""
        return sum(self._sizes_by_level[self._index(level)])

    @cached_property
    def _sizes_by_level(self) -> list[list[int]]:
        """Number of architectures of each allowed depth, other limits aside."""
        return [[self._num_sequences(level, number) for number in self._num_slots(level)] for level in self.levels]

    def _num_sequences(self, level: int, num_slots: int) -> int:
        per_stack = self.layers_per_stack(level)
        return math.prod(axis.num_sequences(axis.allowed(num_slots, per_stack)) for axis in self.axes(level))

    def architecture_at(self, level: int, rank: int) -> Architecture:
        """The architecture of a rank: by depth, then by the sequence of each field.

        Args:
            level: From 1.
            rank: In [0, size(level)), the size without limits other than on layers: ranks do not know of those.

        Raises:
            InputError: If there is no such level.
            IndexError: If the rank is out of range.
        """
        sizes, per_stack = self._sizes_by_level[self._index(level)], self.layers_per_stack(level)
        if not 0 <= rank < sum(sizes):
            raise IndexError(f"rank must be in [0, {sum(sizes)}), got {rank}")
        shorter = next(place for place, total in enumerate(itertools.accumulate(sizes)) if rank < total)
        rank -= sum(sizes[:shorter])
        columns: list[list[Any]] = []
        for axis in reversed(self.axes(level)):
            allowed = axis.allowed(self._allowed_depths[shorter] // per_stack, per_stack)
            rank, place = divmod(rank, axis.num_sequences(allowed))
            columns.append([axis.values[index] for index in axis.sequence_at(allowed, place)])
        return self.assemble(level, columns[::-1])

    def assemble(self, level: int, columns: Sequence[Sequence[Any]]) -> Architecture:
        """The architecture with the given values, whether the level holds it or not.

        Args:
            level: From 1.
            columns: For each axis of the level its values, one a stack of layers.

        Raises:
            InputError: If a layer cannot have these values together.
        """
        stacks = [self._make_layer(*values) for values in zip(*columns, strict=True)]
        return Architecture(tuple(layer for layer in stacks for _ in range(self.layers_per_stack(level))))

    def enumerate(self, level: int) -> Iterator[Architecture]:
        """Every architecture of a level, lazily, in a fixed order.

        Raises:
            InputError: If there are more than 100,000,000: then the space is implicit.
        """
        number = self.size_without_limits(level)
        if self._sum_limits and number > _MAX_WALKED:
            size = self.size_if_countable(level)
            if size is not None and size <= _MAX_COLLECTED:
                found = self.sample(level, size, np.random.default_rng(0))
                return iter(sorted(found, key=partial(self._order, level)))
        if number > MAX_ENUMERATED:
            raise InputError(
                f"{self.name}: a level of at most {MAX_ENUMERATED} architectures can be enumerated, level {level} has "
                f"{number}. Use sample, which needs no list."
            )
        # Limits are kept by walking through all ranks.
        everything = (self.architecture_at(level, rank) for rank in range(number))
        return (architecture for architecture in everything if self._within_limits(architecture))

    def _order(self, level: int, architecture: Architecture) -> list[int]:
        """Sorts as ranks do."""
        stacks = architecture.layers[:: self.layers_per_stack(level)]
        places = [axis.index[axis.value_of(layer)] for axis in self.axes(level) for layer in stacks]
        return [len(stacks), *places]

    def sample(self, level: int, num_samples: int, rng: np.random.Generator) -> list[Architecture]:
        """Distinct architectures of a level, uniformly, without listing it.

        Args:
            level: From 1.
            num_samples: How many; all there are where the level is smaller.
            rng: Source of randomness.

        Raises:
            InputError: If there is no such level, or 20,000 draws in a row find nothing new: that happens where several
                limits, or both ends of a narrow one, leave next to nothing.
        """
        number = self.size_without_limits(level)
        if num_samples >= number:
            return list(self.enumerate(level))
        draw, wanted = partial(self._draw, level, number), num_samples
        if self._sum_limits:
            draws = self._limited_draws(level)
            if draws.total <= _FEW * num_samples:  # their sums are few, too
                wanted = min(num_samples, self.size(level))
            draw = partial(_draw_within, draws)
        found: dict[Architecture, None] = {}
        misses = 0
        while len(found) < wanted:
            architecture = draw(rng)
            if architecture not in found and self._within_limits(architecture):
                found[architecture] = None
                misses = 0
            elif (misses := misses + 1) >= _MAX_MISSES:
                raise InputError(
                    f"{self.name}: only {len(found)} of {num_samples} architectures of level {level} were found within "
                    f"{', '.join(self.content.constraints)}; {_MAX_MISSES} draws in a row gave none. Relax the limits."
                )
        return list(found)

    def _limited_draws(self, level: int) -> LimitedDraws:
        if level not in self._draws:
            self._draws[level] = LimitedDraws(
                self._layer_table(level), self._num_slots(level), self.layers_per_stack(level)
            )
        return self._draws[level]

    @cached_property
    def _draws(self) -> dict[int, LimitedDraws]:
        """Tables to draw by, made once a level."""
        return {}

    def _draw(self, level: int, number: int, rng: np.random.Generator) -> Architecture:
        return self.architecture_at(level, _random_below(number, rng))

    def refusal(self, architecture: Architecture, level: int) -> str | None:
        """Why an architecture is not in a level; None where it is."""
        if reason := self.form_refusal(architecture, level):
            return reason
        for constraint in self.constraints:
            if not constraint.holds(architecture):
                return f"{constraint.quantity} must be {constraint.rule}, got {constraint.value(architecture)}"
        return None

    def form_refusal(self, architecture: Architecture, level: int) -> str | None:
        """Why an architecture is not in a level, limits aside; None where it is."""
        axes, per_stack = self.axes(level), self.layers_per_stack(level)
        if len(architecture.layers) not in self.depths:
            return f"num_layers must be one of {self.depths}, got {len(architecture.layers)}"
        if architecture.per_head != self.per_head:
            return f"{self.name} has one operation a {'head' if self.per_head else 'layer'}"
        for axis in axes:
            if reason := axis.refusal(architecture.layers):
                return reason
        for number, layer in enumerate(architecture.layers):
            if layer != architecture.layers[number - number % per_stack]:
                return f"layer {number}: must equal layer {number - number % per_stack}, {per_stack} layers a stack"
        return None

    def _within_limits(self, architecture: Architecture) -> bool:
        return all(constraint.holds(architecture) for constraint in self.constraints)

    def parameter_choices(self) -> dict[str, list[str | int]]:
        """Values of each flat parameter over all levels (see `architecture.layer_parameters`).

        Raises:
            InputError: If each head has its own operation: the values are too many to list.
        """
        if self.per_head:
            raise InputError(f"{self.name}: one operation a head has too many values to list.")
        columns: dict[str, set[Any]] = {}
        for axis in (axis for level in self.levels for axis in self.axes(level)):
            joined = axis.name in ("operation", "feed_forward")
            shown = ["-".join(map(str, value)) if joined else value for value in axis.values]
            columns.setdefault(axis.name, set()).update(shown)
        values: dict[str, list[str | int]] = {"num_layers": list(self.depths)}
        for number in range(1, max(self.depths) + 1):
            values |= {f"layer{number}.{name}": sorted(column) for name, column in columns.items()}
        return values

    def layers_per_stack(self, level: int) -> int:
        """Adjacent layers that are equal in a level.

        Raises:
            InputError: If there is no such level.
        """
        return self.content.levels[self._index(level)].layers_per_stack

    def _index(self, level: int) -> int:
        if level not in self.levels:
            raise InputError(f"{self.name}: level must be one of {list(self.levels)}, got {level!r}.")
        return level - 1


@lru_cache(maxsize=_MAX_LAYERS)
def _uniform_layer(
    operation: tuple[str, str], hidden_size: int, num_heads: int, feed_forward: tuple[int, ...]
) -> Layer:
    return Layer(*operation, hidden_size, num_heads, feed_forward)


def _draw_within(draws: LimitedDraws, rng: np.random.Generator) -> Architecture:
    return Architecture(draws.draw(rng))


_head = lru_cache(maxsize=4096)(Head)


def _mixed_layer(operations: Sequence[tuple[str, str]], hidden_size: int, feed_forward: tuple[int, ...]) -> MixedLayer:
    width = hidden_size // len(operations)
    return MixedLayer(tuple(_head(*operation, width) for operation in operations), hidden_size, feed_forward)


def _random_below(bound: int, rng: np.random.Generator) -> int:
    """A uniform integer in [0, bound), of any size, by rejection on whole bytes."""
    num_bits = bound.bit_length()
    while True:
        value = int.from_bytes(rng.bytes((num_bits + 7) // 8), "little") & ((1 << num_bits) - 1)
        if value < bound:
            return value
