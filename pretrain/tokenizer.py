"""RoBERTa's kind of tokenizer (byte-level BPE) and BERT's (WordPiece), trained on any text."""

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from huggingface_hub import model_info
from huggingface_hub.errors import HFValidationError
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from design_space.errors import InputError, first_line
from pretrain.config import MIN_VOCAB_SIZE

TokenizerKind = Literal["bpe", "wordpiece"]
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
WORDPIECE_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_TRAINING_CHARS = 100_000_000
_TIMEOUT_S = 10.0
_MAX_ALPHABET = 1_000  # characters of a WordPiece, as in BERT's own trainer


def train_tokenizer(
    documents: Iterable[str],
    vocab_size: int,
    max_length: int = 512,
    kind: TokenizerKind = "bpe",
    lowercase: bool = False,
) -> PreTrainedTokenizerFast:
    """Train a tokenizer.

    Learning stops after 100 million characters: entries hardly change beyond, and the counts of distinct words, which
    grow with the text, would not stay in bounds.

    Args:
        documents: Texts to learn from.
        vocab_size: Entries, special tokens and the 256 bytes included; fewer where the text has no more to merge.
        max_length: Longest sequence that it announces, in tokens.
        kind: "bpe" writes `<s> a </s>` and `<s> a </s></s> b </s>` and knows every byte; "wordpiece" writes
            `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]`, and what it has no pieces for is `[UNK]`.
        lowercase: Take away upper case and accents; for "wordpiece" alone.

    Returns:
        The tokenizer.

    Raises:
        InputError: If `vocab_size` leaves no room for the bytes, or an option is not of the kind.
    """
    if vocab_size < MIN_VOCAB_SIZE:
        raise InputError(f"tokenizer: vocab_size must be at least {MIN_VOCAB_SIZE}, got {vocab_size}.")
    if lowercase and kind != "wordpiece":
        raise InputError(f"tokenizer: lowercase must be off for the kind {kind!r}, got True. Take 'wordpiece'.")
    make = {"bpe": _bpe, "wordpiece": _wordpiece}[kind]
    return make(_first(documents, MAX_TRAINING_CHARS), vocab_size, max_length, lowercase)


def _first(documents: Iterable[str], max_chars: int) -> Iterator[str]:
    num_chars = 0
    for document in documents:
        yield document
        num_chars += len(document)
        if num_chars >= max_chars:
            return


def _bpe(documents: Iterator[str], vocab_size: int, max_length: int, _: bool) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    start, pad, end, unknown, mask = SPECIAL_TOKENS
    tokenizer.post_processor = processors.RobertaProcessing(
        (end, SPECIAL_TOKENS.index(end)), (start, SPECIAL_TOKENS.index(start)), add_prefix_space=True
    )
    # A mask stands for a word with the space before it, as RoBERTa's.
    tokenizer.add_special_tokens([AddedToken(mask, lstrip=True)])
    return _wrapped(tokenizer, max_length, start, end, pad, unknown, mask, bos_token=start, eos_token=end)


def _wordpiece(documents: Iterator[str], vocab_size: int, max_length: int, lowercase: bool) -> PreTrainedTokenizerFast:
    pad, unknown, start, end, mask = WORDPIECE_SPECIAL_TOKENS
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    # A character is an entry at the start of a word and another within, so twice the alphabet must fit.
    room = (vocab_size - len(WORDPIECE_SPECIAL_TOKENS)) // 2
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=list(WORDPIECE_SPECIAL_TOKENS),
        limit_alphabet=min(_MAX_ALPHABET, room),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    tokenizer.post_processor = processors.BertProcessing(
        (end, WORDPIECE_SPECIAL_TOKENS.index(end)), (start, WORDPIECE_SPECIAL_TOKENS.index(start))
    )
    return _wrapped(tokenizer, max_length, start, end, pad, unknown, mask)


def _wrapped(
    tokenizer: Tokenizer, max_length: int, start: str, end: str, pad: str, unknown: str, mask: str, **further: str
) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token=start,
        sep_token=end,
        pad_token=pad,
        unk_token=unknown,
        mask_token=mask,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        **further,
    )


def load_tokenizer(name_or_folder: str | Path, where: str = "tokenizer") -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder or by its hub name.

    Where the hub does not answer, one that it gave before is taken.

    Args:
        name_or_folder: Which.
        where: Named in a refusal.

    Raises:
        InputError: If there is none, or it has no mask token.
    """
    name = str(name_or_folder)
    problem = None if Path(name).is_dir() else _hub_problem(name)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name, local_files_only=problem is not None)
    except (OSError, ValueError) as error:
        if problem is not None:
            raise InputError(
                f"{where}: {name!r} is no folder, and the hub does not give it ({problem}). "
                "Give a folder that holds tokenizer.json."
            ) from None
        raise InputError(f"{where}: {name!r} cannot be loaded: {first_line(error)}") from None
    if tokenizer.mask_token_id is None:
        raise InputError(f"{where}: {name!r} must have a mask token, has none. Take another.")
    return tokenizer


def _hub_problem(name: str) -> str | None:
    """Why the hub has no tokenizer of that name for us now, asked once; the library would try for minutes."""
    try:
        model_info(name, timeout=_TIMEOUT_S)
    except HFValidationError:
        return "it is no name there"
    except Exception as error:  # of whichever HTTP library the hub's client uses
        return f"{first_line(error).rstrip('.'):.120}"
    return None


def end_token_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """What stands after every document of a packed block: the eos token, or sep; None where there is neither."""
    end: int | None = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    return end


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash of all that decides which ids a text has, the same for a tokenizer and its saved copy."""
    ids = [tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.eos_token_id, tokenizer.sep_token_id]
    content: Any
    if tokenizer.is_fast:
        content = json.loads(tokenizer.backend_tokenizer.to_str())
        for name in ("truncation", "padding"):  # left behind by the last call
            content.pop(name, None)
    else:
        with TemporaryDirectory() as folder:
            tokenizer.save_pretrained(folder)
            content = {file.name: file.read_bytes().hex() for file in sorted(Path(folder).rglob("*")) if file.is_file()}
    return blake2b(json.dumps([ids, content], sort_keys=True).encode(), digest_size=16).hexdigest()
