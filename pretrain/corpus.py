"""Text files to packed blocks of tokens."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from design_space.errors import InputError
from pretrain import demo

SUFFIXES = (".txt", ".jsonl")
NUM_DEMO_SENTENCES = 20_000
HELD_OUT_EVERY = 50
_BATCH = 1_000


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
        np.save(folder / "train.npy", self.train, allow_pickle=False)
        np.save(folder / "held_out.npy", self.held_out, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map the parts of a folder into memory, read-only.

        Raises:
            InputError: If the folder does not hold a packed corpus.
        """
        try:
            parts = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("train", "held_out")]
        except (OSError, ValueError, EOFError):
            raise InputError(f"{folder}: must hold a packed corpus (train.npy, held_out.npy). Pack it again.") from None
        return cls(*parts)


def read_documents(paths: Sequence[str]) -> Iterator[str]:
    """Documents of some files and folders, in order.

    Args:
        paths: `.txt` files (one document a line), `.jsonl` files (the field `text`), folders of these, or "demo" for
            sentences of the synthetic grammar.

    Yields:
        Documents without surrounding white space; empty lines are skipped.

    Raises:
        InputError: If a path does not exist, is of another kind, or is not UTF-8 text.
    """
    for path in paths:
        if path == "demo":
            yield from demo.corpus(NUM_DEMO_SENTENCES)
        for file in corpus_files([path]):
            yield from _read_file(file)


def corpus_files(paths: Sequence[str]) -> list[Path]:
    """The files that `read_documents` would read, none for "demo".

    Raises:
        InputError: If a path does not exist or is of another kind.
    """
    return [file for path in paths if path != "demo" for file in _files(Path(path))]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        if not files:
            raise InputError(f"{path}: must hold {' or '.join(SUFFIXES)} files, holds none.")
        return files
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder. Give text files, a folder of them, or 'demo'.")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: must end in {' or '.join(SUFFIXES)}.")
    return [path]


def _read_file(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                text = _jsonl_text(line, path, number) if path.suffix == ".jsonl" else line
                if text.strip():
                    yield text.strip()
    except UnicodeDecodeError:
        raise InputError(f"{path}: must be UTF-8 text, is not. Convert it first.") from None


def _jsonl_text(line: str, path: Path, number: int) -> str:
    if not line.strip():
        return ""
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: line {number} must be a JSON object with the field 'text'.") from None
    if not isinstance(text, str):
        raise InputError(f"{path}: line {number}: 'text' must be text, got {text!r:.40}.")
    return text


def pack(documents: Iterable[str], tokenizer: PreTrainedTokenizerBase, block_size: int) -> PackedCorpus:
    """Tokenise documents and cut them into blocks: start, documents with an end mark after each, no padding.

    Every 50th document is held out.

    Args:
        documents: Texts.
        tokenizer: Gives ids, start (bos or cls) and end (eos or sep).
        block_size: Tokens of a block, the start included.

    Returns:
        The packed corpus; the tokens that do not fill a last block are left out.

    Raises:
        InputError: If the text does not fill one block.
    """
    if block_size < 2:
        raise InputError(f"corpus: a block must have at least 2 tokens, got {block_size}.")
    parts: tuple[list[int], list[int]] = ([], [])
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
    for number, ids in enumerate(_token_ids(documents, tokenizer)):
        part = parts[number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1]
        part.extend(ids)
        part.append(int(end))
    train, held_out = (_blocks(part, int(start), block_size) for part in parts)
    if not len(train):
        raise InputError(
            f"corpus: must fill at least one block of {block_size} tokens, got {len(parts[0])} tokens. Add text."
        )
    return PackedCorpus(train, held_out)


def _token_ids(documents: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
    batch: list[str] = []
    for document in documents:
        batch.append(document)
        if len(batch) == _BATCH:
            yield from tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]
            batch = []
    if batch:
        yield from tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]


def _blocks(ids: list[int], start: int, block_size: int) -> NDArray[np.int32]:
    num_blocks = len(ids) // (block_size - 1)
    body = np.array(ids[: num_blocks * (block_size - 1)], dtype=np.int32).reshape(num_blocks, block_size - 1)
    return np.concatenate([np.full((num_blocks, 1), start, dtype=np.int32), body], axis=1)
