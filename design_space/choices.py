"""The choices of a space, field by field: their values, and how these may follow each other through a model.

The fields of a layer are chosen independently, so the stacks of a model are a product of sequences, one a field. Each
kind of sequence is counted in closed form and unranked, so nothing has to be listed.
"""

import bisect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from design_space.errors import InputError
from design_space.layer import AnyLayer, Head, Layer, MixedLayer
from design_space.space_schema import ArchitectureFile, FixedLayer, LevelFile, SpaceFile

Rule = Literal["free", "per_model", "monotone"]
Allowed = tuple[Sequence[int], ...]


@dataclass(frozen=True, eq=False)
class Axis:
    """One field of a layer.

    Attributes:
        name: Of the field.
        values: All choices.
        value_of: Reads the field of a layer.
        rule: "free" in each slot, one value "per_model", or "monotone" (never less than in the slot before).
        sizes: What "monotone" compares, one a value.
        fixed: By layer number, the value that it must have.
    """

    name: str
    values: tuple[Any, ...]
    value_of: Callable[[AnyLayer], Any]
    rule: Rule = "free"
    sizes: tuple[int, ...] = ()
    fixed: Mapping[int, Any] = field(default_factory=dict)

    @cached_property
    def index(self) -> dict[Any, int]:
        """Place of each value."""
        return {value: place for place, value in enumerate(self.values)}

    @cached_property
    def _heads(self) -> tuple[list[tuple[str, str]], list[int]]:
        """Operations in the order of the multisets, and numbers of heads."""
        operations = list(dict.fromkeys(itertools.chain.from_iterable(self.values)))
        return operations, sorted({len(value) for value in self.values})

    def allowed(self, num_slots: int, layers_per_slot: int) -> Allowed:
        """Places of the values that each slot may take."""
        everything = range(len(self.values))
        slots: list[Sequence[int]] = [everything] * num_slots
        for number, value in self.fixed.items():
            slot = number // layers_per_slot
            if slot < num_slots:
                place = self.index.get(value)
                slots[slot] = tuple(other for other in slots[slot] if other == place)
        return tuple(slots)

    def num_sequences(self, allowed: Allowed) -> int:
        """How many sequences take each value from what its slot allows, and keep the rule."""
        if self.rule == "free":
            total = 1
            for slot in allowed:
                total *= len(slot)
            return total
        if self.rule == "per_model":
            return len(_common(allowed))
        return sum(_completions(self, allowed)[0])

    def sequence_at(self, allowed: Allowed, rank: int) -> list[int]:
        """Places of the values of the sequence of a rank in [0, num_sequences)."""
        if self.rule == "free":
            places = []
            for slot in reversed(allowed):
                rank, digit = divmod(rank, len(slot))
                places.append(slot[digit])
            return places[::-1]
        if self.rule == "per_model":
            return [_common(allowed)[rank]] * len(allowed)
        return self._monotone_at(allowed, rank)

    def _monotone_at(self, allowed: Allowed, rank: int) -> list[int]:
        places: list[int] = []
        for slot, completions in zip(allowed, _completions(self, allowed), strict=True):
            least = self.sizes[places[-1]] if places else 0
            for place, number in zip(slot, completions, strict=True):
                if self.sizes[place] < least:
                    continue
                if rank < number:
                    places.append(place)
                    break
                rank -= number
        return places

    def steps(self, value: Any) -> list[Any]:
        """The values that are one step away: all others; of mixed heads those that differ in one head or more heads."""
        if self.name != "heads":
            return [other for other in self.values if other != value]
        return self._head_steps(value)

    def _head_steps(self, heads: tuple[tuple[str, str], ...]) -> list[Any]:
        operations, numbers = self._heads
        place = numbers.index(len(heads))
        rests = list(dict.fromkeys(heads[:gone] + heads[gone + 1 :] for gone in range(len(heads))))
        near = [(*rest, operation) for rest in rests for operation in operations]
        for fewer in numbers[:place][-1:]:
            near += itertools.combinations(heads, fewer)
        for more in numbers[place + 1 :][:1]:
            added = itertools.combinations_with_replacement(operations, more - len(heads))
            near += ((*heads, *some) for some in added)
        order = {operation: number for number, operation in enumerate(operations)}
        found = dict.fromkeys(tuple(sorted(several, key=order.__getitem__)) for several in near)
        return [several for several in found if several != heads]

    def refusal(self, layers: Sequence[AnyLayer]) -> str | None:
        """Why layers break this field's rules; None where they do not."""
        places: list[int] = []
        for number, layer in enumerate(layers):
            value = self.value_of(layer)
            place = self.index.get(value)
            if place is None:
                return f"layer {number}: {self.name} must be {_one_of(self.values)}, got {_shown(value)}"
            if number in self.fixed and value != self.fixed[number]:
                return f"layer {number}: {self.name} is fixed to {_shown(self.fixed[number])}, got {_shown(value)}"
            if self.rule == "per_model" and places and place != places[0]:
                return f"layer {number}: {self.name} must be one for the whole model, got {_shown(value)}"
            if self.rule == "monotone" and places and self.sizes[place] < self.sizes[places[-1]]:
                return f"layer {number}: {self.name} must not be less than in the layer before, got {_shown(value)}"
            places.append(place)
        return None


