"""Known sizes, order, uniform samples, limits and reasons; `test_random_spaces.py` compares with brute force."""

import itertools
import math
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from design_space import Architecture, DesignSpace, Head, InputError, Layer, MixedLayer
from design_space import space as space_module
from design_space.space_file import parse_space

SMALL = """\
architecture:
  encoder_layers: [2, 1]
  hidden_size: [16]
  num_heads: [2]
  operation_types: [l, sa]
  operation_parameters: {sa: [sdp], l: [dft]}
  feed-forward_hidden: [24]
  number_of_feed-forward_stacks: [1, 2]
levels:
  - {layers_per_stack: 1, free_feed_forward: false}
"""
MINI = DesignSpace.load("flexibert_mini")
FLEXIBERT_2 = DesignSpace.load("flexibert_2")
SIZES = {1: 9_312, 2: 84_943_872, 3: 3_317_817_600}


def space_of(text: str) -> DesignSpace:
    return DesignSpace("mine", parse_space(text, "mine"))


SPACE = space_of(SMALL)  # 4 layers, so 4 + 16 architectures


def test_sizes_of_the_presets() -> None:
    small, bench = DesignSpace.load("flexibert_small"), DesignSpace.load("nas_bench_bert")
    assert {level: MINI.size(level) for level in MINI.levels} == SIZES
    assert (small.size(1), small.size(3)) == (432_653_508, 21_964_384_040_055_167_554_704)
    assert bench.size(2) == 10_621_440


def test_size_of_flexibert_2_is_exact() -> None:
    # Multisets of n of 7 operations: (n + 6)! / (n! 6!).
    heads = sum(math.factorial(n + 6) // (math.factorial(n) * 720) for n in (2, 4, 8, 12))
    stacks = 6 + 6**2 + 6**3
    assert (heads, stacks) == (21_805, 258)
    assert FLEXIBERT_2.size(3) == sum((heads * 4 * stacks) ** depth for depth in range(2, 13, 2))
    assert f"{FLEXIBERT_2.size(3):.3e}" == "1.686e+88"


def test_monotone_fields_are_counted_as_multisets() -> None:
    text = yaml.safe_load(SMALL)
    text["architecture"] |= {"encoder_layers": [2, 4], "hidden_size": [128, 256], "num_heads": [2, 4]}
    text["architecture"] |= {"operation_types": ["sa"], "operation_parameters": {"sa": ["sdp", "wma"]}}
    text["architecture"] |= {"feed-forward_hidden": [512, 1024, 2048], "number_of_feed-forward_stacks": [1]}
    text["architecture"]["monotone"] = ["operation", "hidden_size", "num_heads", "feed_forward"]
    # Two of 2 choices: 3 multisets, of 3 choices: 6; four of 2: 5, of 3: 15.
    assert space_of(yaml.safe_dump(text)).size(1) == 3**3 * 6 + 5**3 * 15 == 2_037


def test_number_of_layers_of_each_level() -> None:
    # 6 operations, 2 hidden sizes, 2 heads; 4 equal stacks, then 2 + 8 free ones.
    assert [len(set(MINI.layers(level))) for level in MINI.levels] == [6 * 4 * 4, 6 * 4 * 4, 6 * 4 * 10]
    with pytest.raises(InputError, match="flexibert_2: level 3 has 22502760 layers, more than 100000"):
        FLEXIBERT_2.layers(3)


def test_level_1_holds_as_many_distinct_members_as_its_size() -> None:
    architectures = list(MINI.enumerate(1))
    assert len({architecture.id for architecture in architectures}) == len(architectures) == SIZES[1]
    assert all(MINI.refusal(architecture, level) is None for architecture in architectures for level in MINI.levels)


def test_ranks_run_through_the_depths_and_then_through_one_field_after_the_other() -> None:
    operations, stacks = (("l", "dft"), ("sa", "sdp")), ((24,), (24, 24))
    expected = [Architecture((Layer(*o, 16, 2, f),)) for o in operations for f in stacks]
    expected += [
        Architecture((Layer(*o1, 16, 2, f1), Layer(*o2, 16, 2, f2)))
        for o1, o2, f1, f2 in itertools.product(operations, operations, stacks, stacks)
    ]
    assert SPACE.size(1) == 20
    assert list(SPACE.enumerate(1)) == expected
    assert [SPACE.architecture_at(1, rank) for rank in range(20)] == expected


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.sampled_from([(MINI, 1), (MINI, 2), (MINI, 3), (FLEXIBERT_2, 1), (FLEXIBERT_2, 3)]), st.data())
def test_neighbouring_ranks_are_distinct_members(case: tuple[DesignSpace, int], data: st.DataObject) -> None:
    space, level = case
    rank = data.draw(st.integers(0, space.size(level) - 2))
    here, after = space.architecture_at(level, rank), space.architecture_at(level, rank + 1)
    assert here != after
    assert space.refusal(here, level) is None
    assert space.refusal(after, level) is None


@pytest.mark.parametrize("rank", [-1, SIZES[3]])
def test_rank_outside_a_level_is_refused(rank: int) -> None:
    with pytest.raises(IndexError, match=rf"rank must be in \[0, {SIZES[3]}\), got {rank}"):
        MINI.architecture_at(3, rank)


@pytest.mark.parametrize("level", [0, 4, -1])
def test_unknown_level_is_refused(level: int) -> None:
    with pytest.raises(InputError, match=rf"flexibert_mini: level must be one of \[1, 2, 3\], got {level}"):
        MINI.size(level)
    with pytest.raises(InputError, match="level must be one of"):
        MINI.sample(level, 1, np.random.default_rng(0))
    with pytest.raises(InputError, match="level must be one of"):
        MINI.refusal(MINI.architecture_at(1, 0), level)


