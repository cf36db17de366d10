"""RoBERTa's kind of tokenizer: byte-level BPE."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from design_space.errors import InputError
from pretrain.config import MIN_VOCAB_SIZE

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def train_tokenizer(documents: Iterable[str], vocab_size: int, max_length: int = 512) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with RoBERTa's special tokens.

    Args:
        documents: Texts to learn merges from.
        vocab_size: Entries, special tokens and the 256 bytes included; fewer where the text has no more merges.
        max_length: Longest sequence that it announces, in tokens.

    Returns:
        A tokenizer that writes `<s> a </s>` and `<s> a </s></s> b </s>`.

    Raises:
        InputError: If `vocab_size` leaves no room for the bytes.
    """
    if vocab_size < MIN_VOCAB_SIZE:
        raise InputError(f"tokenizer: vocab_size must be at least {MIN_VOCAB_SIZE}, got {vocab_size}.")
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
    ids = {token: number for number, token in enumerate(SPECIAL_TOKENS)}
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", ids["</s>"]), ("<s>", ids["<s>"]), add_prefix_space=True
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def load_tokenizer(name_or_folder: str | Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder or by its hub name.

    Raises:
        InputError: If there is none, or it has no mask token.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(name_or_folder))
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"tokenizer: {str(name_or_folder)!r} cannot be loaded: {reason}") from None
    if tokenizer.mask_token_id is None:
        raise InputError(f"tokenizer: {str(name_or_folder)!r} must have a mask token, has none. Take another.")
    return tokenizer
