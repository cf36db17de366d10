"""Blocks of token ids on disk: written while they come, mapped into memory as one array.

A file is Arrow's IPC format with one record batch, one column of lists of `block_size` int32. With one batch all blocks
are one buffer, so that a mapped file is an array of shape (num_blocks, block_size) of which nothing is read before it
is indexed.
"""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_COLUMN = "input_ids"
_FLUSH_TOKENS = 1 << 18
_COPY_BYTES = 1 << 20


class BlockWriter:
    """Cuts a stream of token ids into blocks and writes them.

    Args:
        path: Of the Arrow file; it is there once the writer has been left without an error.
        start: First token of every block.
        block_size: Tokens of a block, the start included.

    Attributes:
        num_tokens: Taken so far; those that fill no last block are not written.
    """

    def __init__(self, path: Path, start: int, block_size: int) -> None:
        self.num_tokens = 0
        self._path = path
        self._start = start
        self._block_size = block_size
        self._rest: list[NDArray[np.int32]] = []
        self._num_rest = 0
        self._spool = path.with_suffix(".spool")
        self._file = self._spool.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
            self._file.close()
            if kind is None:
                _spool_to_arrow(self._spool, self._path, self._block_size)
        finally:
            self._spool.unlink(missing_ok=True)

    def add(self, ids: NDArray[np.int32]) -> None:
        """Append tokens, (n,)."""
        self._rest.append(ids)
        self._num_rest += len(ids)
        self.num_tokens += len(ids)
        if self._num_rest >= _FLUSH_TOKENS:
            self._flush()

    def _flush(self) -> None:
        width = self._block_size - 1
        ids = np.concatenate([np.empty(0, dtype=np.int32), *self._rest])
        num_blocks = len(ids) // width
        blocks = np.full((num_blocks, self._block_size), self._start, dtype=np.int32)
        blocks[:, 1:] = ids[: num_blocks * width].reshape(num_blocks, width)
        blocks.tofile(self._file)
        self._rest = [ids[num_blocks * width :].copy()]
        self._num_rest = len(self._rest[0])


def write_blocks(path: Path, blocks: NDArray[np.int32]) -> None:
    """Write blocks that are in memory, (num_blocks, block_size)."""
    values = pa.array(np.ascontiguousarray(blocks, dtype=np.int32).ravel())
    batch = pa.record_batch([pa.FixedSizeListArray.from_arrays(values, blocks.shape[1])], names=[_COLUMN])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def map_blocks(path: Path) -> NDArray[np.int32]:
    """Map blocks into memory, read-only.

    Returns:
        Shape (num_blocks, block_size); pages are read from disk as they are indexed.

    Raises:
        OSError: If the file is absent.
        ValueError: If it is no file of blocks, or is not whole.
    """
    batch = _only_batch(pa.memory_map(str(path)).read_buffer())
    block_size = batch.column(0).type.list_size
    if not len(batch):
        return np.empty((0, block_size), dtype=np.int32)
    values = np.frombuffer(batch.column(0).values.buffers()[1], dtype=np.int32, count=len(batch) * block_size)
    return values.reshape(len(batch), block_size)


def _only_batch(file: Any) -> Any:
    reader = pa.ipc.open_file(file)
    kinds = [(field.name, field.type) for field in reader.schema]
    if [name for name, _ in kinds] != [_COLUMN] or reader.num_record_batches != 1:
        raise ValueError(f"must have one batch of one column {_COLUMN!r}")
    if not pa.types.is_fixed_size_list(kinds[0][1]) or kinds[0][1].value_type != pa.int32():
        raise ValueError("must hold lists of one length of int32")
    return reader.get_batch(0)


def _spool_to_arrow(spool: Path, path: Path, block_size: int) -> None:
    """Frame raw blocks as Arrow without having them in memory.

    Arrow writes a batch from one buffer. A buffer mapped from the spool would count as resident memory; zeros that were
    never touched do not, so the batch is written from zeros, and the blocks are copied over them, piece by piece.
    """
    num_blocks = spool.stat().st_size // (4 * block_size)
    write_blocks(path, np.zeros((num_blocks, block_size), dtype=np.int32))
    if not num_blocks:
        return
    with pa.memory_map(str(path)) as mapped:
        whole = mapped.read_buffer()
        offset = _only_batch(whole).column(0).values.buffers()[1].address - whole.address
    with spool.open("rb") as source, path.open("r+b") as target:
        target.seek(offset)
        shutil.copyfileobj(source, target, _COPY_BYTES)
