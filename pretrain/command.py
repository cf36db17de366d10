"""The work of `python -m pretrain`: any text in, one checkpoint out."""

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import distributed
from transformers import PreTrainedTokenizerBase, set_seed
from transformers.utils import logging as transformers_logging

from design_space.command_line import INTERRUPTED
from design_space.errors import InputError
from design_space.files import require_writable
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from pretrain.arguments import PretrainArguments
from pretrain.budget import Budget
from pretrain.cache import packed, trained_tokenizer
from pretrain.callbacks import DivergedError
from pretrain.checkpoints import checkpoints
from pretrain.config import PretrainConfig, load_recipe
from pretrain.documents import DEMO, has_columns
from pretrain.flags import parse
from pretrain.identity import IDENTITY_FILE, require_same
from pretrain.interrupt import StoppedError, stop_on_signal
from pretrain.mixture import Mixture
from pretrain.plan import Workload, plan, show
from pretrain.start import Start, begin
from pretrain.tokenizer import load_tokenizer
from pretrain.train import RESULT_FILE, Objective, Run, build_model, pretrain, tokens_per_step

MAX_POSITIONS = 512


def run_command(arguments: Sequence[str]) -> int:
    """Read the flags and train; the exit code.

    Raises:
        InputError: If a flag or what it names cannot be used, or the training diverges.
    """
    _quieten()
    config, training = parse(arguments)
    try:
        return _train(config, training)
    except DivergedError as error:
        raise InputError(str(error)) from None
    finally:
        # A process that ends with its group open may be aborted by the group's threads.
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _train(config: PretrainConfig, training: PretrainArguments) -> int:
    folder, run = Path(training.output_dir), _run(config, training)
    require_writable(folder)
    if _is_finished(folder, run):
        _tell(json.loads((folder / RESULT_FILE).read_text("utf-8")), folder, config.json)
        return 0
    start = begin(config)
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


def _plan(config: PretrainConfig, training: PretrainArguments, run: Run, start: Start) -> None:
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


def _quieten() -> None:
    """Neither warnings nor bars of transformers: what a person is to know is told here."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
