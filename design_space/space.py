"""A design space: which architectures exist at each level, counted and drawn without listing them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from design_space.architecture import Architecture, Layer, layer_choices
from design_space.errors import InputError
from design_space.space_file import LevelFile, SpaceFile, read_space


@dataclass(frozen=True)
class DesignSpace:
    """Encoders whose layers are chosen freely from one set of layers.

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
        return cls(*read_space(name_or_file))

    @property
    def levels(self) -> range:
        """Numbers of the hierarchy's levels, from 1."""
        return range(1, len(self.content.levels) + 1)

    @property
    def depths(self) -> list[int]:
        """Numbers of layers an architecture may have, ascending."""
        return sorted(self.content.architecture.encoder_layers)

    def layers(self, level: int) -> list[Layer]:
        """Every layer of a level, in a fixed order."""
        return self._layers_by_level[self._index(level)]

    @cached_property
    def _layers_by_level(self) -> list[list[Layer]]:
        return [self._build_layers(level) for level in self.content.levels]

    def _build_layers(self, level: LevelFile) -> list[Layer]:
        choices = self.content.architecture
        operations = [
            (operation, str(parameter))
            for operation in choices.operation_types
            for parameter in choices.operation_parameters[operation]
        ]
        stacks: list[tuple[int, ...]] = []
        for num_feed_forwards in choices.num_feed_forwards:
            if level.free_feed_forward:
                stacks += itertools.product(choices.feed_forward_hidden, repeat=num_feed_forwards)
            else:
                stacks += [(size,) * num_feed_forwards for size in choices.feed_forward_hidden]
        return [
            Layer(operation, parameter, hidden_size, num_heads, stack)
            for (operation, parameter), hidden_size, num_heads, stack in itertools.product(
                operations, choices.hidden_size, choices.num_heads, stacks
            )
        ]

    def size(self, level: int) -> int:
        """Exact number of architectures of a level."""
        return sum(self._sizes_by_depth(level))

    def _sizes_by_depth(self, level: int) -> list[int]:
        per_stack = self.content.levels[self._index(level)].layers_per_stack
        num_layers = len(self.layers(level))
        return [num_layers ** (depth // per_stack) for depth in self.depths]

    def architecture_at(self, level: int, index: int) -> Architecture:
        """The architecture of a given rank, in the order of `enumerate`.

        Args:
            level: From 1.
            index: In [0, size(level)).

        Raises:
            InputError: If there is no such level.
            IndexError: If the index is out of range.
        """
        if not 0 <= index < self.size(level):
            raise IndexError(f"index must be in [0, {self.size(level)}), got {index}")
        layers = self.layers(level)
        per_stack = self.content.levels[self._index(level)].layers_per_stack
        sizes = self._sizes_by_depth(level)
        shorter = next(place for place, total in enumerate(itertools.accumulate(sizes)) if index < total)
        index -= sum(sizes[:shorter])
        stacks: list[Layer] = []
        for _ in range(self.depths[shorter] // per_stack):
            index, digit = divmod(index, len(layers))
            stacks.append(layers[digit])
        return Architecture(tuple(layer for layer in reversed(stacks) for _ in range(per_stack)))

    def enumerate(self, level: int) -> Iterator[Architecture]:
        """Every architecture of a level, lazily, in a fixed order."""
        return (self.architecture_at(level, index) for index in range(self.size(level)))

    def sample(self, level: int, num_samples: int, rng: np.random.Generator) -> list[Architecture]:
        """Distinct architectures of a level, uniformly, without listing it.

        Args:
            level: From 1.
            num_samples: How many; all there are where the level is smaller.
            rng: Source of randomness.
        """
        size = self.size(level)
        if num_samples >= size:
            return list(self.enumerate(level))
        indices: dict[int, None] = {}
        while len(indices) < num_samples:
            indices.setdefault(_random_below(size, rng))
        return [self.architecture_at(level, index) for index in indices]

    def refusal(self, architecture: Architecture, level: int) -> str | None:
        """Why an architecture is not in a level; None where it is."""
        allowed = self._layer_set(level)
        if len(architecture.layers) not in self.depths:
            return f"num_layers must be one of {self.depths}, got {len(architecture.layers)}"
        for number, layer in enumerate(architecture.layers):
            if layer not in allowed:
                return f"layer {number}: {layer} is not among the layers of level {level} of {self.name}"
        per_stack = self.content.levels[self._index(level)].layers_per_stack
        for number, layer in enumerate(architecture.layers):
            if layer != architecture.layers[number - number % per_stack]:
                return f"layer {number}: must equal layer {number - number % per_stack}, {per_stack} layers a stack"
        return None

    def _layer_set(self, level: int) -> frozenset[Layer]:
        return self._layer_sets[self._index(level)]

    @cached_property
    def _layer_sets(self) -> list[frozenset[Layer]]:
        return [frozenset(layers) for layers in self._layers_by_level]

    def parameter_choices(self) -> dict[str, list[str | int]]:
        """Values of each flat parameter over all levels (see `architecture.layer_parameters`)."""
        return layer_choices([layer for level in self.levels for layer in self.layers(level)], self.depths)

    def _index(self, level: int) -> int:
        if level not in self.levels:
            raise InputError(f"{self.name}: level must be one of {list(self.levels)}, got {level!r}.")
        return level - 1


def _random_below(bound: int, rng: np.random.Generator) -> int:
    """A uniform integer in [0, bound), of any size, by rejection on whole bytes."""
    num_bits = bound.bit_length()
    while True:
        value = int.from_bytes(rng.bytes((num_bits + 7) // 8), "little") & ((1 << num_bits) - 1)
        if value < bound:
            return value
