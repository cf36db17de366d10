"""The order in which blocks are read."""

import numpy as np
import pytest

from pretrain.reading import HeldOutBlocks, TrainingBlocks


def rows(num_blocks: int = 7) -> np.ndarray:
    return np.arange(num_blocks * 3, dtype=np.int32).reshape(num_blocks, 3)


def read(blocks: TrainingBlocks, places: range) -> list[int]:
    """Rows that come at some places."""
    return [int(blocks[place].input_ids[0]) // 3 for place in places]


def test_every_pass_reads_each_block_once_in_another_order():
    blocks = TrainingBlocks(rows(), 100, seed=0)
    first, second = read(blocks, range(7)), read(blocks, range(7, 14))
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second


def test_a_reading_goes_on_where_it_stopped():
    whole, rest = TrainingBlocks(rows(), 100, seed=0), TrainingBlocks(rows(), 100, seed=0, start=11)
    assert read(whole, range(11, 30)) == read(rest, range(19))
    assert [rest[place].index for place in range(3)] == [11, 12, 13]


def test_the_seed_decides_the_order():
    assert read(TrainingBlocks(rows(50), 100, seed=0), range(50)) != read(TrainingBlocks(rows(50), 100, 1), range(50))


def test_held_out_blocks_come_in_their_order():
    blocks = HeldOutBlocks(rows())
    assert len(blocks) == 7
    assert [int(blocks[place].input_ids[0]) for place in range(7)] == [0, 3, 6, 9, 12, 15, 18]


@pytest.mark.parametrize("length", [1, 2**31])
def test_the_length_is_that_of_the_run(length: int):
    assert len(TrainingBlocks(rows(), length, seed=0)) == length
