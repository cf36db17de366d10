"""One-step mutations by hand, crossover stack by stack, both by the seed."""

import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_space import Architecture, DesignSpace, Head, Layer, MixedLayer
from design_space import variation as variation_module
from design_space.constraint import Constraint
from design_space.layer import AnyLayer
from design_space.space_file import parse_space
from design_space.variation import crossover, mutate, mutations

SMALL = """\
architecture:
  encoder_layers: [8, 2, 4]
  hidden_size: [16, 32, 64]
  num_heads: [2]
  operation_types: [sa]
  operation_parameters: {sa: [sdp]}
  feed-forward_hidden: [24, 40]
  number_of_feed-forward_stacks: [1]
levels:
  - {layers_per_stack: 1, free_feed_forward: false}
"""
MINI = DesignSpace.load("flexibert_mini")
FLEXIBERT_2 = DesignSpace.load("flexibert_2")
LAYER = Layer("sa", "sdp", 128, 2, (512,))
OTHER = Layer("c", "9", 256, 4, (1024,) * 3)


def space_of(text: str) -> DesignSpace:
    return DesignSpace("mine", parse_space(text, "mine"))


def stack(*hidden_sizes: int, feed_forward: int = 24) -> Architecture:
    return Architecture(tuple(Layer("sa", "sdp", size, 2, (feed_forward,)) for size in hidden_sizes))


def steps_of_equal_depth(space: DesignSpace, level: int, architecture: Architecture) -> list[Architecture]:
    return [one for one in mutations(space, level, architecture) if len(one.layers) == len(architecture.layers)]


def hidden_sizes(architecture: Architecture) -> list[int]:
    return [layer.hidden_size for layer in architecture.layers]


@pytest.mark.parametrize(
    ("level", "num_layers", "num_steps"),
    [
        # A stack of layers: 5 other operations, 1 hidden size, 1 number of heads, 3 other feed-forward stacks.
        (1, 2, 1 * (5 + 1 + 1 + 3) + 1),
        (1, 4, 2 * (5 + 1 + 1 + 3) + 1),
        (2, 2, 2 * (5 + 1 + 1 + 3) + 1),
        (2, 4, 4 * (5 + 1 + 1 + 3) + 1),
        (3, 2, 2 * (5 + 1 + 1 + 9) + 1),
    ],
)
def test_number_of_steps_by_hand(level: int, num_layers: int, num_steps: int) -> None:
    architecture = Architecture((LAYER,) * num_layers)
    found = mutations(MINI, level, architecture)
    assert len(set(found)) == len(found) == num_steps
    assert architecture not in found
    assert all(MINI.refusal(one, level) is None for one in found)


def test_a_step_changes_one_field_of_one_stack() -> None:
    architecture = Architecture((LAYER, LAYER, OTHER, OTHER))
    for one in steps_of_equal_depth(MINI, 1, architecture):
        changed = [number for number in range(4) if one.layers[number] != architecture.layers[number]]
        assert changed in ([0, 1], [2, 3])
        before, after = architecture.uniform_layers[changed[0]], one.uniform_layers[changed[0]]
        fields = ("operation_name", "hidden_size", "num_heads", "feed_forward")
        assert sum(getattr(before, field) != getattr(after, field) for field in fields) == 1


def test_depth_steps_go_to_the_next_number_of_layers() -> None:
    space, architecture = space_of(SMALL), stack(16, 32, 64, 32)
    others = [one for one in mutations(space, 1, architecture) if len(one.layers) != 4]
    assert others == [stack(16, 32), stack(16, 32, 64, 32, 32, 32, 32, 32)]
    assert {len(one.layers) for one in mutations(space, 1, stack(16, 16))} == {2, 4}
    assert {len(one.layers) for one in mutations(space, 1, stack(*[16] * 8))} == {4, 8}


def test_depth_steps_repeat_and_drop_whole_stacks() -> None:
    assert Architecture((LAYER,) * 4) in mutations(MINI, 1, Architecture((LAYER,) * 2))
    assert Architecture((LAYER,) * 2) in mutations(MINI, 1, Architecture((LAYER, LAYER, OTHER, OTHER)))


