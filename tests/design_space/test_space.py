from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from design_space import Architecture, DesignSpace, InputError, Layer

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
SIZES = {1: 9_312, 2: 84_943_872, 3: 3_317_817_600}


@pytest.fixture
def small(tmp_path: Path) -> DesignSpace:
    """4 layers, so 4 + 16 architectures."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, "utf-8")
    return DesignSpace.load(path)


def test_published_sizes() -> None:
    assert {level: MINI.size(level) for level in MINI.levels} == SIZES


def test_number_of_layers_of_each_level() -> None:
    # 6 operations, 2 hidden sizes, 2 heads; 4 equal stacks, then 2 + 8 free ones.
    assert [len(set(MINI.layers(level))) for level in MINI.levels] == [6 * 4 * 4, 6 * 4 * 4, 6 * 4 * 10]


def test_level_1_holds_as_many_distinct_members_as_its_size() -> None:
    architectures = list(MINI.enumerate(1))
    assert len({architecture.id for architecture in architectures}) == len(architectures) == SIZES[1]
    assert all(MINI.refusal(architecture, 1) is None for architecture in architectures)


def test_levels_are_nested() -> None:
    rng = np.random.default_rng(0)
    for architecture in MINI.sample(1, 50, rng):
        assert MINI.refusal(architecture, 2) is None
    for architecture in MINI.sample(2, 50, rng):
        assert MINI.refusal(architecture, 3) is None


def test_order_of_a_small_space_by_hand(small: DesignSpace) -> None:
    layers = [Layer(o, p, 16, 2, f) for o, p in (("l", "dft"), ("sa", "sdp")) for f in ((24,), (24, 24))]
    expected = [Architecture((one,)) for one in layers]
    expected += [Architecture((one, two)) for one in layers for two in layers]
    assert small.size(1) == 20
    assert list(small.enumerate(1)) == expected
    assert [small.architecture_at(1, index) for index in range(20)] == expected


def test_layers_of_a_stack_are_equal_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "stacks.yaml"
    path.write_text(SMALL.replace("[2, 1]", "[4]").replace("stack: 1", "stack: 2"), "utf-8")
    space = DesignSpace.load(path)
    layers = space.layers(1)
    expected = [Architecture((one, one, two, two)) for one in layers for two in layers]
    assert list(space.enumerate(1)) == expected


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.sampled_from([1, 2, 3]), st.data())
def test_neighbouring_ranks_are_distinct_members(level: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, SIZES[level] - 2))
    here, after = MINI.architecture_at(level, index), MINI.architecture_at(level, index + 1)
    assert here != after
    assert MINI.refusal(here, level) is None
    assert MINI.refusal(after, level) is None


@pytest.mark.parametrize("index", [-1, SIZES[3]])
def test_rank_outside_a_level_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=rf"index must be in \[0, {SIZES[3]}\), got {index}"):
        MINI.architecture_at(3, index)


@pytest.mark.parametrize("level", [0, 4, -1])
def test_unknown_level_is_refused(level: int) -> None:
    with pytest.raises(InputError, match=rf"flexibert_mini: level must be one of \[1, 2, 3\], got {level}"):
        MINI.size(level)
    with pytest.raises(InputError, match="level must be one of"):
        MINI.sample(level, 1, np.random.default_rng(0))
    with pytest.raises(InputError, match="level must be one of"):
        MINI.refusal(MINI.architecture_at(1, 0), level)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_samples_are_distinct_members_and_follow_the_seed(level: int) -> None:
    one, same, other = (MINI.sample(level, 200, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert one == same
    assert one != other
    assert len(set(one)) == 200
    assert all(MINI.refusal(architecture, level) is None for architecture in one)


def test_sample_as_large_as_the_space_is_all_of_it(small: DesignSpace) -> None:
    for num_samples in (20, 21, 10**9):
        assert small.sample(1, num_samples, np.random.default_rng(0)) == list(small.enumerate(1))
    assert len(set(small.sample(1, 19, np.random.default_rng(0)))) == 19
    assert small.sample(1, 0, np.random.default_rng(0)) == []


@pytest.mark.parametrize("num_samples", [1, 7])
def test_samples_are_uniform(small: DesignSpace, num_samples: int) -> None:
    rng = np.random.default_rng(1)
    counts = Counter(architecture for _ in range(2_000) for architecture in small.sample(1, num_samples, rng))
    observed = [counts[architecture] for architecture in small.enumerate(1)]
    assert sum(observed) == 2_000 * num_samples
    assert stats.chisquare(observed).pvalue > 1e-3


def test_samples_of_a_large_level_spread_over_its_ranks() -> None:
    samples = MINI.sample(3, 2_000, np.random.default_rng(2))
    assert all(len(architecture.layers) == 4 for architecture in samples)  # 2 layers: 57,600 of 3.3e9
    first = Counter(architecture.layers[0] for architecture in samples)
    assert stats.chisquare([first[layer] for layer in MINI.layers(3)]).pvalue > 1e-3


def test_refusals_say_why() -> None:
    even, mixed = Layer("sa", "sdp", 128, 2, (512,)), Layer("sa", "sdp", 128, 2, (512, 1024, 512))
    wide, other = Layer("sa", "sdp", 512, 2, (512,)), Layer("l", "dft", 128, 2, (512,))
    assert MINI.refusal(Architecture((even,) * 3), 1) == "num_layers must be one of [2, 4], got 3"
    assert MINI.refusal(Architecture((even, wide)), 3) == (
        f"layer 1: {wide} is not among the layers of level 3 of flexibert_mini"
    )
    assert MINI.refusal(Architecture((even, other)), 1) == "layer 1: must equal layer 0, 2 layers a stack"
    assert MINI.refusal(Architecture((even, even, even, other)), 1) == "layer 3: must equal layer 2, 2 layers a stack"
    assert MINI.refusal(Architecture((even, other)), 2) is None
    assert "layer 0" in str(MINI.refusal(Architecture((mixed, even)), 2))
    assert MINI.refusal(Architecture((mixed, even)), 3) is None


def test_parameter_choices_cover_every_level() -> None:
    choices = MINI.parameter_choices()
    assert choices["num_layers"] == [2, 4]
    assert choices["layer4.hidden_size"] == [128, 256]
    assert choices["layer1.operation"] == ["c-5", "c-9", "l-dct", "l-dft", "sa-sdp", "sa-wma"]
    assert len(choices["layer2.feed_forward"]) == 10
    assert "512-1024-512" in choices["layer2.feed_forward"]
    assert len(choices) == 1 + 4 * 4
