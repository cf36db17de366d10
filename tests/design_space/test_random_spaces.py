"""Any small space, all rules mixed, against brute force: counted, listed, recognised, sampled, varied within."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from design_space import Architecture, DesignSpace, Head, Layer, MixedLayer
from design_space.constraint import QUANTITIES, Constraint
from design_space.layer import AnyLayer
from design_space.space_file import parse_space
from design_space.variation import crossover, mutations

Document = dict[str, Any]
EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True, database=None)
# Numbers of layers -> how many different layers may be formed, so that brute force is quick.
MOST_LAYERS = {(1,): 48, (2,): 24, (2, 1): 24, (1, 3): 8, (4, 2): 5}


def layers_of(document: Document, free_feed_forward: bool) -> Iterator[AnyLayer]:
    choices = document["architecture"]
    stacks = [
        stack
        for length in choices["number_of_feed-forward_stacks"]
        for stack in itertools.product(choices["feed-forward_hidden"], repeat=length)
        if free_feed_forward or len(set(stack)) == 1
    ]
    for hidden_size, num_heads, stack in itertools.product(choices["hidden_size"], choices["num_heads"], stacks):
        if choices["operation_per_head"]:
            heads = [Head(*operation, hidden_size // num_heads) for operation in operations_of(document)]
            for several in itertools.combinations_with_replacement(heads, num_heads):
                yield MixedLayer(several, hidden_size, stack)
        else:
            for operation in operations_of(document):
                yield Layer(*operation, hidden_size, num_heads, stack)


def operations_of(document: Document) -> list[tuple[str, str]]:
    choices = document["architecture"]
    return [(o, str(p)) for o in choices["operation_types"] for p in choices["operation_parameters"][o]]


def members_of(document: Document, level: dict[str, Any]) -> set[Architecture]:
    """By the words of the documentation: every stack of layers that keeps every rule."""
    layers, per_stack = list(layers_of(document, level["free_feed_forward"])), level["layers_per_stack"]
    found = set()
    for depth in document["architecture"]["encoder_layers"]:
        for stacks in itertools.product(layers, repeat=depth // per_stack):
            if keeps_rules(document, [layer for layer in stacks for _ in range(per_stack)]):
                found.add(Architecture(tuple(layer for layer in stacks for _ in range(per_stack))))
    return {one for one in found if all(Constraint.parse(limit).holds(one) for limit in document["constraints"])}


def keeps_rules(document: Document, layers: list[Any]) -> bool:
    choices = document["architecture"]
    for number, fixed in document["fixed_layers"].items():
        if number < len(layers):
            content = Architecture((layers[number],)).to_model_dict()
            if any(content[key][0] != value for key, value in fixed.items()):
                return False
    for name in choices["per_model"] + choices["monotone"]:
        if name == "operation":
            column = [operations_of(document).index((layer.operation, layer.parameter)) for layer in layers]
        else:
            column = [getattr(layer, name) for layer in layers]
        if name in choices["per_model"] and len(set(column)) > 1:
            return False
        sizes = [sum(value) for value in column] if name == "feed_forward" else column
        if name in choices["monotone"] and sizes != sorted(sizes):
            return False
    return True


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Small spaces with all rules mixed, of either form, without limits."""

    def some(*values: Any) -> list[Any]:
        return draw(st.permutations(values))[: draw(st.integers(1, len(values)))]

    depths = draw(st.sampled_from(list(MOST_LAYERS)))
    per_head = draw(st.booleans())
    bound = ("hidden_size", "feed_forward") if per_head else ("operation", "hidden_size", "num_heads", "feed_forward")
    rules = {name: draw(st.sampled_from(["free", "per_model", "monotone"])) for name in bound}
    choices = {
        "encoder_layers": list(depths),
        "operation_types": some("sa", "l", "c"),
        "operation_parameters": {"sa": some("sdp", "wma"), "l": ["dft"], "c": [5]},
        "hidden_size": some(16, 32),
        "num_heads": some(1, 2),
        "feed-forward_hidden": some(24, 40, 16),
        "number_of_feed-forward_stacks": some(1, 2),
        "operation_per_head": per_head,
        "per_model": [name for name, rule in rules.items() if rule == "per_model"],
        "monotone": [name for name, rule in rules.items() if rule == "monotone"],
    }
    for name in set(choices["operation_parameters"]) - set(choices["operation_types"]):
        del choices["operation_parameters"][name]
    document = {"architecture": choices, "constraints": [], "fixed_layers": {}}
    assume(len(list(layers_of(document, free_feed_forward=True))) <= MOST_LAYERS[depths])
    levels = [(1, False), (1, True)] if 1 in depths else [(2, False), (1, False), (1, True)]
    document["levels"] = [{"layers_per_stack": number, "free_feed_forward": free} for number, free in levels]
    for number in draw(st.sets(st.integers(0, max(depths) - 1), max_size=2)):
        layer = Architecture(
            (draw(st.sampled_from(list(layers_of(document, free_feed_forward=False)))),)
        ).to_model_dict()
        keys = draw(st.sets(st.sampled_from(["h", "f"] if per_head else ["o", "h", "n", "f"])))
        document["fixed_layers"][number] = {key: layer[key][0] for key in [*keys, *(["p"] if "o" in keys else [])]}
    return document