def test_field_chosen_once_a_model_changes_in_all_layers() -> None:
    bench = DesignSpace.load("nas_bench_bert")
    found = mutations(bench, 2, Architecture((LAYER,) * 4))
    wide = dataclasses.replace(LAYER, hidden_size=256)
    assert len(found) == 4 * (5 + 1 + 3) + 1 + 1
    assert [one for one in found if one.layers[0].hidden_size == 256] == [Architecture((wide,) * 4)]


def test_steps_that_break_a_rule_or_a_limit_are_left_out() -> None:
    space = space_of(SMALL.replace("levels:", "  monotone: [hidden_size]\nlevels:"))
    found = [hidden_sizes(one) for one in mutations(space, 1, stack(16, 32)) if one.layers[0].feed_forward == (24,)]
    # Not [64, 32]; the last step by the feed-forward of layer 1 keeps the hidden sizes, and so do four layers.
    assert found == [[32, 32], [16, 16], [16, 64], [16, 32], [16, 32, 32, 32]]
    shallow = space.within([Constraint.parse("layers <= 2")])
    assert {len(one.layers) for one in mutations(shallow, 1, stack(16, 32))} == {2}


def test_fixed_fields_stay() -> None:
    space = space_of(SMALL + "fixed_layers: {1: {h: 32}}\n")
    found = steps_of_equal_depth(space, 1, stack(16, 32))
    assert len(found) == 2 + 1 + 1  # hidden sizes of layer 0, feed-forwards of both
    assert all(one.layers[1].hidden_size == 32 for one in found)


def test_steps_into_a_finer_level_free_single_layers() -> None:
    coarse = Architecture((LAYER,) * 4)
    assert len(steps_of_equal_depth(MINI, 1, coarse)) == 20
    assert len(steps_of_equal_depth(MINI, 2, coarse)) == 40


def test_stacks_of_a_coarser_level_are_read_off_their_first_layers() -> None:
    fine = Architecture((LAYER, OTHER))
    assert mutations(MINI, 1, fine)[:-1] == steps_of_equal_depth(MINI, 1, Architecture((LAYER, LAYER)))


def mixed(*operations: tuple[str, str], hidden_size: int = 128) -> MixedLayer:
    width = hidden_size // len(operations)
    return MixedLayer(tuple(Head(*operation, width) for operation in operations), hidden_size, (512,))


@pytest.mark.parametrize(
    ("operations", "num_steps"),
    [
        # One head becomes another of 7 operations; two are added: multisets of 2 of 7 operations.
        ([("sa", "sdp")] * 2, 6 + 28),
        ([("sa", "sdp"), ("c", "5")], 6 + 6 + 28),
        # Of four, one of two kinds; to two heads: 3 multisets; to eight: multisets of 4 of 7.
        ([("sa", "sdp")] * 2 + [("c", "5")] * 2, 6 + 6 + 3 + 210),
    ],
)
def test_steps_of_mixed_heads_by_hand(operations: list[tuple[str, str]], num_steps: int) -> None:
    layer = mixed(*operations)
    found = mutations(FLEXIBERT_2, 1, Architecture((layer, layer)))
    # And 3 hidden sizes, 17 feed-forward stacks, 4 layers.
    assert len(set(found)) == len(found) == num_steps + 3 + 17 + 1
    assert all(FLEXIBERT_2.refusal(one, 1) is None for one in found)


def test_heads_share_the_width_after_each_step() -> None:
    layer, dct = mixed(*[("sa", "sdp")] * 2), ("l", "dct")
    found = {one.layers for one in steps_of_equal_depth(FLEXIBERT_2, 1, Architecture((layer, layer)))}
    for changed in (
        mixed(("sa", "sdp"), dct),
        mixed(("sa", "sdp"), dct, dct, ("sa", "sdp")),
        mixed(*[("sa", "sdp")] * 2, hidden_size=768),
    ):
        assert (changed, changed) in found
    assert (mixed(dct, dct),) * 2 not in found
    assert (mixed(dct, dct, dct, ("sa", "sdp")),) * 2 not in found


