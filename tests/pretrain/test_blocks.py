"""Blocks on disk: what is written comes back as one array, mapped and not read; what is no such file is refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from pretrain import blocks as blocks_module
from pretrain.blocks import BlockWriter, map_blocks, write_blocks


def ids(*values: int) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def test_a_stream_is_cut_into_blocks_with_their_start(tmp_path: Path):
    with BlockWriter(tmp_path / "a.arrow", 9, 4) as writer:
        for part in (ids(1, 2), ids(), ids(3, 4, 5, 6, 7)):
            writer.add(part)
    assert writer.num_tokens == 7
    assert map_blocks(tmp_path / "a.arrow").tolist() == [[9, 1, 2, 3], [9, 4, 5, 6]]
    assert [path.name for path in tmp_path.iterdir()] == ["a.arrow"]


@pytest.mark.parametrize("flush_tokens", [1, 5, 1_000, 10**9])
def test_the_blocks_do_not_depend_on_when_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flush_tokens: int
):
    monkeypatch.setattr(blocks_module, "_FLUSH_TOKENS", flush_tokens)
    stream = np.random.default_rng(0).integers(0, 2**31 - 1, 5_000).astype(np.int32)
    with BlockWriter(tmp_path / "a.arrow", 7, 9) as writer:
        for part in np.array_split(stream, 300):
            writer.add(part)
    found = map_blocks(tmp_path / "a.arrow")
    assert (found[:, 0] == 7).all()
    np.testing.assert_array_equal(found[:, 1:].ravel(), stream)


@pytest.mark.parametrize("num_blocks", [0, 1, 1_000])
def test_written_and_mapped_blocks_are_equal(tmp_path: Path, num_blocks: int):
    given = np.random.default_rng(1).integers(-(2**31), 2**31 - 1, (num_blocks, 5)).astype(np.int32)
    write_blocks(tmp_path / "a.arrow", given)
    found = map_blocks(tmp_path / "a.arrow")
    assert found.shape == (num_blocks, 5)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, given)


def test_a_writer_that_took_nothing_leaves_no_blocks(tmp_path: Path):
    with BlockWriter(tmp_path / "a.arrow", 0, 4):
        pass
    assert map_blocks(tmp_path / "a.arrow").shape == (0, 4)


def test_the_file_is_one_that_arrow_reads(tmp_path: Path):
    write_blocks(tmp_path / "a.arrow", np.arange(12, dtype=np.int32).reshape(3, 4))
    table = pa.ipc.open_file(tmp_path / "a.arrow").read_all()
    assert table.column("input_ids").to_pylist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_rows_and_slices_are_views_of_the_file(tmp_path: Path):
    write_blocks(tmp_path / "a.arrow", np.zeros((100, 4), dtype=np.int32))
    before = pa.total_allocated_bytes()
    found = map_blocks(tmp_path / "a.arrow")
    assert pa.total_allocated_bytes() == before
    for part in (found[3], found[10:90:7], found[:, 1:]):
        assert np.shares_memory(part, found)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1


def test_nothing_is_left_after_an_error(tmp_path: Path):
    def write() -> None:
        with BlockWriter(tmp_path / "a.arrow", 0, 4) as writer:
            writer.add(ids(1, 2, 3))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_mapped_file_outlives_its_name(tmp_path: Path):
    write_blocks(tmp_path / "a.arrow", np.arange(8, dtype=np.int32).reshape(2, 4))
    found = map_blocks(tmp_path / "a.arrow")
    (tmp_path / "a.arrow").unlink()
    assert found.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_refuses_a_file_that_was_cut_short(tmp_path: Path, kept: float):
    write_blocks(tmp_path / "a.arrow", np.zeros((100, 4), dtype=np.int32))
    content = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(content[: int(kept * len(content))])
    with pytest.raises((ValueError, OSError)):
        map_blocks(tmp_path / "a.arrow")


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"input_ids": [[1, 2], [3]]}),
        pa.table({"text": ["a"]}),
        pa.table({"input_ids": pa.array([[1, 2]], pa.list_(pa.int64(), 2))}),
    ],
)
def test_refuses_another_table(tmp_path: Path, table: pa.Table):
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ValueError, match="must h"):
        map_blocks(tmp_path / "a.arrow")