def test_implicit_level_cannot_be_enumerated() -> None:
    with pytest.raises(InputError, match=f"level 3 has {FLEXIBERT_2.size(3)}. Use sample, which needs no list"):
        FLEXIBERT_2.enumerate(3)


@pytest.mark.parametrize("space", [MINI, FLEXIBERT_2])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_samples_are_distinct_members_and_follow_the_seed(space: DesignSpace, level: int) -> None:
    one, same, other = (space.sample(level, 200, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert one == same
    assert one != other
    assert len(set(one)) == 200
    assert all(space.refusal(architecture, level) is None for architecture in one)


def test_equal_seeds_give_equal_samples_in_a_new_process() -> None:
    code = (
        "import numpy; from design_space import DesignSpace; rng = numpy.random.default_rng(3); "
        "print(*(one.id for one in DesignSpace.load('flexibert_2').sample(3, 20, rng)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "5"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [one.id for one in FLEXIBERT_2.sample(3, 20, np.random.default_rng(3))]


def test_sample_as_large_as_the_space_is_all_of_it() -> None:
    for num_samples in (20, 21, 10**9):
        assert SPACE.sample(1, num_samples, np.random.default_rng(0)) == list(SPACE.enumerate(1))
    assert len(set(SPACE.sample(1, 19, np.random.default_rng(0)))) == 19
    assert SPACE.sample(1, 0, np.random.default_rng(0)) == []


@pytest.mark.parametrize("num_samples", [1, 7])
def test_samples_are_uniform(num_samples: int) -> None:
    rng = np.random.default_rng(1)
    counts = Counter(architecture for _ in range(2_000) for architecture in SPACE.sample(1, num_samples, rng))
    observed = [counts[architecture] for architecture in SPACE.enumerate(1)]
    assert sum(observed) == 2_000 * num_samples
    assert stats.chisquare(observed).pvalue > 1e-3


@pytest.mark.parametrize("rules", ["", "  per_model: [hidden_size]\n  monotone: [feed_forward]\n"])
def test_a_hundred_thousand_draws_are_uniform(rules: str) -> None:
    text = SMALL.replace("[16]", "[16, 32, 64]").replace("[24]", "[24, 40]").replace("levels:", f"{rules}levels:")
    space, rng = space_of(text), np.random.default_rng(4)
    number = space.size(1)
    assert 100 < number < 1000
    ranks = Counter(space_module._random_below(number, rng) for _ in range(100_000))
    counts = Counter({space.architecture_at(1, rank): count for rank, count in ranks.items()})
    assert stats.chisquare([counts[architecture] for architecture in space.enumerate(1)]).pvalue > 1e-3


def test_refusals_say_why() -> None:
    even, mixed = Layer("sa", "sdp", 128, 2, (512,)), Layer("sa", "sdp", 128, 2, (512, 1024, 512))
    wide, other = Layer("sa", "sdp", 512, 2, (512,)), Layer("l", "dft", 128, 2, (512,))
    assert MINI.refusal(Architecture((even,) * 3), 1) == "num_layers must be one of [2, 4], got 3"
    assert MINI.refusal(Architecture((even, wide)), 3) == "layer 1: hidden_size must be one of 128, 256, got 512"
    assert MINI.refusal(Architecture((even, other)), 1) == "layer 1: must equal layer 0, 2 layers a stack"
    assert MINI.refusal(Architecture((even, even, even, other)), 1) == "layer 3: must equal layer 2, 2 layers a stack"
    assert MINI.refusal(Architecture((even, other)), 2) is None
    assert str(MINI.refusal(Architecture((mixed, even)), 2)).startswith("layer 0: feed_forward must be one of [512], [")
    assert MINI.refusal(Architecture((mixed, even)), 3) is None


def test_each_form_of_layer_is_refused_by_a_space_of_the_other() -> None:
    uniform = Architecture((Layer("sa", "sdp", 128, 2, (512,)),) * 2)
    mixed = Architecture((MixedLayer((Head("sa", "sdp", 64),) * 2, 128, (512,)),) * 2)
    assert FLEXIBERT_2.refusal(mixed, 1) is None
    assert MINI.refusal(uniform, 1) is None
    assert FLEXIBERT_2.refusal(uniform, 1) == "flexibert_2 has one operation a head"
    assert MINI.refusal(mixed, 1) == "flexibert_mini has one operation a layer"


def test_heads_of_another_width_than_their_share_are_refused() -> None:
    narrow = Architecture((MixedLayer((Head("sa", "sdp", 32),) * 2, 128, (512,)),) * 2)
    refusal = str(FLEXIBERT_2.refusal(narrow, 1))
    assert refusal.startswith("layer 0: heads must be one of sa-sdp+sa-sdp, sa-sdp+sa-wma, ")
    assert refusal.endswith(" … (21805 in all), got sa_sdp_32+sa_sdp_32")


def test_parameter_choices_cover_every_level() -> None:
    choices = MINI.parameter_choices()
    assert choices["num_layers"] == [2, 4]
    assert choices["layer4.hidden_size"] == [128, 256]
    assert choices["layer1.operation"] == ["c-5", "c-9", "l-dct", "l-dft", "sa-sdp", "sa-wma"]
    assert len(choices["layer2.feed_forward"]) == 10
    assert "512-1024-512" in choices["layer2.feed_forward"]
    assert len(choices) == 1 + 4 * 4
