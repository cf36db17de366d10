"""The command line of `python -m pretrain`, read and checked before anything is done."""

from collections.abc import Sequence

from design_space.errors import InputError
from pretrain.arguments import PretrainArguments, require_finite, require_reporters
from pretrain.command_line import FlagParser
from pretrain.config import COMMAND, EXAMPLE, MIN_VOCAB_SIZE, PretrainConfig, load_recipe
from pretrain.start import is_checkpoint


def parse(arguments: Sequence[str]) -> tuple[PretrainConfig, PretrainArguments]:
    """Flags, over the recipe's values, over the defaults.

    Raises:
        InputError: If a flag is unknown, or a value breaks its rule.
    """
    parser = FlagParser((PretrainConfig, PretrainArguments), COMMAND, EXAMPLE)
    config, training = parser.parse(arguments)
    _check_tokenizer_flags(config)
    if config.recipe is not None:
        lengths = (config.max_tokens, config.max_seconds, training.num_train_epochs or None)
        has_other_length = training.max_steps != -1 or any(length is not None for length in lengths)
        config, training = parser.parse(arguments, load_recipe(config.recipe).flags(has_other_length))
    if not training.output_dir:
        raise InputError("--output_dir: must name the folder for the checkpoint. Give one.")
    if training.resume_from_checkpoint is not None:
        raise InputError("--resume_from_checkpoint: is --resume here, from the newest checkpoint of --output_dir.")
    require_reporters(training.report_to)
    require_finite(config, training)
    _check_numbers(config, training)
    if not config.text_column:
        raise InputError("--text_column: must name a column, is empty. Leave it out for 'text'.")
    return config, training


def _check_tokenizer_flags(config: PretrainConfig) -> None:
    """Refuse what says how to train a tokenizer where none is trained; a recipe's value may be left unused."""
    if config.tokenizer_name is None and not is_checkpoint(config.model_dict):
        if config.lowercase and config.tokenizer_kind != "wordpiece":
            raise InputError("--lowercase: needs --tokenizer_kind wordpiece. Give it, or leave --lowercase out.")
        return
    source = "--model_dict" if config.tokenizer_name is None else "--tokenizer_name"
    for name in ("tokenizer_kind", "vocab_size", "lowercase"):
        if getattr(config, name) != getattr(PretrainConfig, name):
            raise InputError(f"--{name}: is for a tokenizer that is trained, but {source} brings one. Leave one out.")


def _check_numbers(config: PretrainConfig, training: PretrainArguments) -> None:
    for name, value, least in (
        ("max_seq_length", config.max_seq_length, 2),
        ("vocab_size", config.vocab_size, MIN_VOCAB_SIZE),
        ("per_device_train_batch_size", training.per_device_train_batch_size, 1),
        ("gradient_accumulation_steps", training.gradient_accumulation_steps, 1),
    ):
        if value < least:
            raise InputError(f"--{name}: must be at least {least}, got {value}.")
    if training.learning_rate <= 0:
        raise InputError(f"--learning_rate: must be above 0, got {training.learning_rate}.")
    if config.max_seconds is not None and not training.warmup_steps < 1:
        raise InputError(
            f"--warmup_steps: must be a share below 1 with --max_seconds, got {training.warmup_steps:g}. Give a share."
        )
    if not 0 <= config.dropout < 1:
        raise InputError(f"--dropout: must be in [0, 1), got {config.dropout}.")
    if not 0 < config.mlm_probability < 1:
        raise InputError(f"--mlm_probability: must be in (0, 1), got {config.mlm_probability}.")
