"""Sequences of one field are counted and unranked as brute force lists them, and `refusal` draws the same line."""

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_space import DesignSpace, InputError, Layer
from design_space.choices import Axis, axes_of
from design_space.space_file import parse_space

SMALL = """\
architecture:
  encoder_layers: [4, 2]
  hidden_size: [32, 16]
  num_heads: [2, 1]
  operation_types: [c, sa]
  operation_parameters: {sa: [wma, sdp], c: [13, 5]}
  feed-forward_hidden: [40, 24]
  number_of_feed-forward_stacks: [2, 1]
levels:
  - {layers_per_stack: 2, free_feed_forward: false}
  - {layers_per_stack: 1, free_feed_forward: true}
"""
RULES = st.sampled_from(["free", "per_model", "monotone"])
EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def layer(hidden_size: int) -> Layer:
    return Layer("sa", "sdp", hidden_size, 1, (24,))


def keeps_rule(axis: Axis, values: tuple[int, ...]) -> bool:
    """Whether layers of these values obey the rule and are as fixed, by the words of the documentation."""
    if any(values[number] != value for number, value in axis.fixed.items() if number < len(values)):
        return False
    sizes = [axis.sizes[axis.values.index(value)] for value in values]
    if axis.rule == "monotone":
        return sizes == sorted(sizes)
    return axis.rule == "free" or len(set(values)) == 1


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    """A hidden size of up to four values, whose sizes have any order and equals."""
    values = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4, unique=True))
    sizes = draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))
    # 7 is among no values: a layer fixed to it leaves no sequence.
    fixed = draw(st.dictionaries(st.integers(0, 7), st.sampled_from([*values, *values, 7]), max_size=2))
    return Axis("hidden_size", tuple(values), lambda layer: layer.hidden_size, draw(RULES), tuple(sizes), fixed)


@EXAMPLES
@given(axes(), st.integers(1, 4), st.integers(1, 2))
def test_sequences_are_counted_and_unranked_as_listed(axis: Axis, num_slots: int, layers_per_slot: int) -> None:
    listed = [
        values
        for values in itertools.product(axis.values, repeat=num_slots)
        if keeps_rule(axis, tuple(value for value in values for _ in range(layers_per_slot)))
    ]
    allowed = axis.allowed(num_slots, layers_per_slot)
    unranked = [axis.sequence_at(allowed, rank) for rank in range(axis.num_sequences(allowed))]
    assert sorted(tuple(axis.values[place] for place in places) for places in unranked) == sorted(listed)


@EXAMPLES
@given(axes(), st.integers(1, 4))
def test_refusal_is_none_exactly_for_the_sequences(axis: Axis, num_slots: int) -> None:
    for values in itertools.product([*axis.values, 8], repeat=num_slots):
        refusal = axis.refusal([layer(value) for value in values])
        assert (refusal is None) == (8 not in values and keeps_rule(axis, values))


@pytest.mark.parametrize(("rule", "number"), [("free", 7**200), ("per_model", 7)])
def test_long_sequences_are_counted_in_closed_form(rule: Any, number: int) -> None:
    axis = Axis("hidden_size", tuple(range(1, 8)), lambda layer: layer.hidden_size, rule, tuple(range(7)))
    allowed = axis.allowed(200, 1)
    assert axis.num_sequences(allowed) == number
    assert axis.sequence_at(allowed, 0) == [0] * 200
    assert axis.sequence_at(allowed, number - 1) == [6] * 200


