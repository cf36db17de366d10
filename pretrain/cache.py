"""Tokenised corpora and trained tokenizers, kept: what was made once from the same content is opened again.

An entry is a folder named by the hash of all that decides its content, and is there whole or not at all. What is in it
can be deleted at any time.
"""

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from transformers import PreTrainedTokenizerBase

from design_space.errors import InputError
from pretrain.corpus import PackedCorpus, pack
from pretrain.hub import HubSet
from pretrain.mixture import Mixture
from pretrain.progress import counted
from pretrain.tokenizer import TokenizerKind, load_tokenizer, tokenizer_digest, train_tokenizer

FORMAT = 1  # of the blocks, the split and the reading of files; another number makes all entries anew
_KEY_FILE = "key.json"
_ABANDONED_S = 7 * 86_400
_logger = logging.getLogger(__name__)
_T = TypeVar("_T")


def packed(
    mixture: Mixture,
    tokenizer: PreTrainedTokenizerBase,
    block_size: int,
    cache_dir: Path | None = None,
    progress: bool = True,
) -> PackedCorpus:
    """The packed corpus of a mixture: opened where it was packed before, else packed now.

    Args:
        mixture: Its documents.
        tokenizer: Of the corpus.
        block_size: Tokens of a block.
        cache_dir: Where corpora are kept; `default_cache_dir` where None.
        progress: Tell on stderr how far it is.

    Returns:
        Mapped from the cache.

    Raises:
        InputError: If a source cannot be read, the text does not fill a block, or the folder cannot be written.
    """
    cache_dir = cache_dir or default_cache_dir()
    key = {"corpus": _mixture_key(mixture, cache_dir), "tokenizer": tokenizer_digest(tokenizer), "block": block_size}
    documents = counted(mixture, "tokenising") if progress else mixture

    def write(folder: Path) -> None:
        pack(documents, tokenizer, block_size, folder)

    return _kept(cache_dir, key, write, PackedCorpus.load)


def trained_tokenizer(
    mixture: Mixture,
    vocab_size: int,
    kind: TokenizerKind = "bpe",
    lowercase: bool = False,
    cache_dir: Path | None = None,
    progress: bool = True,
) -> PreTrainedTokenizerBase:
    """The tokenizer of a mixture: opened where it was trained before, else trained now.

    Args:
        mixture: What to learn from.
        vocab_size: See `train_tokenizer`, as for the two that follow.
        kind: "bpe" or "wordpiece".
        lowercase: For "wordpiece" alone.
        cache_dir: Where tokenizers are kept; `default_cache_dir` where None.
        progress: Tell on stderr how far it is.

    Raises:
        InputError: If a source cannot be read, an option is wrong, or the folder cannot be written.
    """
    cache_dir = cache_dir or default_cache_dir()
    key = {"corpus": _mixture_key(mixture, cache_dir), "kind": kind, "size": vocab_size, "lowercase": lowercase}
    documents = counted(mixture, "learning a vocabulary") if progress else mixture

    def write(folder: Path) -> None:
        train_tokenizer(documents, vocab_size, kind=kind, lowercase=lowercase).save_pretrained(folder)

    return _kept(cache_dir, key, write, load_tokenizer)


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/boshnas/corpora`, or the same under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "boshnas" / "corpora"


def _kept(cache_dir: Path, key: dict[str, Any], write: Callable[[Path], None], load: Callable[[Path], _T]) -> _T:
    """What an entry holds; it is written first where it is not there or not whole."""
    text = json.dumps(key | {"format": FORMAT}, indent=1, sort_keys=True)
    entry = cache_dir / blake2b(text.encode(), digest_size=16).hexdigest()
    if entry.exists():
        try:
            return load(entry)
        except InputError as error:
            _logger.warning("%s is damaged and made anew (%s)", entry, error)
            shutil.rmtree(entry, ignore_errors=True)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(cache_dir)
        with tempfile.TemporaryDirectory(
            prefix=f".{entry.name}.", dir=cache_dir, ignore_cleanup_errors=True
        ) as scratch:
            whole = Path(scratch, "whole")
            write(whole)
            (whole / _KEY_FILE).write_text(text, encoding="utf-8")
            made = load(whole)
            _rename(whole, entry)
            return made
    except OSError as error:
        raise InputError(
            f"--cache_dir: {cache_dir} must be a folder to write to, is not ({error.strerror or error}). Give another."
        ) from None


def _rename(whole: Path, entry: Path) -> None:
    """Put a whole entry in its place, unless another process was faster: its entry is as good."""
    try:
        whole.rename(entry)
    except OSError:
        if not entry.is_dir():
            raise


def _remove_abandoned(cache_dir: Path) -> None:
    """Remove what processes that were killed left a week ago or more."""
    for scratch in cache_dir.glob(".*"):
        if time.time() - scratch.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(scratch, ignore_errors=True)


def _mixture_key(mixture: Mixture, cache_dir: Path) -> dict[str, Any]:
    """What decides which documents a mixture has, in which order."""
    contents = [
        _revision(source.source, cache_dir) if digest is None else digest
        for source, digest in zip(mixture.sources, mixture.digests, strict=True)
    ]
    sources = [source.model_dump(exclude={"source"}) for source in mixture.sources]
    return {"contents": contents, "sources": sources, "seed": mixture.seed}


def _revision(source: str, cache_dir: Path) -> str:
    """A data set of the hub with its revision now; with the one last seen where the hub cannot be reached."""
    hub_set = HubSet.parse(source)
    assert hub_set is not None, source
    seen = cache_dir / "revisions" / hub_set.name.replace("/", "--")
    try:
        revision = hub_set.revision()
    except InputError as error:
        if not seen.is_file():
            raise
        _logger.warning("%s Taken as it was last seen.", error)
        revision = seen.read_text("utf-8")
    else:
        seen.parent.mkdir(parents=True, exist_ok=True)
        seen.write_text(revision, encoding="utf-8")
    return f"{hub_set} {revision}"