@settings(max_examples=16, deadline=None, derandomize=True, database=None)
@given(st.sampled_from([(MINI, 1), (MINI, 2), (MINI, 3), (FLEXIBERT_2, 1)]), st.integers(0, 10**6))
def test_steps_of_equal_depth_can_be_taken_back(case: tuple[DesignSpace, int], seed: int) -> None:
    space, level = case
    rng = np.random.default_rng(seed)
    one = space.sample(level, 1, rng)[0]
    steps = steps_of_equal_depth(space, level, one)
    assert one in mutations(space, level, steps[rng.integers(len(steps))])


def test_mutate_draws_each_step_by_the_seed() -> None:
    architecture = Architecture((LAYER,) * 2)
    steps = mutations(MINI, 1, architecture)
    drawn = [mutate(MINI, 1, architecture, np.random.default_rng(seed)) for seed in range(200)]
    assert drawn == [mutate(MINI, 1, architecture, np.random.default_rng(seed)) for seed in range(200)]
    assert set(drawn) == set(steps)
    assert max(Counter(drawn).values()) < 45  # 18 on average


def test_only_architecture_of_a_space_stays_itself() -> None:
    text = SMALL.replace("[8, 2, 4]", "[2]").replace("[16, 32, 64]", "[16]").replace("[24, 40]", "[24]")
    assert mutations(space_of(text), 1, stack(16, 16)) == []
    assert mutate(space_of(text), 1, stack(16, 16), np.random.default_rng(0)) == stack(16, 16)


def children(space: DesignSpace, level: int, one: Architecture, other: Architecture) -> set[tuple[AnyLayer, ...]]:
    return {crossover(space, level, one, other, np.random.default_rng(seed)).layers for seed in range(200)}


def test_each_stack_of_a_child_is_from_either_parent() -> None:
    one, other = Architecture((LAYER,) * 4), Architecture((OTHER,) * 4)
    assert children(MINI, 2, one, other) == set(itertools.product((LAYER, OTHER), repeat=4))
    pairs = itertools.product((LAYER, OTHER), repeat=2)
    assert children(MINI, 1, one, other) == {(first, first, last, last) for first, last in pairs}
    assert children(MINI, 2, one, one) == {one.layers}


def test_child_has_the_number_of_layers_of_a_parent_and_the_end_of_the_longer() -> None:
    found = children(MINI, 2, Architecture((LAYER,) * 2), Architecture((OTHER,) * 4))
    firsts = set(itertools.product((LAYER, OTHER), repeat=2))
    assert found == firsts | {(*first, OTHER, OTHER) for first in firsts}


def test_fields_chosen_once_a_model_are_from_one_parent() -> None:
    space = space_of(SMALL.replace("levels:", "  per_model: [hidden_size]\nlevels:"))
    found = children(space, 1, stack(16, 16), stack(64, 64, feed_forward=40))
    narrow, wide = ([Layer("sa", "sdp", size, 2, (sizes,)) for sizes in (24, 40)] for size in (16, 64))
    # The hidden size of layer 0's parent, the feed-forward of each layer's own.
    assert found == {(narrow[0], narrow[0]), (narrow[0], narrow[1]), (wide[1], wide[1]), (wide[1], wide[0])}


def test_crossover_keeps_the_rules_and_falls_back_on_its_first_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    space = space_of(SMALL.replace("levels:", "  monotone: [hidden_size]\nlevels:"))
    one, other = stack(16, 32), stack(64, 64)
    assert {tuple(layer.hidden_size for layer in layers) for layers in children(space, 1, one, other)} == {
        (16, 32),
        (16, 64),
        (64, 64),
    }
    monkeypatch.setattr(variation_module, "_MAX_TRIES", 0)
    assert children(space, 1, one, other) == {one.layers}


def test_crossover_follows_the_seed() -> None:
    one, other = FLEXIBERT_2.sample(3, 2, np.random.default_rng(0))
    first, same, another = (crossover(FLEXIBERT_2, 3, one, other, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == same != another
    assert FLEXIBERT_2.refusal(first, 3) is None
