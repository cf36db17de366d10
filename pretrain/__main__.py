"""`python -m pretrain`: any text in, one checkpoint out."""

import contextlib
import difflib
import json
import logging
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import distributed
from transformers import PreTrainedTokenizerBase, set_seed
from transformers.utils import logging as transformers_logging

from design_space.architecture import Architecture
from design_space.command_line import INTERRUPTED, exit_code
from design_space.errors import InputError, first_line
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from design_space.model.presets import PRESETS, preset
from pretrain.budget import Budget
from pretrain.cache import packed, trained_tokenizer
from pretrain.checkpoints import checkpoints
from pretrain.command_line import FlagParser, words
from pretrain.config import MIN_VOCAB_SIZE, PretrainArguments, PretrainConfig, load_recipe
from pretrain.documents import DEMO, has_columns
from pretrain.identity import IDENTITY_FILE, require_same
from pretrain.interrupt import StoppedError, stop_on_signal
from pretrain.mixture import Mixture
from pretrain.plan import Workload, plan, show
from pretrain.tokenizer import load_tokenizer
from pretrain.train import RESULT_FILE, Objective, Run, build_model, pretrain, tokens_per_step

EXAMPLE = "python -m pretrain --model_dict bert_tiny --train_file corpus/ --output_dir out --max_steps 2000"
MAX_POSITIONS = 512


def main(arguments: Sequence[str]) -> int:
    """Read the flags and run; the exit code."""
    config, training = _parse(arguments)
    try:
        return _train(config, training)
    finally:
        # A process that ends with its group open may be aborted by the group's threads.
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _train(config: PretrainConfig, training: PretrainArguments) -> int:
    folder, run = Path(training.output_dir), _run(config, training)
    _check_writable(folder)
    if _is_finished(folder, run):
        _tell(json.loads((folder / RESULT_FILE).read_text("utf-8")), folder, config.json)
        return 0
    start = _start(config)
    if config.dry_run:
        _plan(config, training, run, start)
        return 0
    mixture = _mixture(config)
    set_seed(training.seed)
    with training.main_process_first(local=False):
        tokenizer = start.tokenizer or _tokenizer(config, mixture)
        corpus = packed(mixture, tokenizer, config.max_seq_length, _cache_dir(config))
    rates = {"hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": config.dropout}
    model = start.model or build_model(start.architecture, tokenizer, _max_positions(config), **rates)
    objective = Objective(
        mlm_probability=config.mlm_probability,
        whole_words=config.whole_word_masking,
        separate_documents=config.separate_documents,
    )
    # Standard output is for the result, so what the Trainer prints goes elsewhere.
    with contextlib.redirect_stdout(sys.stderr), stop_on_signal() as is_stop_wanted:
        run = replace(run, is_stop_wanted=is_stop_wanted)
        try:
            result = pretrain(model, tokenizer, corpus, training, objective, run)
        except StoppedError as stopped:
            if training.should_save:
                where = f"interrupted; checkpoint in {stopped.checkpoint}"
                sys.stderr.write(f"{where}. The same command with --resume goes on.\n")
            return INTERRUPTED
    if training.should_save:
        _tell(asdict(result), folder, config.json)
    return 0


@dataclass(frozen=True)
class _Start:
    """What training begins with: an architecture, or a checkpoint's weights and tokenizer."""

    architecture: Architecture
    model: FlexiBertForMaskedLM | None = None
    tokenizer: PreTrainedTokenizerBase | None = None


def _start(config: PretrainConfig) -> _Start:
    folder = Path(config.model_dict)
    if not _is_checkpoint(config.model_dict):
        return _Start(read_architecture(config.model_dict))
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
    return _Start(Architecture.from_model_dict(model.config.model_dict), model, _fitting_tokenizer(config, model))


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


