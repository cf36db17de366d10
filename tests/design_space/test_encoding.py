"""Feature rows by hand, in range, one for each architecture whatever the level and the batch."""

from pathlib import Path

import numpy as np
import pytest

from design_space import Architecture, DesignSpace, Head, Layer, MixedLayer
from design_space.encoding import encode

MINI, MIXED = DesignSpace.load("flexibert_mini"), DesignSpace.load("flexibert_2")
NUM_COLUMNS, NUM_MIXED_COLUMNS = 6 + 5, 7 + 5
SPACES = pytest.mark.parametrize("space", [MINI, MIXED], ids=["mini", "mixed"])


def test_rows_by_hand() -> None:
    narrow = Layer("sa", "wma", 128, 4, (512,))
    wide = Layer("c", "9", 256, 2, (512, 1024, 1024))
    row = encode(MINI, [Architecture((narrow, wide))])[0].reshape(4, NUM_COLUMNS)
    np.testing.assert_allclose(row[0], [0, 1, 0, 0, 0, 0, -1, 1, -1, -1, 0])
    np.testing.assert_allclose(row[1], [0, 0, 0, 0, 0, 1, 1, -1, 1 / 3, 1, 1])
    assert not row[2:].any()


def test_rows_of_mixed_heads_by_hand() -> None:
    heads = (Head("c", "13", 32), Head("sa", "sdp", 32), Head("sa", "sdp", 32), Head("l", "dct", 32))
    row = encode(MIXED, [Architecture((MixedLayer(heads, 128, (256, 4096)),))])[0].reshape(12, NUM_MIXED_COLUMNS)
    operations = [0.5, 0, 0, 0.25, 0, 0, 0.25]  # sa-sdp, sa-wma, l-dft, l-dct, c-5, c-9, c-13
    num_heads = 2 * np.log2(4 / 2) / np.log2(12 / 2) - 1
    length = 2 * np.log2(2) / np.log2(3) - 1
    np.testing.assert_allclose(row[0], [*operations, -1, num_heads, 0, length, 1])
    assert not row[1:].any()


def test_order_of_heads_changes_nothing_and_that_of_layers_swaps_slots() -> None:
    heads = (Head("sa", "sdp", 64), Head("c", "5", 64))
    one, other = MixedLayer(heads, 128, (256,)), MixedLayer(heads[:1] * 2, 768, (1024, 512))
    turned = MixedLayer(heads[::-1], 128, (256,))
    rows = encode(MIXED, [Architecture((one, other)), Architecture((turned, other)), Architecture((other, one))])
    np.testing.assert_array_equal(rows[0], rows[1])
    slots = rows.reshape(3, 12, NUM_MIXED_COLUMNS)
    np.testing.assert_array_equal(slots[2, :2], slots[0, 1::-1])


def test_a_size_between_two_choices_stands_between_them_on_a_log_scale() -> None:
    layers = [MixedLayer((Head("sa", "sdp", 64),) * 2, 128, (size,)) for size in (256, 512, 1024, 2048, 4096)]
    rows = encode(MIXED, [Architecture((layer,)) for layer in layers])
    np.testing.assert_allclose(rows[:, NUM_MIXED_COLUMNS - 3], [-1, -0.5, 0, 0.5, 1])


def test_empty_list_keeps_the_columns() -> None:
    assert encode(MINI, []).shape == (0, 4 * NUM_COLUMNS)
    assert encode(MIXED, []).shape == (0, 12 * NUM_MIXED_COLUMNS)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_shape_and_range_at_every_level(level: int) -> None:
    for space, num_columns in ((MINI, 4 * NUM_COLUMNS), (MIXED, 12 * NUM_MIXED_COLUMNS)):
        rows = encode(space, space.sample(level, 300, np.random.default_rng(level)))
        assert rows.shape == (300, num_columns)
        assert rows.dtype == np.float64
        assert rows.min() == -1.0
        assert rows.max() == 1.0


@SPACES
def test_operations_of_a_layer_add_up_to_one_and_empty_slots_are_zero(space: DesignSpace) -> None:
    some = space.sample(3, 50, np.random.default_rng(0))
    slots = encode(space, some).reshape(50, max(space.depths), -1)
    shares = slots[:, :, :-5].sum(axis=2)
    exists = np.arange(max(space.depths)) < np.array([len(each.layers) for each in some])[:, None]
    np.testing.assert_allclose(shares, exists)
    assert not slots[~exists].any()


@SPACES
def test_one_architecture_has_one_row_at_every_level_and_in_every_batch(space: DesignSpace) -> None:
    architectures = space.sample(1, 20, np.random.default_rng(0))
    together = encode(space, architectures)
    alone = np.concatenate([encode(space, [architecture]) for architecture in reversed(architectures)])[::-1]
    np.testing.assert_array_equal(together, alone)


def test_rows_of_level_1_are_distinct() -> None:
    rows = encode(MINI, list(MINI.enumerate(1)))
    assert len(np.unique(rows, axis=0)) == 9_312


def test_rows_of_mixed_heads_with_one_feed_forward_size_a_stack_are_distinct() -> None:
    some = MIXED.sample(2, 500, np.random.default_rng(0))
    near = [Architecture((*each.layers[:-1], each.layers[0])) for each in some]
    everything = dict.fromkeys(some + near)
    assert len(np.unique(encode(MIXED, list(everything)), axis=0)) == len(everything)


def test_a_single_choice_stands_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(
        "architecture: {encoder_layers: [1], hidden_size: [16], num_heads: [2], operation_types: [sa],"
        " operation_parameters: {sa: [sdp]}, feed-forward_hidden: [24], number_of_feed-forward_stacks: [2]}\n"
        "levels: [{layers_per_stack: 1, free_feed_forward: true}]\n",
        "utf-8",
    )
    space = DesignSpace.load(path)
    np.testing.assert_array_equal(encode(space, list(space.enumerate(1))), [[1, 0, 0, 0, 0, 0]])
