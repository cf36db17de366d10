"""Sizes under limits are exact, and sampling under limits is uniform or refused, never endless."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from design_space import Architecture, DesignSpace, InputError, Layer
from design_space import space as space_module
from design_space import tally as tally_module
from design_space.constraint import QUANTITIES, Constraint
from design_space.space_file import parse_space

SMALL = """\
architecture:
  encoder_layers: [1, 2, 4]
  hidden_size: [16, 32]
  num_heads: [2]
  operation_types: [sa, l]
  operation_parameters: {sa: [sdp], l: [dft]}
  feed-forward_hidden: [24, 40]
  number_of_feed-forward_stacks: [1]
  per_model: [operation]
  monotone: [feed_forward]
levels:
  - {layers_per_stack: 1, free_feed_forward: false}
"""
MINI = DesignSpace.load("flexibert_mini")
FLEXIBERT_2 = DesignSpace.load("flexibert_2")
TINY = Architecture((Layer("sa", "sdp", 128, 2, (512,)),) * 2)


def limited(space: DesignSpace, *limits: str) -> DesignSpace:
    return space.within([Constraint.parse(limit) for limit in limits])


def space_of(text: str) -> DesignSpace:
    return DesignSpace("mine", parse_space(text, "mine"))


def values(architecture: Architecture) -> dict[str, int]:
    return {name: quantity.of(architecture) for name, quantity in QUANTITIES.items()}


@pytest.fixture(scope="module")
def level_1() -> list[dict[str, int]]:
    """All quantities of every architecture of level 1 of flexibert_mini."""
    return [values(architecture) for architecture in MINI.enumerate(1)]


@pytest.mark.parametrize("comparison", ["<=", "<", ">=", ">", "=="])
@pytest.mark.parametrize("quantity", ["params", "flops", "layers"])
def test_size_under_one_limit_is_that_of_a_listing(
    quantity: str, comparison: str, level_1: list[dict[str, int]]
) -> None:
    some = sorted(row[quantity] for row in level_1)
    for limit in (0, some[0], some[4_000], some[4_000] + 0.5, some[-1], 10**18):
        constraint = Constraint(quantity, comparison, float(limit))
        expected = sum(constraint.allows(row[quantity]) for row in level_1)
        assert MINI.within([constraint]).size(1) == expected


@pytest.mark.parametrize(
    "limits",
    [
        ("params <= 15e6", "flops <= 9e8"),
        ("params <= 15e6", "params > 8e6", "flops > 5e8"),
        ("layers == 4", "params < 15e6", "flops >= 12e8"),
        ("layers > 2", "layers < 4"),
        ("params < 9e6", "params > 9e6"),
    ],
)
def test_size_under_several_limits_is_that_of_a_listing(limits: tuple[str, ...], level_1: list[dict[str, int]]) -> None:
    constraints = [Constraint.parse(limit) for limit in limits]
    expected = sum(all(each.allows(row[each.quantity]) for each in constraints) for row in level_1)
    assert limited(MINI, *limits).size(1) == expected


@pytest.mark.parametrize("quantity", ["params", "flops"])
def test_sizes_below_at_and_above_a_limit_add_up(quantity: str) -> None:
    limit = QUANTITIES[quantity].of(MINI.architecture_at(2, 40_000_000))
    parts = [limited(MINI, f"{quantity} {comparison} {limit}").size(2) for comparison in ("<", "==", ">")]
    assert sum(parts) == MINI.size(2)
    assert min(parts) > 0


@pytest.mark.parametrize("limits", [("params <= 1640000",), ("flops < 2e7", "params > 83e4"), ("layers >= 2",)])
def test_limits_and_rules_hold_together(limits: tuple[str, ...]) -> None:
    free = [line for line in SMALL.splitlines() if "per_model" not in line and "monotone" not in line]
    constraints = [Constraint.parse(limit) for limit in limits]
    expected = [
        one
        for one in space_of("\n".join(free)).enumerate(1)
        if len({layer.operation_name for layer in one.layers}) == 1
        and all(a.feed_forward <= b.feed_forward for a, b in itertools.pairwise(one.layers))
        and all(each.allows(each.value(one)) for each in constraints)
    ]
    space = limited(space_of(SMALL), *limits)
    assert 0 < space.size(1) == len(expected) < space_of(SMALL).size(1)
    assert set(space.enumerate(1)) == set(expected)


@pytest.mark.parametrize("quantity", ["params", "flops"])
def test_every_range_between_two_sums_is_counted(quantity: str) -> None:
    # Layers 0 and 1 differ in width, so every model of two layers or more has a projection.
    space = space_of(SMALL.replace("[1, 2, 4]", "[1, 2, 3]") + "fixed_layers: {0: {h: 16}, 1: {h: 32}}\n")
    sums = [QUANTITIES[quantity].of(one) for one in space.enumerate(1)]
    for low, high in itertools.combinations_with_replacement(sorted(set(sums)), 2):
        limits = (f"{quantity} >= {low}", f"{quantity} <= {high}")
        assert limited(space, *limits).size(1) == sum(low <= number <= high for number in sums)


def test_limits_of_the_file_and_further_ones_hold_together() -> None:
    text = SMALL + "constraints: [layers <= 2]\n"
    assert space_of(text).size(1) == 2 * 4 + 2 * 4 * 3
    space = limited(space_of(text), "layers > 1")
    assert space.size(1) == 2 * 4 * 3
    assert space.content.constraints == ["layers <= 2", "layers > 1"]


def test_depths_that_fixed_layers_leave_empty_count_nothing() -> None:
    text = SMALL.replace("[1, 2, 4]", "[2, 4]").replace("stack: 1", "stack: 2")
    fixed = "fixed_layers: {2: {h: 16}, 3: {h: 32}}\n"  # one stack of two layers
    assert limited(space_of(text + fixed), "params > 0").size(1) == limited(space_of(text), "layers == 2").size(1) == 8


def test_limits_on_layers_are_counted_in_closed_form_however_large_the_space() -> None:
    per_layer = 21_805 * 4 * 258
    assert limited(FLEXIBERT_2, "layers <= 4").size(3) == per_layer**2 + per_layer**4
    assert limited(FLEXIBERT_2, "layers > 10").size(3) == per_layer**12


def test_count_of_too_many_sums_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "_MAX_WORK", 1_000)
    with pytest.raises(InputError, match=r"^constraints: an exact count needs more than 1000 sums here.*use `sample`"):
        limited(MINI, "params <= 12e6").size(3)


def test_count_of_too_many_layers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_module, "_MAX_LAYERS", 200)
    with pytest.raises(InputError, match="flexibert_mini: level 3 has 240 layers, more than 200"):
        limited(MINI, "params <= 12e6").size(3)


def test_refusal_names_the_limit_and_the_value() -> None:
    num_params = QUANTITIES["params"].of(TINY)
    assert limited(MINI, f"params <= {num_params}").refusal(TINY, 1) is None
    refusal = limited(MINI, "layers == 2", "params <= 1e6").refusal(TINY, 1)
    assert refusal == f"params must be <= 1000000, got {num_params}"


def test_samples_are_distinct_within_the_limits_and_follow_the_seed() -> None:
    space = limited(MINI, "params <= 12e6", "flops > 500e6")
    one, same = (space.sample(2, 100, np.random.default_rng(2)) for _ in range(2))
    assert one == same
    assert len(set(one)) == 100
    assert all(space.refusal(architecture, 2) is None for architecture in one)


def test_samples_within_limits_are_uniform() -> None:
    space, rng = limited(space_of(SMALL), "params <= 1640000", "layers >= 2"), np.random.default_rng(0)
    counts = Counter(architecture for _ in range(2_000) for architecture in space.sample(1, 5, rng))
    observed = [counts[architecture] for architecture in space.enumerate(1)]
    assert sum(observed) == 10_000
    assert stats.chisquare(observed).pvalue > 1e-3


def test_sample_of_more_than_the_limits_leave_is_all_of_it() -> None:
    space = limited(space_of(SMALL), "params <= 1640000", "layers >= 2")
    assert space.size(1) < 150 < space_of(SMALL).size(1)
    found = space.sample(1, 150, np.random.default_rng(0))
    assert len(found) == space.size(1)
    assert set(found) == set(space.enumerate(1))


def test_rare_depths_are_sampled_at_once() -> None:
    found = limited(FLEXIBERT_2, "layers <= 2").sample(3, 50, np.random.default_rng(0))
    assert len(set(found)) == 50
    assert {len(architecture.layers) for architecture in found} == {2}
    assert limited(MINI, "layers > 4").sample(3, 5, np.random.default_rng(0)) == []


def test_limits_that_leave_nothing_give_an_empty_sample_at_once() -> None:
    space = limited(MINI, "layers == 4", "params <= 1e6")
    assert space.size(3) == 0
    assert space.sample(3, 7, np.random.default_rng(0)) == []


def test_limits_that_contradict_each_other_end_after_many_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_module, "_MAX_MISSES", 300)
    space = limited(MINI, "layers == 4", "params <= 12e6", "flops >= 2e9")
    with pytest.raises(InputError, match="^flexibert_mini: only 0 of 7 architectures of level 3 were found") as caught:
        space.sample(3, 7, np.random.default_rng(0))
    assert "within layers == 4, params <= 12000000, flops >= 2000000000; 300 draws in a row gave none. Relax" in str(
        caught.value
    )
    assert str(caught.value).isprintable()