def _run(config: PretrainConfig, training: PretrainArguments) -> Run:
    budget = Budget(
        max_steps=training.max_steps,
        num_epochs=training.num_train_epochs or None,
        max_tokens=config.max_tokens,
        max_seconds=config.max_seconds,
    )
    for name, value in {"save_seconds": config.save_seconds, "max_checkpoint_gb": config.max_checkpoint_gb}.items():
        if value is not None and not value > 0:
            raise InputError(f"--{name}: must be more than 0, got {value}. Leave it out for no limit.")
    return Run(
        budget=budget,
        save_seconds=config.save_seconds,
        max_checkpoint_bytes=None if config.max_checkpoint_gb is None else int(config.max_checkpoint_gb * 1e9),
        resume=config.resume,
        shows_progress=not training.disable_tqdm,
    )


def _check_writable(folder: Path) -> None:
    """Refuse a folder that could not be made, or not be written to."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise InputError(f"--output_dir: {folder} must be a folder, but {there} is none. Give another.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"--output_dir: {folder} must be a folder to write to, but {there} is not. Give another.")


def _is_finished(folder: Path, run: Run) -> bool:
    """Whether there is nothing left to do.

    Raises:
        InputError: If the folder holds a run that is not to be resumed, or a finished one of another length.
    """
    if run.resume:
        is_finished = (folder / RESULT_FILE).is_file()
        if is_finished and (folder / IDENTITY_FILE).is_file():
            require_same(folder, asdict(run.budget))
        return is_finished
    held = {"a checkpoint": (folder / "config.json").exists(), "checkpoints of a run": bool(checkpoints(folder))}
    for what, is_there in held.items():
        if is_there:
            raise InputError(f"--output_dir: {folder} holds {what} already. Give another folder, or --resume.")
    return False


def _plan(config: PretrainConfig, training: PretrainArguments, run: Run, start: _Start) -> None:
    """Print what a run would take; the text is not read."""
    if run.budget.num_epochs is not None:
        raise InputError("--dry_run: needs a length in steps, tokens or seconds; epochs are known once text is read.")
    vocab_size = config.vocab_size if start.tokenizer is None else len(start.tokenizer)
    if start.tokenizer is None and config.tokenizer_name is not None:
        vocab_size = len(load_tokenizer(config.tokenizer_name, "--tokenizer_name"))
    per_step = tokens_per_step(training, config.max_seq_length)
    workload = Workload(
        architecture=start.architecture,
        vocab_size=vocab_size,
        block_size=config.max_seq_length,
        mlm_probability=config.mlm_probability,
        num_sequences=training.train_batch_size,
        tokens_per_step=per_step,
        num_devices=training.world_size,
        is_half=training.bf16 or training.fp16,
    )
    shape = FlexiBertConfig.from_architecture(
        start.architecture, vocab_size=vocab_size, max_position_embeddings=_max_positions(config)
    )
    num_steps = None if run.budget.max_seconds is not None else run.budget.num_steps(per_step, 0)
    made = plan(FlexiBertForMaskedLM(shape), workload, num_steps, run.budget.max_seconds)
    if config.json:
        sys.stdout.write(json.dumps(asdict(made)) + "\n")
    else:
        show(made, Console())


def _tell(result: dict[str, Any], folder: Path, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(result | {"output_dir": str(folder)}) + "\n")
        return
    held_out = "" if result["held_out_loss"] is None else f", held out {result['held_out_loss']:.3f}"
    sys.stdout.write(
        f"mean loss {result['loss']:.3f}{held_out} nats after {result['num_steps']} steps, "
        f"{result['tokens_per_s']:,.0f} tokens/s; checkpoint in {folder}\n"
    )


def _max_positions(config: PretrainConfig) -> int:
    return max(MAX_POSITIONS, config.max_seq_length)


def _parse(arguments: Sequence[str]) -> tuple[PretrainConfig, PretrainArguments]:
    """Flags, over the recipe's values, over the defaults."""
    parser = FlagParser((PretrainConfig, PretrainArguments), "python -m pretrain", EXAMPLE)
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
    if "tensorboard" in training.report_to and find_spec("tensorboard") is None:
        raise InputError("--report_to tensorboard: needs the package tensorboard. Run: pip install tensorboard")
    _check_numbers(config, training)
    if not config.text_column:
        raise InputError("--text_column: must name a column, is empty. Leave it out for 'text'.")
    return config, training


