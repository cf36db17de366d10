import dataclasses
from pathlib import Path

import numpy as np
import pytest

from design_space import Architecture, DesignSpace, Layer
from design_space.constraint import Constraint
from design_space.hierarchy import first_candidates, refine
from design_space.variation import mutations

MINI = DesignSpace.load("flexibert_mini")


def coarse(seed: int, num_samples: int) -> list[Architecture]:
    return MINI.sample(1, num_samples, np.random.default_rng(seed))


def num_layers_changed(one: Architecture, other: Architecture) -> int:
    return sum(a != b for a, b in zip(one.layers, other.layers, strict=True))


def test_first_candidates_are_all_or_a_uniform_sample() -> None:
    assert first_candidates(MINI, 10_000, np.random.default_rng(0)) == list(MINI.enumerate(1))
    sample = first_candidates(MINI, 100, np.random.default_rng(0))
    assert sample == MINI.sample(1, 100, np.random.default_rng(0))
    assert len(set(sample)) == 100


@pytest.mark.parametrize("level", [2, 3])
@pytest.mark.parametrize("limit", [1, 40, 100_000])
def test_refined_candidates_are_distinct_members_within_the_limit(level: int, limit: int) -> None:
    best, neighbors = coarse(0, 3), coarse(1, 4)
    found = refine(MINI, level, best, neighbors, limit, np.random.default_rng(0))
    assert len(set(found)) == len(found)
    assert all(MINI.refusal(architecture, level) is None for architecture in found)
    assert len(found) <= limit
    assert len(found) == limit or limit == 100_000
    allowed = [architecture for architecture in best if MINI.refusal(architecture, level) is None]
    assert len(set(allowed) & set(found)) == min(limit, len(allowed))


def test_what_the_level_does_not_hold_is_left_out() -> None:
    even, free = Layer("sa", "sdp", 128, 2, (512,)), Layer("sa", "sdp", 128, 2, (512, 1024, 512))
    best, neighbor = Architecture((free, even)), Architecture((even, free))
    found = refine(MINI, 2, [best], [neighbor], 10_000, np.random.default_rng(0))
    assert Architecture((even, even)) in found
    assert all(MINI.refusal(architecture, 2) is None for architecture in found)
    assert best in refine(MINI, 3, [best], [neighbor], 10_000, np.random.default_rng(0))


def test_refined_candidates_hold_the_best_and_stay_near_them() -> None:
    best, neighbors = coarse(0, 3), coarse(1, 4)
    found = refine(MINI, 3, best, neighbors, 10**6, np.random.default_rng(0))
    assert set(best) <= set(found)
    parents = [*best, *neighbors]
    around = {step for one in best for step in mutations(MINI, 3, one)}
    assert around <= set(found)
    for architecture in set(found) - around:
        depth = len(architecture.layers)
        assert any(
            all(layer in pair for layer, *pair in zip(architecture.layers, one.layers, two.layers, strict=True))
            for one in best
            for two in parents
            if len(one.layers) == len(two.layers) == depth
        )


def test_around_one_architecture_are_its_one_step_mutations_by_count() -> None:
    layer = Layer("sa", "sdp", 128, 2, (512,))
    one = Architecture((layer, layer))
    found = refine(MINI, 2, [one], [], 10_000, np.random.default_rng(0))
    # Per layer: 5 other operations, 1 hidden size, 1 number of heads, 3 other stacks; itself, and its four layers.
    assert len(found) == 1 + 2 * (5 + 1 + 1 + 3) + 1
    assert Architecture((layer,) * 4) in found
    free = refine(MINI, 3, [one], [], 10_000, np.random.default_rng(0))
    assert len(free) == 1 + 2 * (5 + 1 + 1 + 9) + 1
    assert Architecture((layer, dataclasses.replace(layer, feed_forward=(512, 1024, 512)))) in free
    assert Architecture((layer, dataclasses.replace(layer, hidden_size=256, num_heads=4))) not in free


def test_between_two_architectures_are_all_their_mixes() -> None:
    a, b = Layer("sa", "sdp", 128, 2, (512,)), Layer("c", "9", 256, 4, (1024,) * 3)
    one, other = Architecture((a, a)), Architecture((b, b))
    found = refine(MINI, 2, [one], [other], 10_000, np.random.default_rng(0))
    assert {Architecture((a, b)), Architecture((b, a)), other} <= set(found)
    assert len(found) == 1 + 21 + 3


def test_architectures_of_another_depth_are_not_mixed() -> None:
    a, b = Layer("sa", "sdp", 128, 2, (512,)), Layer("c", "9", 256, 4, (1024,) * 3)
    found = refine(MINI, 2, [Architecture((a, a))], [Architecture((b,) * 4)], 10_000, np.random.default_rng(0))
    assert len(found) == 1 + 21


@pytest.mark.parametrize("limit", [30, 10_000])
def test_refinement_follows_the_seed(limit: int) -> None:
    best, neighbors = coarse(0, 3), coarse(1, 4)
    one, same = (refine(MINI, 2, best, neighbors, limit, np.random.default_rng(5)) for _ in range(2))
    assert one == same
    if limit == 30:
        assert one != refine(MINI, 2, best, neighbors, limit, np.random.default_rng(6))


def test_deep_stacks_are_mixed_without_listing_all_masks(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "design_space" / "spaces" / "flexibert_mini.yaml").read_text("utf-8")
    path = tmp_path / "deep.yaml"
    path.write_text(text.replace("[2, 4]", "[64]", 1), "utf-8")
    space = DesignSpace.load(path)
    one, other = (Architecture((layer,) * 64) for layer in space.layers(2)[:2])
    found = refine(space, 2, [one], [other], 5_000, np.random.default_rng(0))
    mixes = [stack for stack in found if 2 <= num_layers_changed(stack, one) <= 62]
    assert len(mixes) > 1_000
    assert all(set(stack.layers) == {one.layers[0], other.layers[0]} for stack in mixes)


def test_refinement_keeps_the_rules_and_limits_of_the_space() -> None:
    bench = DesignSpace.load("nas_bench_bert").within([Constraint.parse("params <= 15e6")])
    best = bench.sample(1, 3, np.random.default_rng(0))
    found = refine(bench, 2, best, bench.sample(1, 4, np.random.default_rng(1)), 10_000, np.random.default_rng(0))
    assert set(best) < set(found)
    assert all(len({layer.hidden_size for layer in one.layers}) == 1 for one in found)
    assert all(bench.refusal(one, 2) is None for one in found)


def test_mixed_heads_are_refined_within_the_limit() -> None:
    space = DesignSpace.load("flexibert_2").within([Constraint.parse("layers <= 4")])
    best = space.sample(1, 2, np.random.default_rng(0))
    found = refine(space, 2, best, [], 500, np.random.default_rng(0))
    assert len(set(found)) == len(found) == 500
    assert set(best) <= set(found)
    assert all(space.refusal(one, 2) is None for one in found)