def test_long_monotone_sequences_are_multisets() -> None:
    axis = Axis("hidden_size", tuple(range(1, 8)), lambda layer: layer.hidden_size, "monotone", tuple(range(7)))
    allowed = axis.allowed(200, 1)
    number = math.comb(206, 6)
    assert axis.num_sequences(allowed) == number
    assert axis.sequence_at(allowed, number - 1) == [6] * 200
    middle = axis.sequence_at(allowed, number // 2)
    assert middle == sorted(middle)


@pytest.mark.parametrize(
    ("rule", "fixed", "values", "message"),
    [
        ("free", {}, [16, 24], "layer 1: hidden_size must be one of 16, 32, got 24"),
        ("free", {1: 16}, [16, 32], "layer 1: hidden_size is fixed to 16, got 32"),
        ("per_model", {}, [32, 16], "layer 1: hidden_size must be one for the whole model, got 16"),
        ("monotone", {}, [16, 32, 16], "layer 2: hidden_size must not be less than in the layer before, got 16"),
    ],
)
def test_refusal_names_layer_field_rule_and_value(rule: Any, fixed: Any, values: list[int], message: str) -> None:
    axis = Axis("hidden_size", (16, 32), lambda layer: layer.hidden_size, rule, (16, 32), fixed)
    assert axis.refusal([layer(value) for value in values]) == message


def test_refusal_of_many_choices_shows_eight_of_them() -> None:
    axis = Axis("hidden_size", tuple(range(1, 21)), lambda layer: layer.hidden_size)
    assert axis.refusal([layer(32)]) == (
        "layer 0: hidden_size must be one of 1, 2, 3, 4, 5, 6, 7, 8, … (20 in all), got 32"
    )


def test_fields_of_a_level_stand_in_the_order_of_the_file() -> None:
    content = parse_space(SMALL.replace("levels:", "  monotone: [operation, feed_forward]\nlevels:"), "f")
    coarse, fine = (axes_of(content, level) for level in content.levels)
    operations = (("c", "13"), ("c", "5"), ("sa", "wma"), ("sa", "sdp"))
    assert [(axis.name, axis.rule) for axis in coarse] == [
        ("operation", "monotone"),
        ("hidden_size", "free"),
        ("num_heads", "free"),
        ("feed_forward", "monotone"),
    ]
    assert [axis.values for axis in coarse[:3]] == [operations, (32, 16), (2, 1)]
    assert coarse[0].sizes == (0, 1, 2, 3)
    assert coarse[3].values == ((40, 40), (24, 24), (40,), (24,))
    assert fine[3].values == ((40, 40), (40, 24), (24, 40), (24, 24), (40,), (24,))
    assert fine[3].sizes == (80, 64, 64, 48, 40, 24)


def test_heads_are_multisets_in_the_canonical_order_whatever_that_of_the_file() -> None:
    content = parse_space(
        SMALL.replace("levels:", "  operation_per_head: true\n  per_model: [hidden_size]\nlevels:"), "f"
    )
    heads, hidden_size, feed_forward = axes_of(content, content.levels[0])
    one, two, three, four = ("sa", "sdp"), ("sa", "wma"), ("c", "5"), ("c", "13")
    pairs = [(one, one), (one, two), (one, three), (one, four), (two, two), (two, three), (two, four)]
    pairs += [(three, three), (three, four), (four, four)]
    assert heads.values == (*pairs, (one,), (two,), (three,), (four,))
    assert (heads.rule, hidden_size.rule, feed_forward.rule) == ("free", "per_model", "free")


def test_steps_are_all_other_values() -> None:
    axis = Axis("hidden_size", (16, 32, 64), lambda layer: layer.hidden_size)
    assert [axis.steps(value) for value in axis.values] == [[32, 64], [16, 64], [16, 32]]


@EXAMPLES
@given(st.integers(1, 3), st.sets(st.integers(1, 5), min_size=1, max_size=3), st.data())
def test_steps_of_mixed_heads_change_one_head_or_take_the_next_number(
    num_operations: int, numbers: set[int], data: st.DataObject
) -> None:
    operations = [("c", str(2 * kernel + 1)) for kernel in range(num_operations)]
    multisets = [several for n in numbers for several in itertools.combinations_with_replacement(operations, n)]
    axis = Axis("heads", tuple(multisets), lambda layer: layer)
    heads = data.draw(st.sampled_from(multisets))

    def is_step(other: tuple[tuple[str, str], ...]) -> bool:
        if len(other) == len(heads):
            return (Counter(other) - Counter(heads)).total() == 1
        fewer, more = sorted((heads, other), key=len)
        return Counter(fewer) <= Counter(more) and not any(len(fewer) < n < len(more) for n in numbers)

    assert sorted(axis.steps(heads)) == sorted(filter(is_step, multisets))


@pytest.mark.parametrize(
    ("rule", "fixed", "field"),
    [
        ("", "{0: {h: 16}, 1: {h: 32}}", "hidden_size"),  # one stack of two layers
        ("", "{1: {f: [24, 40]}}", "feed_forward"),  # level 1 has no unequal sizes
        ("  per_model: [num_heads]\n", "{0: {n: 1}, 2: {n: 2}}", None),  # models of two layers are left
        ("  per_model: [num_heads]\n", "{0: {n: 1}, 1: {n: 2}}", "num_heads"),
        ("  monotone: [operation]\n", "{0: {o: sa, p: sdp}, 2: {o: c, p: 5}}", None),
    ],
)
def test_fixed_layers_must_leave_a_choice_on_every_level(
    rule: str, fixed: str, field: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL.replace("levels:", f"{rule}levels:") + f"fixed_layers: {fixed}\n", "utf-8")
    if field is None:
        space = DesignSpace.load(path)
        assert {len(architecture.layers) for architecture in space.enumerate(1)} == {2}
    else:
        with pytest.raises(
            InputError, match=rf"^mine: level \d: fixed_layers must leave .* leave none for {field}\. Free"
        ):
            DesignSpace.load(path)
