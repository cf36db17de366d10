"""`python -m pretrain`: any text in, one checkpoint out."""

import contextlib
import json
import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from transformers import PreTrainedTokenizerBase, set_seed
from transformers.utils import logging as transformers_logging

from design_space.architecture import Architecture
from design_space.command_line import exit_code
from design_space.errors import InputError
from design_space.model.presets import PRESETS, preset
from pretrain.cache import packed, trained_tokenizer
from pretrain.command_line import FlagParser, words
from pretrain.config import PretrainArguments, PretrainConfig, load_recipe
from pretrain.documents import DEMO
from pretrain.mixture import Mixture
from pretrain.tokenizer import load_tokenizer
from pretrain.train import build_model, pretrain

EXAMPLE = "python -m pretrain --model_dict bert_tiny --train_file corpus/ --output_dir out --max_steps 2000"
MAX_POSITIONS = 512


def main(arguments: Sequence[str]) -> None:
    """Read the flags and run."""
    config, training = _parse(arguments)
    folder = Path(training.output_dir)
    if (folder / "config.json").exists():
        raise InputError(f"--output_dir: {folder} holds a checkpoint already. Give another folder.")
    architecture = read_architecture(config.model_dict)
    mixture = _mixture(config)
    set_seed(training.seed)
    tokenizer = _tokenizer(config, mixture)
    corpus = packed(mixture, tokenizer, config.max_seq_length, _cache_dir(config))
    model = build_model(architecture, tokenizer, max(MAX_POSITIONS, config.max_seq_length))
    with contextlib.redirect_stdout(sys.stderr):  # what the Trainer prints
        result = pretrain(model, tokenizer, corpus, training, config.mlm_probability)
    if config.json:
        sys.stdout.write(json.dumps(asdict(result) | {"output_dir": str(folder)}) + "\n")
    else:
        held_out = "" if result.held_out_loss is None else f", held out {result.held_out_loss:.3f}"
        sys.stdout.write(
            f"loss {result.loss:.3f}{held_out} nats after {result.num_steps} steps, "
            f"{result.num_tokens / result.seconds:,.0f} tokens/s; checkpoint in {folder}\n"
        )


def _parse(arguments: Sequence[str]) -> tuple[PretrainConfig, PretrainArguments]:
    """Flags, over the recipe's values, over the defaults."""
    parser = FlagParser((PretrainConfig, PretrainArguments), "python -m pretrain", EXAMPLE)
    config, training = parser.parse(arguments)
    if config.recipe is not None:
        config, training = parser.parse(arguments, load_recipe(config.recipe).model_dump(exclude={"corpus"}))
    if not training.output_dir:
        raise InputError("--output_dir: must name the folder for the checkpoint. Give one.")
    if training.max_steps < 1:
        raise InputError(f"--max_steps: must be at least 1, got {training.max_steps}.")
    for name, value, least in (
        ("max_seq_length", config.max_seq_length, 2),
        ("per_device_train_batch_size", training.per_device_train_batch_size, 1),
        ("gradient_accumulation_steps", training.gradient_accumulation_steps, 1),
    ):
        if value < least:
            raise InputError(f"--{name}: must be at least {least}, got {value}.")
    if not 0 < training.learning_rate < math.inf:
        raise InputError(f"--learning_rate: must be above 0, got {training.learning_rate}.")
    if not config.text_column:
        raise InputError("--text_column: must name a column, is empty. Leave it out for 'text'.")
    if not 0 < config.mlm_probability < 1:
        raise InputError(f"--mlm_probability: must be in (0, 1), got {config.mlm_probability}.")
    return config, training


def read_architecture(text: str) -> Architecture:
    """An architecture from a preset's name, JSON, or a file that holds JSON.

    Raises:
        InputError: If it is none of these.
    """
    if text.lstrip().startswith("{"):
        return Architecture.from_json(text)
    if text in PRESETS or not Path(text).is_file():
        return preset(text)
    return Architecture.from_json(Path(text).read_text("utf-8"), where=text)


def _mixture(config: PretrainConfig) -> Mixture:
    """The text of the flags, else of the recipe, else the demo."""
    corpus = None if config.recipe is None else load_recipe(config.recipe).corpus
    if config.train_file is None and corpus is not None:
        if config.text_column != "text":
            raise InputError("--text_column: belongs to --train_file; the recipe's corpus names its own columns.")
        return Mixture(corpus)
    return Mixture.of(config.train_file or [DEMO], config.text_column)


def _tokenizer(config: PretrainConfig, mixture: Mixture) -> PreTrainedTokenizerBase:
    if config.tokenizer_name is not None:
        return load_tokenizer(config.tokenizer_name)
    return trained_tokenizer(mixture, config.vocab_size, config.tokenizer_kind, config.lowercase, _cache_dir(config))


def _cache_dir(config: PretrainConfig) -> Path | None:
    return None if config.cache_dir is None else Path(config.cache_dir)


if __name__ == "__main__":
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    raise SystemExit(exit_code(lambda: main(words())))
