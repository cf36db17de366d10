from collections.abc import Sequence
from operator import eq
from pathlib import Path

import numpy as np
import pytest

from boshnas import space_source
from boshnas.errors import InputError
from boshnas.space_source import SpaceSource
from design_space.architecture import Architecture, layer_parameters
from design_space.constraint import Constraint
from design_space.counts import num_parameters
from design_space.model.presets import preset
from design_space.neighbors import overlap
from design_space.space import DesignSpace

SHALLOW = Constraint.parse("layers<=2")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> DesignSpace:
    path: Path = tmp_path_factory.mktemp("space") / "tiny.yaml"
    path.write_text(tiny_text.replace("hidden: [64]", "hidden: [64, 128]"))
    return DesignSpace.load(path)


def scores(source: SpaceSource, ids: Sequence[str]) -> dict[str, float]:
    """Scores that differ: the wider the better."""
    return {id_: float(num_parameters(source.architectures[id_])) + row for row, id_ in enumerate(ids)}


def walked(space: DesignSpace, constraints: Sequence[Constraint] = (), seed: int = 0) -> tuple[SpaceSource, list]:
    """A source with all its levels opened in order, and the candidates of each."""
    source = SpaceSource(space.within(constraints), seed)
    levels = [list(source.open_level(1, {}))]
    known = scores(source, levels[0][5:25:4])
    for level in (2, 3):
        levels.append(list(source.open_level(level, known)))
        known |= scores(source, levels[-1][3:30:9])
    return source, levels


def test_level_one_is_all_of_it_and_fills_the_pool(space: DesignSpace):
    source = SpaceSource(space, 0)
    ids = source.open_level(1, {})
    assert len(ids) == space.size(1) == len(source.pool)
    assert set(ids) == {architecture.id for architecture in space.enumerate(1)}
    assert list(ids) == source.pool.ids


