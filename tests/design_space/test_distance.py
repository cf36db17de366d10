"""Graph edit distance: exact on small graphs, never below the exact one, a metric's symmetry and zero, any depth."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_space import Architecture, DesignSpace, Head, InputError, Layer, MixedLayer
from design_space.distance import EditCosts, Graphs, edit_distances, lower_bounds
from design_space.graph import to_graph

MINI, MIXED = DesignSpace.load("flexibert_mini"), DesignSpace.load("flexibert_2")
COSTS, MIXED_COSTS = EditCosts.of(MINI), EditCosts.of(MIXED)
TOLERANCE = 1e-4
HEADS = ("sa_sdp_64", "sa_wma_64", "l_dft_64", "l_dct_64", "c_5_64", "c_13_64")


def exact(one: Architecture, other: Architecture, costs: EditCosts = COSTS) -> float:
    """The lower of both directions: networkx prunes a little too much in one of them where depths differ."""
    return min(networkx_distance(one, other, costs), networkx_distance(other, one, costs))


def networkx_distance(one: Architecture, other: Architecture, costs: EditCosts) -> float:
    place = costs.positions
    found: float = nx.graph_edit_distance(
        to_graph(one),
        to_graph(other),
        node_subst_cost=lambda a, b: abs(place[a["label"]] - place[b["label"]]),
        node_del_cost=lambda a: place[a["label"]],
        node_ins_cost=lambda a: place[a["label"]],
        edge_subst_cost=lambda a, b: 0.0,
        edge_del_cost=lambda a: costs.edge,
        edge_ins_cost=lambda a: costs.edge,
    )
    return found


def distance(one: Architecture, other: Architecture, costs: EditCosts = COSTS) -> float:
    return float(edit_distances(Graphs([one], costs), Graphs([other], costs))[0, 0])


def layers(num_heads: int = 2, num_feed_forwards: int = 1) -> list[Layer]:
    return [a for a in MINI.layers(1) if (a.num_heads, len(a.feed_forward)) == (num_heads, num_feed_forwards)]


def mixed(*heads: str, feed_forward: tuple[int, ...] = (512,)) -> Architecture:
    return Architecture((MixedLayer(tuple(map(Head.parse, heads)), 128, feed_forward),))


def test_positions_follow_the_published_order_with_a_gap_between_groups() -> None:
    assert COSTS.positions == {
        "input": 0, "output": 1, "add_norm": 2,
        "f512": 4, "f1024": 5,
        "l_h128_p-dft": 7, "l_h128_p-dct": 8, "l_h256_p-dft": 9, "l_h256_p-dct": 10,
        "sa_h128_p-sdp": 12, "sa_h128_p-wma": 13, "sa_h256_p-sdp": 14, "sa_h256_p-wma": 15,
        "c_h128_p-5": 17, "c_h128_p-9": 18, "c_h256_p-5": 19, "c_h256_p-9": 20,
    }  # fmt: skip
    assert COSTS.edge == 0.1


@settings(deadline=None, derandomize=True, database=None, max_examples=12)
@given(st.lists(st.sampled_from(layers(2, 1) + layers(2, 3)), min_size=2, max_size=2))
def test_one_layer_graphs_have_the_exact_distance(pair: list[Layer]) -> None:
    one, other = (Architecture((layer,)) for layer in pair)
    assert distance(one, other) == pytest.approx(exact(one, other), abs=TOLERANCE)


@settings(deadline=None, derandomize=True, database=None, max_examples=8)
@given(st.lists(st.sampled_from(layers()), min_size=4, max_size=4))
def test_two_layer_graphs_have_the_exact_distance(four: list[Layer]) -> None:
    one, other = Architecture(tuple(four[:2])), Architecture(tuple(four[2:]))
    assert distance(one, other) == pytest.approx(exact(one, other), abs=TOLERANCE)


@settings(deadline=None, derandomize=True, database=None, max_examples=4)
@given(st.lists(st.sampled_from(layers()), min_size=3, max_size=3))
def test_graphs_of_other_depth_are_never_below_the_exact_distance_and_close(three: list[Layer]) -> None:
    one, other = Architecture((three[0],)), Architecture(tuple(three[1:]))
    bound, true = distance(one, other), exact(one, other)
    low = lower_bounds(Graphs([one], COSTS), Graphs([other], COSTS))[0, 0]
    assert low - TOLERANCE <= true <= bound + TOLERANCE
    assert bound <= true + 4 * COSTS.edge


def test_a_known_pair_by_hand() -> None:
    base = Layer("sa", "sdp", 128, 2, (512,))
    one = Architecture((base, base))
    # Four heads sdp -> wma: 1 each. One f512 -> f1024: 1. Two more heads of the second layer: 13 and two edges each.
    wma = Layer("sa", "wma", 128, 2, (1024,))
    other = Architecture((wma, Layer("sa", "wma", 128, 4, (512,))))
    assert distance(one, other) == pytest.approx(4 + 1 + 2 * 13 + 4 * 0.1)


def test_swapped_layers_cost_edges_alone() -> None:
    one, other = Layer("sa", "sdp", 128, 2, (512,)), Layer("c", "9", 256, 2, (1024, 1024, 1024))
    swapped = distance(Architecture((one, one, other, other)), Architecture((other, other, one, one)))
    # Three boundaries are cut: each loses and gains its residual (or the output) and, before a layer, two heads' edges.
    assert swapped == pytest.approx(0.1 * 2 * (3 + 3 + 1))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_matrix_is_symmetric_zero_for_equal_ones_alone_and_above_its_lower_bound(level: int) -> None:
    some = MINI.sample(level, 80, np.random.default_rng(level))
    matrix = edit_distances(Graphs(some, COSTS))
    assert matrix.dtype == np.float32
    assert (matrix == matrix.T).all()
    assert (np.diag(matrix) == 0).all()
    assert matrix[~np.eye(len(some), dtype=bool)].min() > 0
    assert (lower_bounds(Graphs(some, COSTS), Graphs(some, COSTS)) <= matrix + TOLERANCE).all()


def test_rows_and_columns_give_the_same_as_the_whole_matrix_up_to_direction() -> None:
    some = MINI.sample(2, 40, np.random.default_rng(4))
    matrix = edit_distances(Graphs(some, COSTS))
    few, all_ = Graphs(some[:7], COSTS), Graphs(some, COSTS)
    part, back = edit_distances(few, all_), edit_distances(all_, few)
    np.testing.assert_allclose(np.minimum(part, back.T), matrix[:7], atol=TOLERANCE)


def test_with_or_without_a_table_of_chains_the_distances_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    some = MINI.sample(2, 60, np.random.default_rng(5))
    with_table = edit_distances(Graphs(some, COSTS))
    monkeypatch.setattr("design_space.distance.kept_edges._MAX_TABLE", 0)
    np.testing.assert_array_equal(edit_distances(Graphs(some, COSTS)), with_table)


def test_blocks_of_heads_do_not_change_the_distances(monkeypatch: pytest.MonkeyPatch):
    some = MINI.sample(2, 60, np.random.default_rng(5))
    at_once = edit_distances(Graphs(some, COSTS))
    monkeypatch.setattr("design_space.distance.kept_edges._MAX_CELLS", 1_000)
    np.testing.assert_array_equal(edit_distances(Graphs(some, COSTS)), at_once)


def test_deep_graphs_keep_the_order_of_layers() -> None:
    layer = Layer("sa", "sdp", 128, 2, (512,))
    other = Layer("sa", "wma", 128, 2, (512,))
    deep = Architecture((layer,) * 12)
    shallow = Architecture((layer,) * 11)
    changed = Architecture((*(layer,) * 5, other, *(layer,) * 6))
    matrix = edit_distances(Graphs([deep, shallow, changed], COSTS))
    one_layer = 2 * COSTS.positions["add_norm"] + 2 * COSTS.positions["sa_h128_p-sdp"] + COSTS.positions["f512"]
    edges = 2 * 2 + 1 + 3  # of the layer that goes
    assert matrix[0, 1] == pytest.approx(one_layer + edges * 0.1, abs=0.2 + TOLERANCE)
    assert matrix[0, 2] == pytest.approx(2 * 1)


@settings(deadline=None, derandomize=True, database=None, max_examples=12)
@given(st.lists(st.lists(st.sampled_from(HEADS), min_size=2, max_size=2), min_size=2, max_size=2))
def test_one_layer_of_two_mixed_heads_is_never_below_the_exact_distance(pair: list[list[str]]) -> None:
    one, other = (mixed(*heads) for heads in pair)
    bound, true = distance(one, other, MIXED_COSTS), exact(one, other, MIXED_COSTS)
    low = lower_bounds(Graphs([one], MIXED_COSTS), Graphs([other], MIXED_COSTS))[0, 0]
    assert low - TOLERANCE <= true <= bound + TOLERANCE
    assert bound <= true + 2 * 4 * MIXED_COSTS.edge + TOLERANCE  # four edges a head
    assert bound == distance(other, one, MIXED_COSTS)


def test_mixed_heads_by_hand() -> None:
    base = mixed("sa_sdp_64", "l_dct_64")
    place = MIXED_COSTS.positions
    assert distance(base, mixed("l_dct_64", "sa_sdp_64"), MIXED_COSTS) == 0
    more = distance(base, mixed("l_dct_64", "sa_sdp_64", "c_5_64"), MIXED_COSTS)
    assert more == pytest.approx(place["c_h128_w64_p-5"] + 2 * 0.1)
    longer = distance(base, mixed("l_dct_64", "sa_sdp_64", feed_forward=(512, 512)), MIXED_COSTS)
    assert longer == pytest.approx(place["f512"] + 3 * 0.1)  # one edge is cut, two come in


def test_a_distance_does_not_hang_on_what_else_is_in_the_matrix() -> None:
    alike, others_alike = mixed("sa_sdp_64", "sa_sdp_64"), mixed("sa_wma_64", "sa_wma_64")
    unlike = mixed("sa_sdp_64", "l_dct_64", "c_5_64", feed_forward=(512, 512, 512))
    together = edit_distances(Graphs([alike, others_alike, unlike], MIXED_COSTS))
    assert together[0, 1] == distance(alike, others_alike, MIXED_COSTS) == 2
    for space, costs in ((MINI, COSTS), (MIXED, MIXED_COSTS)):
        some = space.sample(3, 12, np.random.default_rng(6))
        whole = edit_distances(Graphs(some, costs), Graphs(some, costs))
        alone = [[distance(one, other, costs) for other in some] for one in some]
        np.testing.assert_allclose(whole, alone, atol=TOLERANCE)


@pytest.mark.parametrize("seed", range(3))
def test_mixed_heads_are_symmetric_zero_for_equal_ones_alone_and_above_the_lower_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some = MIXED.sample(seed + 1, 40, rng) + [mixed(*rng.choice(HEADS, size=2)) for _ in range(12)]
    some.append(some[0])
    graphs = Graphs(some, MIXED_COSTS)
    matrix = edit_distances(graphs)
    equal = np.array([[one == other for other in some] for one in some])
    assert (matrix == matrix.T).all()
    assert ((matrix == 0) == equal).all()
    assert (lower_bounds(graphs, graphs) <= matrix * (1 + 1e-6) + TOLERANCE).all()


@pytest.mark.parametrize(("space", "costs"), [(MINI, COSTS), (MIXED, MIXED_COSTS)], ids=["mini", "mixed"])
def test_without_reordering_no_distance_is_below_that_with_it(space: DesignSpace, costs: EditCosts) -> None:
    some = space.sample(2, 60, np.random.default_rng(7))
    some += [Architecture(each.layers[::-1]) for each in some[:20]]
    graphs = Graphs(some, costs)
    free, ordered = edit_distances(graphs), edit_distances(graphs, reorder=False)
    assert (ordered >= free - TOLERANCE).all()
    assert (ordered == ordered.T).all()
    if space is MINI:
        assert (ordered > free + TOLERANCE).any()


def test_reordering_changes_nothing_where_one_layer_has_changed_in_its_place() -> None:
    rng = np.random.default_rng(8)
    for base in MINI.sample(2, 20, rng):
        place = int(rng.integers(len(base.layers)))
        for layer in rng.choice(np.array(layers(), dtype=object), size=4):
            changed = Architecture((*base.layers[:place], layer, *base.layers[place + 1 :]))
            pair = Graphs([base], COSTS), Graphs([changed], COSTS)
            assert edit_distances(*pair, reorder=False)[0, 0] == edit_distances(*pair)[0, 0]


def test_costs_are_configurable() -> None:
    one, other = (Architecture((layer,)) for layer in layers()[:2])
    costs = EditCosts({label: 2 * place for label, place in COSTS.positions.items()}, edge=0.2)
    assert distance(one, other, costs) == pytest.approx(2 * distance(one, other))
    assert distance(one, other, costs) == pytest.approx(exact(one, other, costs), abs=TOLERANCE)


def test_progress_ends_with_all_cells() -> None:
    told: list[tuple[int, int]] = []
    some = Graphs(MINI.sample(1, 20, np.random.default_rng(0)), COSTS)
    edit_distances(some, report=lambda done, total: told.append((done, total)))
    assert told[-1] == (400, 400)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_a_label_without_a_position_is_refused() -> None:
    foreign = Architecture((Layer("sa", "sdp", 64, 2, (512,)),))
    with pytest.raises(InputError, match="a position for every label, has none for 'sa_h64_p-sdp'"):
        Graphs([foreign], COSTS)


def test_no_graphs_make_an_empty_matrix() -> None:
    some, none = Graphs(MINI.sample(1, 3, np.random.default_rng(0)), COSTS), Graphs([], COSTS)
    assert edit_distances(none).shape == (0, 0)
    assert edit_distances(some, none).shape == lower_bounds(some, none).shape == (3, 0)
