from pathlib import Path

import numpy as np
import pytest

from design_space import Architecture, DesignSpace, Layer
from design_space.embedding import encode

MINI = DesignSpace.load("flexibert_mini")
NUM_COLUMNS = 6 + 5


def test_rows_by_hand() -> None:
    narrow = Layer("sa", "wma", 128, 4, (512,))
    wide = Layer("c", "9", 256, 2, (512, 1024, 1024))
    row = encode(MINI, [Architecture((narrow, wide))])[0].reshape(4, NUM_COLUMNS)
    np.testing.assert_allclose(row[0], [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(row[1], [0, 0, 0, 0, 0, 1, 1, 0, 2 / 3, 1, 1])
    assert not row[2:].any()


def test_empty_list_keeps_the_columns() -> None:
    assert encode(MINI, []).shape == (0, 4 * NUM_COLUMNS)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_shape_and_range_at_every_level(level: int) -> None:
    rows = encode(MINI, MINI.sample(level, 300, np.random.default_rng(level)))
    assert rows.shape == (300, 4 * NUM_COLUMNS)
    assert rows.dtype == np.float64
    assert rows.min() == 0.0
    assert rows.max() == 1.0


def test_one_architecture_has_one_row_at_every_level_and_in_every_batch() -> None:
    architectures = MINI.sample(1, 20, np.random.default_rng(0))
    together = encode(MINI, architectures)
    alone = np.concatenate([encode(MINI, [architecture]) for architecture in reversed(architectures)])[::-1]
    np.testing.assert_array_equal(together, alone)


def test_rows_of_level_1_are_distinct() -> None:
    rows = encode(MINI, list(MINI.enumerate(1)))
    assert len(np.unique(rows, axis=0)) == 9_312


def test_a_single_choice_stands_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(
        "architecture: {encoder_layers: [1], hidden_size: [16], num_heads: [2], operation_types: [sa],"
        " operation_parameters: {sa: [sdp]}, feed-forward_hidden: [24], number_of_feed-forward_stacks: [2]}\n"
        "levels: [{layers_per_stack: 1, free_feed_forward: true}]\n",
        "utf-8",
    )
    space = DesignSpace.load(path)
    np.testing.assert_array_equal(encode(space, list(space.enumerate(1))), [[1, 0.5, 0.5, 0.5, 0.5, 0]])