def _check_tokenizer_flags(config: PretrainConfig) -> None:
    """Refuse what says how to train a tokenizer where none is trained; a recipe's value may be left unused."""
    if config.tokenizer_name is None and not _is_checkpoint(config.model_dict):
        if config.lowercase and config.tokenizer_kind != "wordpiece":
            raise InputError("--lowercase: needs --tokenizer_kind wordpiece. Give it, or leave --lowercase out.")
        return
    source = "--model_dict" if config.tokenizer_name is None else "--tokenizer_name"
    for name in ("tokenizer_kind", "vocab_size", "lowercase"):
        if getattr(config, name) != getattr(PretrainConfig, name):
            raise InputError(f"--{name}: is for a tokenizer that is trained, but {source} brings one. Leave one out.")


def _is_checkpoint(text: str) -> bool:
    return not text.lstrip().startswith("{") and Path(text).is_dir()


def _check_numbers(config: PretrainConfig, training: PretrainArguments) -> None:
    for name, value, least in (
        ("max_seq_length", config.max_seq_length, 2),
        ("vocab_size", config.vocab_size, MIN_VOCAB_SIZE),
        ("per_device_train_batch_size", training.per_device_train_batch_size, 1),
        ("gradient_accumulation_steps", training.gradient_accumulation_steps, 1),
    ):
        if value < least:
            raise InputError(f"--{name}: must be at least {least}, got {value}.")
    if not 0 < training.learning_rate < math.inf:
        raise InputError(f"--learning_rate: must be above 0, got {training.learning_rate}.")
    if config.max_seconds is not None and not training.warmup_steps < 1:
        raise InputError(
            f"--warmup_steps: must be a share below 1 with --max_seconds, got {training.warmup_steps:g}. Give a share."
        )
    if not 0 <= config.dropout < 1:
        raise InputError(f"--dropout: must be in [0, 1), got {config.dropout}.")
    if not 0 < config.mlm_probability < 1:
        raise InputError(f"--mlm_probability: must be in (0, 1), got {config.mlm_probability}.")


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
        near = difflib.get_close_matches(text, PRESETS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"--model_dict: must be one of {', '.join(PRESETS)}, the JSON of a model_dict, a file that holds one, "
            f"or the folder of a checkpoint, got {text!r}.{hint}"
        )
    try:
        content = Path(text).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"--model_dict: {text} must be JSON in UTF-8, is not. Give another file.") from None
    return Architecture.from_json(content, where=f"--model_dict: {text}")


def _mixture(config: PretrainConfig) -> Mixture:
    """The text of the flags, else of the recipe, else the demo."""
    corpus = None if config.recipe is None else load_recipe(config.recipe).corpus
    if config.train_file is None and corpus is not None:
        if config.text_column != "text":
            raise InputError("--text_column: belongs to --train_file; the recipe's corpus names its own columns.")
        return Mixture(corpus)
    sources = config.train_file or [DEMO]
    if config.text_column != PretrainConfig.text_column and not any(map(has_columns, sources)):
        raise InputError("--text_column: is for files with columns or fields, --train_file has none. Leave it out.")
    return Mixture.of(sources, config.text_column)


def _tokenizer(config: PretrainConfig, mixture: Mixture) -> PreTrainedTokenizerBase:
    if config.tokenizer_name is not None:
        return load_tokenizer(config.tokenizer_name, "--tokenizer_name")
    return trained_tokenizer(mixture, config.vocab_size, config.tokenizer_kind, config.lowercase, _cache_dir(config))


def _cache_dir(config: PretrainConfig) -> Path | None:
    return None if config.cache_dir is None else Path(config.cache_dir)


if __name__ == "__main__":
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    raise SystemExit(exit_code(lambda: main(words())))