def test_a_large_level_one_is_a_sample_that_the_seed_decides(space: DesignSpace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(space_source, "MAX_CANDIDATES", 30)
    one, same, other = (set(SpaceSource(space, seed).open_level(1, {})) for seed in (0, 0, 1))
    assert len(one) == 30
    assert one == same != other


def test_finer_levels_are_members_of_their_level_and_in_the_pool(space: DesignSpace):
    source, levels = walked(space)
    for level, ids in enumerate(levels, start=1):
        assert ids
        assert len(ids) == len(set(ids)) <= 2000 + space.size(1)
        for id_ in ids:
            assert space.refusal(source.architectures[id_], level) is None
            assert id_ in source.pool
    new = set(levels[1]) - set(levels[0])
    assert any(space.refusal(source.architectures[id_], 1) is not None for id_ in new)
    assert any(len(set(layer.feed_forward)) > 1 for id_ in levels[2] for layer in source.architectures[id_].layers), (
        "level 3 frees the sizes of one feed-forward stack"
    )


def test_a_finer_level_holds_one_layer_changes_of_the_best_and_none_of_the_worst(space: DesignSpace):
    source = SpaceSource(space, 0)
    first = list(source.open_level(1, {}))
    deep = [id_ for id_ in first if len(source.architectures[id_].layers) == 4]
    best, others = deep[:3], deep[-1]
    found = source.open_level(2, dict.fromkeys(best, 80.0) | {others: 10.0})
    depth_four = [source.architectures[id_] for id_ in found if len(source.architectures[id_].layers) == 4]

    def most_equal_layers(id_: str) -> int:
        layers = source.architectures[id_].layers
        return max(sum(map(eq, layers, other.layers)) for other in depth_four if other.layers != layers)

    assert [most_equal_layers(id_) for id_ in best] == [3, 3, 3]
    assert others not in found


def test_refined_levels_are_capped(space: DesignSpace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(space_source, "MAX_REFINED", 25)
    _, levels = walked(space)
    assert [len(ids) for ids in levels[1:]] == [25, 25]


def test_candidates_are_within_the_constraints_at_every_level(space: DesignSpace):
    constraints = [SHALLOW, Constraint.parse("params<=3.3e6")]
    source, levels = walked(space, constraints)
    for ids in levels:
        assert ids
        for id_ in ids:
            assert len(source.architectures[id_].layers) <= 2
            assert num_parameters(source.architectures[id_]) <= 3.3e6
    assert len(levels[0]) < space.size(1)


def test_infeasible_constraints_are_refused(space: DesignSpace):
    with pytest.raises(InputError, match="no architecture of level 1 is within the limits"):
        SpaceSource(space.within([Constraint.parse("params<=10")]), 0)


def test_the_same_seed_and_scores_give_the_same_candidates_in_the_same_order(space: DesignSpace):
    (one, first), (two, second) = walked(space), walked(space)
    assert first == second
    assert one.pool.ids == two.pool.ids
    assert np.array_equal(one.pool.X, two.pool.X)


def test_a_level_opens_also_where_nothing_has_a_score(space: DesignSpace):
    ids = SpaceSource(space, 0).open_level(2, {})
    assert ids
    assert list(ids) == list(SpaceSource(space, 0).open_level(2, {}))


def test_scores_from_outside_the_pool_are_left_out(space: DesignSpace):
    one, two = SpaceSource(space, 0), SpaceSource(space, 0)
    one.add([preset("bert_mini")])
    known = scores(one, one.pool.ids[:4])
    assert list(one.open_level(2, known | {preset("bert_mini").id: 1e9})) == list(two.open_level(2, known))


def test_a_baseline_joins_the_pool_where_the_space_has_it(space: DesignSpace):
    source = SpaceSource(space.within([SHALLOW]), 0)
    inside = next(a for a in space.enumerate(2) if len(a.layers) == 4)
    num_before = len(source.pool)
    source.add([inside, inside])
    source.add([inside, preset("bert_mini")])
    assert len(source.pool) == num_before + 1
    assert inside.id in source.pool
    assert preset("bert_mini").id not in source.pool
    assert inside.id not in source.open_level(1, {})


def test_describe_gives_the_model_dict_and_parameters_that_the_store_accepts(space: DesignSpace):
    source, levels = walked(space)
    choices = space.parameter_choices()
    for id_ in (levels[0][0], levels[1][-1], levels[2][-1]):
        candidate = source.describe(id_)
        architecture = Architecture.from_model_dict(candidate.architecture)
        assert architecture.id == id_
        assert candidate.parameters == layer_parameters(architecture)
        assert all(value in choices[name] for name, value in candidate.parameters.items())


def test_describe_tells_the_memory_where_it_can_be_reckoned(space: DesignSpace):
    source = SpaceSource(space, 0, memory_bytes=num_parameters)
    for id_ in source.pool.ids[:3]:
        assert source.describe(id_).memory_bytes == num_parameters(source.architectures[id_])
        assert SpaceSource(space, 0).describe(id_).memory_bytes is None


def test_describe_leaves_out_the_parameters_that_the_space_lacks(space: DesignSpace):
    source = SpaceSource(space, 0)
    source.add([preset("bert_mini")])
    candidate = source.describe(preset("bert_mini").id)
    assert candidate.architecture == preset("bert_mini").to_model_dict()
    assert candidate.parameters == {}


def test_the_parent_is_the_trained_one_with_the_greatest_overlap_of_at_least_080(space: DesignSpace):
    source, levels = walked(space)
    trained = levels[0] + levels[1][:200]
    num_found = 0
    for id_ in levels[2][:60]:
        others = [other for other in trained if other != id_]
        overlaps = [overlap(source.architectures[other], source.architectures[id_]) for other in others]
        found = source.parent(id_, others)
        if max(overlaps) < 0.8:
            assert found is None
        else:
            num_found += 1
            assert found is not None
            assert found[1] == max(overlaps)
            assert found[0] == others[overlaps.index(max(overlaps))]
    assert num_found
    assert source.parent(levels[0][0], []) is None


def test_overlap_counts_blocks_from_the_input_on(space: DesignSpace):
    source = SpaceSource(space, 0)
    target = next(a for a in space.enumerate(1) if len(a.layers) == 4)
    layer = target.layers[0]
    last = next(other for other in space.layers(2) if other.hidden_size != layer.hidden_size)
    near, far = Architecture((*target.layers[:3], last)), Architecture((last, *target.layers[1:]))
    source.add([near, far])
    assert source.parent(target.id, [far.id]) is None
    assert source.parent(target.id, [near.id]) is None  # six of eight blocks
    sized = next(
        o
        for o in space.layers(2)
        if o.hidden_size == layer.hidden_size
        and o.operation == layer.operation
        and o.feed_forward != layer.feed_forward
    )
    nearer = Architecture((*target.layers[:3], sized))
    source.add([nearer])
    assert source.parent(target.id, [far.id, near.id, nearer.id]) == (nearer.id, 7 / 8)


def test_local_search_passes_members_of_the_open_level(space: DesignSpace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(space_source, "MAX_CANDIDATES", 30)
    source = SpaceSource(space, 0)
    first = source.open_level(1, {})
    found = source.neighbors(first[:2])
    assert set(found) - set(first)
    for id_ in found:
        assert space.refusal(source.architectures[id_], 1) is None
        assert id_ in source.pool
    assert len(source.neighbors(found[:1])) > 0


def test_a_level_that_is_listed_whole_needs_no_local_search(space: DesignSpace):
    source = SpaceSource(space, 0)
    first = source.open_level(1, {})
    assert source.neighbors(first[:2]) == []
    finer = source.open_level(2, scores(source, first[:5]))
    assert source.neighbors(finer[:2])


def test_what_local_search_adds_does_not_change_the_next_level(space: DesignSpace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(space_source, "MAX_CANDIDATES", 30)
    plain, searched = SpaceSource(space, 0), SpaceSource(space, 0)
    known = scores(plain, plain.open_level(1, {})[:5])
    searched.neighbors(searched.open_level(1, {})[:8])
    assert plain.open_level(2, known) == searched.open_level(2, known)