def drawn(data: st.DataObject) -> tuple[DesignSpace, Document, list[set[Architecture]]]:
    """A random space, its document, and its members by level; half of the spaces have limits."""
    document = data.draw(documents())
    levels = [members_of(document, level) for level in document["levels"]]
    assume(all(levels))
    quantities = ["layers"] if document["architecture"]["operation_per_head"] else list(QUANTITIES)
    for quantity in data.draw(st.lists(st.sampled_from(quantities), max_size=2)):
        near = data.draw(st.sampled_from(sorted(levels[-1], key=lambda architecture: architecture.id)))
        limit = QUANTITIES[quantity].of(near) + data.draw(st.integers(-1, 1))
        comparison = data.draw(st.sampled_from(["<=", "<", ">=", ">", "=="]))
        document["constraints"].append(f"{quantity} {comparison} {limit}")
    levels = [members_of(document, level) for level in document["levels"]]
    return DesignSpace("mine", parse_space(yaml.safe_dump(document), "mine")), document, levels


@EXAMPLES
@given(st.data())
def test_levels_are_counted_listed_recognised_and_nested(data: st.DataObject) -> None:
    space, _, levels = drawn(data)
    for level, members in zip(space.levels, levels, strict=True):
        listed = list(space.enumerate(level))
        assert len(listed) == len(set(listed)) == space.size(level)
        assert set(listed) == members
        assert all(space.refusal(architecture, level) is None for architecture in listed)
    assert all(coarse <= fine for coarse, fine in itertools.pairwise(levels))


@EXAMPLES
@given(st.data())
def test_what_else_a_sibling_space_holds_is_refused(data: st.DataObject) -> None:
    space, document, levels = drawn(data)
    free = {"per_model": [], "monotone": [], "encoder_layers": [1, 2]}
    sibling = {**document, "architecture": {**document["architecture"], **free}, "constraints": [], "fixed_layers": {}}
    for architecture in members_of(sibling, {"layers_per_stack": 1, "free_feed_forward": True}):
        for level, members in zip(space.levels, levels, strict=True):
            assert (space.refusal(architecture, level) is None) == (architecture in members)


@EXAMPLES
@given(st.data())
def test_samples_mutations_and_crossovers_are_members(data: st.DataObject) -> None:
    space, _, levels = drawn(data)
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    for level, members in zip(space.levels, levels, strict=True):
        samples = space.sample(level, 8, rng)
        assert len(set(samples)) == len(samples) == min(8, len(members))
        assert set(samples) <= members
        for one, other in itertools.pairwise(samples):
            steps = mutations(space, level, one)
            assert one not in steps
            assert len(set(steps)) == len(steps)
            assert members.issuperset([*steps, crossover(space, level, one, other, rng)])