def _common(allowed: Allowed) -> list[int]:
    others = [set(slot) for slot in allowed[1:]]
    return [place for place in allowed[0] if all(place in other for other in others)]


@lru_cache(maxsize=256)
def _completions(axis: Axis, allowed: Allowed) -> list[list[int]]:
    """For each slot and value it allows: monotone ways to fill that slot with it and the rest after it."""
    table: list[list[int]] = [[1] * len(allowed[-1])]
    for slot, before in itertools.pairwise(reversed(allowed)):
        pairs = sorted(zip((axis.sizes[place] for place in slot), table[-1], strict=True))
        sizes, numbers = [size for size, _ in pairs], [number for _, number in reversed(pairs)]
        at_least = [0, *itertools.accumulate(numbers)][::-1]  # ways with the size at a place, or a greater one
        table.append([at_least[bisect.bisect_left(sizes, axis.sizes[place])] for place in before])
    return table[::-1]


def axes_of(content: SpaceFile, level: LevelFile) -> tuple[Axis, ...]:
    """The fields of a level's layers, in the order in which `layer_of` takes their values."""
    choices = content.architecture
    operations = [(o, str(p)) for o in choices.operation_types for p in choices.operation_parameters[o]]
    stacks: list[tuple[int, ...]] = []
    for length in choices.num_feed_forwards:
        if level.free_feed_forward:
            stacks += itertools.product(choices.feed_forward_hidden, repeat=length)
        else:
            stacks += [(size,) * length for size in choices.feed_forward_hidden]
    fields: list[tuple[str, Sequence[Any], Callable[[Any], Any], Sequence[int]]] = []
    if choices.operation_per_head:
        operations.sort(key=lambda operation: Head(operation[0], operation[1], 1).order)
        heads = [
            several
            for number in choices.num_heads
            for several in itertools.combinations_with_replacement(operations, number)
        ]
        fields.append(("heads", heads, _heads, ()))
        fields.append(("hidden_size", choices.hidden_size, _hidden_size, choices.hidden_size))
    else:
        fields.append(("operation", operations, _operation, range(len(operations))))
        fields.append(("hidden_size", choices.hidden_size, _hidden_size, choices.hidden_size))
        fields.append(("num_heads", choices.num_heads, _num_heads, choices.num_heads))
    fields.append(("feed_forward", stacks, _feed_forward, [sum(stack) for stack in stacks]))
    return tuple(
        Axis(name, tuple(values), value_of, _rule(choices, name), tuple(sizes), _fixed(content.fixed_layers, name))
        for name, values, value_of, sizes in fields
    )


def _rule(choices: ArchitectureFile, name: str) -> Rule:
    return "per_model" if name in choices.per_model else "monotone" if name in choices.monotone else "free"


def _fixed(fixed_layers: Mapping[int, FixedLayer], name: str) -> dict[int, Any]:
    values = {number: getattr(layer, name, None) for number, layer in fixed_layers.items()}
    return {number: value for number, value in values.items() if value is not None}


def _heads(layer: AnyLayer) -> Any:
    """Operations of the heads; widths other than the hidden size's share are none of the choices."""
    if not isinstance(layer, MixedLayer):
        return layer.operation_name
    width = layer.hidden_size // layer.num_heads
    if any(head.width != width for head in layer.heads):
        return layer.operation_name
    return tuple((head.operation, head.parameter) for head in layer.heads)


def _operation(layer: AnyLayer) -> Any:
    return (layer.operation, layer.parameter) if isinstance(layer, Layer) else layer.operation_name


def _hidden_size(layer: AnyLayer) -> int:
    return layer.hidden_size


def _num_heads(layer: AnyLayer) -> int:
    return layer.num_heads


def _feed_forward(layer: AnyLayer) -> tuple[int, ...]:
    return layer.feed_forward


def _one_of(values: Sequence[Any], limit: int = 8) -> str:
    shown = ", ".join(map(_shown, values[:limit]))
    return f"one of {shown}" + (f", … ({len(values)} in all)" if len(values) > limit else "")


def _shown(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    if all(isinstance(part, tuple) for part in value):
        return "+".join(map(_shown, value))
    return "-".join(value) if all(isinstance(part, str) for part in value) else f"{list(value)}"


def check_not_empty(axes: Sequence[Axis], num_slots: Sequence[int], layers_per_slot: int, where: str) -> None:
    """Refuse fixed layers that leave a field without any value.

    Raises:
        InputError: Naming the field.
    """
    for axis in axes:
        if not any(axis.num_sequences(axis.allowed(number, layers_per_slot)) for number in num_slots):
            raise InputError(f"{where}: fixed_layers must leave a choice, leave none for {axis.name}. Free that field.")
