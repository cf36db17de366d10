"""Small changes of an architecture that stay in its space: one-step mutations, and crossover of two parents."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from design_space.architecture import Architecture
from design_space.choices import Axis
from design_space.space import DesignSpace

_MAX_TRIES = 64


def mutations(space: DesignSpace, level: int, architecture: Architecture) -> list[Architecture]:
    """Every architecture of a level that is one step away.

    A step gives one field of one stack of layers another value (of all stacks, where the field is chosen once a
    model), or takes the next smaller or greater number of layers: the last stacks go, or the last one is repeated.
    Where each head has its own operation, a step changes one head, or takes the next number of heads.

    Args:
        space: Holds the level.
        level: From 1.
        architecture: Of the level, or of another one: then stacks are read off their first layers.

    Returns:
        Distinct members of the level, without the architecture itself, in a fixed order.
    """
    found: dict[Architecture, None] = {}
    for changed in _steps(space, level, architecture):
        candidate = space.assemble(level, changed)
        if candidate != architecture and space.refusal(candidate, level) is None:
            found.setdefault(candidate)
    return list(found)


def mutate(space: DesignSpace, level: int, architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """A uniform draw from the one-step mutations; the architecture itself where there is none."""
    steps = list(_steps(space, level, architecture))
    for number in rng.permutation(len(steps)):
        candidate = space.assemble(level, steps[number])
        if candidate != architecture and space.refusal(candidate, level) is None:
            return candidate
    return architecture


def crossover(
    space: DesignSpace, level: int, one: Architecture, other: Architecture, rng: np.random.Generator
) -> Architecture:
    """A child with the number of layers of one parent, and each stack from either.

    Fields that are chosen once a model come from one parent.

    Args:
        space: Holds the level.
        level: From 1.
        one: Member of the level.
        other: Member of the level.
        rng: Source of randomness.

    Returns:
        A member of the level; `one` where 64 tries break a rule or a limit of the space.
    """
    per_stack = space.layers_per_stack(level)
    parents = [one.layers[::per_stack], other.layers[::per_stack]]
    for _ in range(_MAX_TRIES):
        leading = parents[rng.integers(2)]
        taken = [parents[rng.integers(2)] for _ in leading]
        stacks = [(source if slot < len(source) else leading)[slot] for slot, source in enumerate(taken)]
        columns = []
        for axis in space.axes(level):
            values = [axis.value_of(layer) for layer in stacks]
            columns.append(values[:1] * len(values) if axis.rule == "per_model" else values)
        child = space.assemble(level, columns)
        if space.refusal(child, level) is None:
            return child
    return one


def _steps(space: DesignSpace, level: int, architecture: Architecture) -> Iterator[list[list[Any]]]:
    """Values of each field one step away, whether the space allows them together or not."""
    per_stack = space.layers_per_stack(level)
    stacks = architecture.layers[::per_stack]
    axes = space.axes(level)
    columns = [[axis.value_of(layer) for layer in stacks] for axis in axes]
    yield from _field_steps(axes, columns)
    yield from _depth_steps(space, level, columns)


def _field_steps(axes: Sequence[Axis], columns: Sequence[list[Any]]) -> Iterator[list[list[Any]]]:
    for number, (axis, column) in enumerate(zip(axes, columns, strict=True)):
        slots = range(1 if axis.rule == "per_model" else len(column))
        for slot in slots:
            for value in axis.steps(column[slot]):
                changed = [value] * len(column) if axis.rule == "per_model" else [*column]
                changed[slot] = value
                yield [*columns[:number], changed, *columns[number + 1 :]]


def _depth_steps(space: DesignSpace, level: int, columns: Sequence[list[Any]]) -> Iterator[list[list[Any]]]:
    per_stack = space.layers_per_stack(level)
    depths = [depth // per_stack for depth in space.depths]
    now = len(columns[0])
    for depth in [*[depth for depth in depths if depth < now][-1:], *[depth for depth in depths if depth > now][:1]]:
        yield [[*column[:depth], *[column[-1]] * (depth - now)] for column in columns]
