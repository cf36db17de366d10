"""What training starts from: an architecture, or a checkpoint with its tokenizer."""

from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from design_space.architecture import Architecture
from design_space.errors import InputError, did_you_mean, first_line
from design_space.model import FlexiBertForMaskedLM
from design_space.model.presets import PRESETS, preset
from pretrain.config import PretrainConfig
from pretrain.tokenizer import load_tokenizer


@dataclass(frozen=True)
class Start:
    """What training begins with: an architecture, or a checkpoint's weights and tokenizer."""

    architecture: Architecture
    model: FlexiBertForMaskedLM | None = None
    tokenizer: PreTrainedTokenizerBase | None = None


def begin(config: PretrainConfig) -> Start:
    """What `--model_dict` and `--tokenizer_name` name.

    Raises:
        InputError: If it is not there, or does not fit together.
    """
    folder = Path(config.model_dict)
    if not is_checkpoint(config.model_dict):
        return Start(read_architecture(config.model_dict))
    try:
        model = FlexiBertForMaskedLM.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError) as error:
        reason = first_line(error)
        raise InputError(f"--model_dict: {folder} must hold a checkpoint: {reason:.200}") from None
    positions = model.config.max_position_embeddings
    if config.max_seq_length > positions:
        raise InputError(
            f"--max_seq_length: must be at most {positions}, the positions of {folder}, got {config.max_seq_length}. "
            "Give less, or train another architecture."
        )
    return Start(Architecture.from_model_dict(model.config.model_dict), model, _fitting_tokenizer(config, model))


def _fitting_tokenizer(config: PretrainConfig, model: FlexiBertForMaskedLM) -> PreTrainedTokenizerBase:
    """The tokenizer that is named, where it is the checkpoint's own in all its entries; else its own."""
    folder, leave_out = config.model_dict, "Leave it out to take the checkpoint's own."
    try:
        own = load_tokenizer(folder, "--model_dict")
    except InputError:
        if config.tokenizer_name is None:
            raise
        own = None
    tokenizer = own if config.tokenizer_name is None else load_tokenizer(config.tokenizer_name, "--tokenizer_name")
    assert tokenizer is not None
    if len(tokenizer) != model.config.vocab_size:
        option = "--model_dict" if config.tokenizer_name is None else "--tokenizer_name"
        raise InputError(
            f"{option}: must have the {model.config.vocab_size} entries of {folder}, has {len(tokenizer)}. {leave_out}"
        )
    if own is not None and tokenizer.get_vocab() != own.get_vocab():
        raise InputError(f"--tokenizer_name: must have the same entries as {folder}, has others. {leave_out}")
    return tokenizer


def is_checkpoint(text: str) -> bool:
    """Whether `--model_dict` names a folder."""
    return not text.lstrip().startswith("{") and Path(text).is_dir()


def read_architecture(text: str) -> Architecture:
    """An architecture from a preset's name, JSON, or a file that holds JSON.

    Raises:
        InputError: If it is none of these.
    """
    if text.lstrip().startswith("{"):
        return Architecture.from_json(text, where="--model_dict")
    if text in PRESETS:
        return preset(text)
    if not Path(text).is_file():
        raise InputError(
            f"--model_dict: must be one of {', '.join(PRESETS)}, the JSON of a model_dict, a file that holds one, "
            f"or the folder of a checkpoint, got {text!r}.{did_you_mean(text, PRESETS)}"
        )
    try:
        content = Path(text).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"--model_dict: {text} must be JSON in UTF-8, is not. Give another file.") from None
    return Architecture.from_json(content, where=f"--model_dict: {text}")
