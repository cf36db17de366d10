"""Documents to packed blocks of tokens."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from design_space.errors import InputError
from pretrain.blocks import BlockWriter, map_blocks, write_blocks
from pretrain.distinct import content_hash
from pretrain.tokenizer import end_token_id

HELD_OUT_EVERY = 50
_PARTS = ("train", "held_out")
_BATCH_DOCUMENTS = 1_000
_BATCH_CHARS = 1_000_000
_Document = tuple[int, NDArray[np.int32]]  # content hash, token ids with the end mark


@dataclass(frozen=True)
class PackedCorpus:
    """Blocks of token ids without padding.

    Attributes:
        train: Shape (num_blocks, block_size), int32.
        held_out: Blocks of documents that are in no training block, same form.
    """

    train: NDArray[np.int32]
    held_out: NDArray[np.int32]

    def save(self, folder: Path) -> None:
        """Write both parts into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _PARTS:
            write_blocks(folder / f"{name}.arrow", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map the parts of a folder into memory, read-only.

        Raises:
            InputError: If the folder does not hold a packed corpus.
        """
        try:
            parts = [map_blocks(folder / f"{name}.arrow") for name in _PARTS]
        except (OSError, ValueError):
            raise InputError(
                f"{folder}: must hold a packed corpus (train.arrow, held_out.arrow). Pack it again."
            ) from None
        return cls(*parts)


def pack(
    documents: Iterable[str], tokenizer: PreTrainedTokenizerBase, block_size: int, folder: Path | None = None
) -> PackedCorpus:
    """Tokenise documents and cut them into blocks: start, documents with an end mark after each, no padding.

    A document is held out where its content hash is in the lowest fiftieth, so its part does not depend on the others,
    and copies of it are in the same part. A corpus in which those fill no block holds out the documents of lowest hash
    instead: as few as fill one, at most half, and none where the rest would then fill no training block.

    Args:
        documents: Texts.
        tokenizer: Gives ids, start (bos or cls) and end (eos or sep).
        block_size: Tokens of a block, the start included.
        folder: Receives the corpus, written while the documents come; one that is gone with the arrays where None.

    Returns:
        The packed corpus, mapped from the folder; the tokens that do not fill a last block are left out.

    Raises:
        InputError: If the text does not fill one block.
    """
    if block_size < 2:
        raise InputError(f"corpus: a block must have at least 2 tokens, got {block_size}.")
    if folder is None:
        with tempfile.TemporaryDirectory() as scratch:
            return pack(documents, tokenizer, block_size, Path(scratch))
    folder.mkdir(parents=True, exist_ok=True)
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
    with ExitStack() as stack:
        train, held_out = (
            stack.enter_context(BlockWriter(folder / f"{name}.arrow", int(start), block_size)) for name in _PARTS
        )
        for is_held_out, ids in _split(_tokenised(documents, tokenizer), block_size - 1):
            (held_out if is_held_out else train).add(ids)
        if train.num_tokens < block_size - 1:
            raise InputError(
                f"corpus: must fill at least one block of {block_size} tokens, got {train.num_tokens} tokens. Add text."
            )
    return PackedCorpus.load(folder)


def _tokenised(documents: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[_Document]:
    end = end_token_id(tokenizer)
    for batch in _batches(documents):
        ids = tokenizer(batch, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        for document, row in zip(batch, ids, strict=True):
            yield content_hash(document), np.array([*row, end], dtype=np.int32)


def _batches(documents: Iterable[str]) -> Iterator[list[str]]:
    """Documents in lists of bounded length, and of bounded text: a token takes some hundred bytes while it is made."""
    batch: list[str] = []
    num_chars = 0
    for document in documents:
        batch.append(document)
        num_chars += len(document)
        if len(batch) == _BATCH_DOCUMENTS or num_chars >= _BATCH_CHARS:
            yield batch
            batch, num_chars = [], 0
    if batch:
        yield batch


def _split(documents: Iterator[_Document], block_tokens: int) -> Iterator[tuple[bool, NDArray[np.int32]]]:
    """Say of each document whether it is held out; the first ones wait until both parts fill a block."""
    waiting: list[_Document] = []
    num_tokens = [0, 0]  # training, held out
    for document in documents:
        waiting.append(document)
        num_tokens[_in_lowest_share(document[0])] += len(document[1])
        if min(num_tokens) >= block_tokens:
            break
    else:
        held_out = _lowest(waiting, block_tokens)
        yield from ((number in held_out, ids) for number, ids in waiting)
        return
    yield from ((_in_lowest_share(number), ids) for number, ids in waiting)
    yield from ((_in_lowest_share(number), ids) for number, ids in documents)


def _in_lowest_share(number: int) -> bool:
    return number < 2**64 // HELD_OUT_EVERY


def _lowest(documents: list[_Document], block_tokens: int) -> set[int]:
    """Hashes to hold out of a corpus too small for its lowest fiftieth to fill a block."""
    num_tokens: Counter[int] = Counter()
    for number, ids in documents:
        num_tokens[number] += len(ids)
    lowest: set[int] = set()
    filled = 0
    for number in sorted(num_tokens)[: len(num_tokens) // 2]:
        lowest.add(number)
        filled += num_tokens[number]
        if filled >= block_tokens:
            break
    return lowest if num_tokens.total() - filled >= block_tokens else set()
