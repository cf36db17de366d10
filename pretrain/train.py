"""Train an encoder as a masked language model: checks, the run, and what it leaves."""

import json
import math
import os
import resource
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, ProgressCallback, TrainerState

from design_space.architecture import Architecture
from design_space.errors import InputError
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from design_space.model.folder import add_code
from design_space.model.modeling_flexibert import FlexiBertPreTrainedModel
from pretrain.arguments import PretrainArguments
from pretrain.budget import Budget, Clock, TimeLimit
from pretrain.callbacks import Last, ProgressReport, StepReporter, StopOnDivergence
from pretrain.checkpoints import PARTIAL, SaveByTime, cannot_be_written, checkpoints, step_of
from pretrain.collate import MaskingCollator
from pretrain.corpus import PackedCorpus
from pretrain.curve import CurveFile
from pretrain.identity import identity, keep, require_same
from pretrain.interrupt import StopOnRequest, StoppedError
from pretrain.reading import HeldOutBlocks, TrainingBlocks
from pretrain.throughput import device_peak, flops_per_token
from pretrain.trainer import PretrainTrainer, seconds_before

MAX_HELD_OUT_BLOCKS = 256
RESULT_FILE = "result.json"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is predicted.

    Attributes:
        mlm_probability: Share of tokens to predict (80 % masked, 10 % replaced, 10 % kept), in (0, 1).
        whole_words: Mask all tokens of a word together.
        separate_documents: Nothing crosses a document's border.
    """

    mlm_probability: float = 0.15
    whole_words: bool = False
    separate_documents: bool = False


@dataclass(frozen=True, kw_only=True)
class Run:
    """How long a run lasts and what it keeps on the way.

    Attributes:
        budget: Its length.
        save_seconds: Between two checkpoints; None: by steps alone, as the Trainer is told.
        max_checkpoint_bytes: Of all checkpoints together; None: no limit.
        resume: Go on from the newest checkpoint, where there is one.
        shows_progress: Whether a bar or lines say how it goes.
        is_stop_wanted: Asked after each step whether to end with a checkpoint; None: never.
    """

    budget: Budget
    save_seconds: float | None = None
    max_checkpoint_bytes: int | None = None
    resume: bool = False
    shows_progress: bool = False
    is_stop_wanted: Callable[[], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """Outcome of one run.

    Attributes:
        loss: Mean training loss over the masked tokens, nats.
        held_out_loss: The same on held-out documents; None where the corpus is too small to have any.
        pseudo_perplexity: exp of the held-out loss.
        num_steps: Optimizer steps made.
        num_tokens: Tokens read.
        seconds: Wall-clock time of training, all parts of a resumed run.
        tokens_per_s: Tokens read a second.
        peak_memory_bytes: Of the GPU where there is one, else of the process.
        flop_utilisation: Share of the device's peak; None where the peak is not known.
        params: Parameters of the encoder without a head.
    """

    loss: float
    held_out_loss: float | None
    pseudo_perplexity: float | None
    num_steps: int
    num_tokens: int
    seconds: float
    tokens_per_s: float
    peak_memory_bytes: int
    flop_utilisation: float | None
    params: int


def build_model(
    architecture: Architecture, tokenizer: PreTrainedTokenizerBase, max_positions: int, **kwargs: Any
) -> FlexiBertForMaskedLM:
    """A fresh masked language model that fits a tokenizer.

    Args:
        architecture: Of the encoder.
        tokenizer: Gives vocabulary and special ids.
        max_positions: Longest sequence in tokens.
        **kwargs: Further attributes of `FlexiBertConfig`.
    """
    config = FlexiBertConfig.from_architecture(
        architecture,
        vocab_size=len(tokenizer),
        max_position_embeddings=max_positions,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **kwargs,
    )
    return FlexiBertForMaskedLM(config)


def pretrain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: PackedCorpus,
    arguments: PretrainArguments,
    objective: Objective | None = None,
    run: Run | None = None,
    report: Callable[[int, int], None] | None = None,
) -> PretrainResult:
    """Train, save the checkpoint with its tokenizer, and say how it went.

    Args:
        model: Masked language model, changed in place.
        tokenizer: Of the corpus.
        corpus: Packed blocks.
        arguments: Of the Trainer; `output_dir` receives the checkpoint, `result.json` and `learning_curve.csv`.
        objective: What is predicted; None: 15 % of the tokens.
        run: How long; None: as many steps as the arguments say.
        report: Told each step and the number of steps.

    Returns:
        Losses, counts and time.

    Raises:
        InputError: If a token id is beyond the model's vocabulary, or a checkpoint cannot be written.
        DivergedError: If the loss is not finite, or stays above its start.
        StoppedError: If the run was asked to stop; it names the checkpoint.
    """
    if len(tokenizer) > model.config.vocab_size:
        raise InputError(f"tokenizer: must fit the model's {model.config.vocab_size} entries, has {len(tokenizer)}.")
    if arguments.eval_strategy != "no" and not len(corpus.held_out):
        raise InputError("--eval_strategy: must be 'no' where the corpus is too small to hold a block out. Add text.")
    objective, run = objective or Objective(), run or Run(budget=Budget(max_steps=arguments.max_steps))
    folder = Path(str(arguments.output_dir))
    newest = next(reversed(checkpoints(folder)), None) if run.resume else None
    clock = Clock(seconds_before(newest) if newest else 0.0)
    begun_with = identity(model, tokenizer, corpus.train, arguments, {**asdict(objective), **asdict(run.budget)})
    if newest is not None:
        require_same(folder, begun_with)
    elif arguments.should_save:
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)
        keep(folder, begun_with)
    per_step = tokens_per_step(arguments, corpus.train.shape[1])
    trainer = _trainer(model, tokenizer, corpus, arguments, objective, run, clock, newest)
    shown = _watch(trainer, run, clock, report, per_step)
    stop = None if run.is_stop_wanted is None else StopOnRequest(run.is_stop_wanted)
    if stop is not None:  # last: it asks what the others have decided
        trainer.add_callback(stop)
    clock.start()
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    finally:
        if shown is not None:
            shown.close()
    if stop is not None and stop.has_stopped:
        raise StoppedError(folder / f"checkpoint-{trainer.state.global_step}")
    seconds = clock.seconds
    held_out = trainer.evaluate()["eval_loss"] if len(corpus.held_out) else None
    result = _result(trainer, held_out, seconds, objective, corpus.train.shape[1])
    if arguments.should_save:
        _save(trainer, tokenizer, folder, result)
    return result


def tokens_per_step(arguments: PretrainArguments, block_size: int) -> int:
    """Tokens that all processes read in one optimizer step."""
    return int(arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size * block_size)


def _trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: PackedCorpus,
    arguments: PretrainArguments,
    objective: Objective,
    run: Run,
    clock: Clock,
    newest: Path | None,
) -> PretrainTrainer:
    block_size = corpus.train.shape[1]
    per_step = tokens_per_step(arguments, block_size)
    arguments.max_steps = run.budget.num_steps(per_step, corpus.train.size)
    # The reading starts where the checkpoint left it, so there is nothing to skip.
    arguments.ignore_data_skip = True
    done = 0 if newest is None else step_of(newest)
    per_step_blocks = per_step // block_size
    blocks = TrainingBlocks(
        corpus.train, arguments.max_steps * per_step_blocks, arguments.seed, start=done * per_step_blocks
    )
    return PretrainTrainer(
        clock=clock,
        max_seconds=run.budget.max_seconds,
        max_checkpoint_bytes=run.max_checkpoint_bytes,
        model=model,
        args=arguments,
        data_collator=_collator(tokenizer, objective, arguments.seed),
        train_dataset=blocks,
        eval_dataset=HeldOutBlocks(corpus.held_out[:MAX_HELD_OUT_BLOCKS]),
        callbacks=[CurveFile(Path(str(arguments.output_dir))), Last(), StopOnDivergence()],
    )


def _collator(tokenizer: PreTrainedTokenizerBase, objective: Objective, seed: int) -> MaskingCollator:
    return MaskingCollator(
        tokenizer,
        mlm_probability=objective.mlm_probability,
        seed=seed,
        whole_words=objective.whole_words,
        with_document_ids=objective.separate_documents,
    )


def _watch(
    trainer: PretrainTrainer, run: Run, clock: Clock, report: Callable[[int, int], None] | None, per_step: int
) -> ProgressReport | None:
    """Add what looks at the run; the bar, which has to be taken away after an error."""
    for printer in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(printer)
    max_seconds = run.budget.max_seconds
    if max_seconds is not None:
        trainer.add_callback(TimeLimit(clock, max_seconds))
    if run.save_seconds is not None:
        trainer.add_callback(SaveByTime(clock, run.save_seconds))
    if report is not None:
        trainer.add_callback(StepReporter(report))
    if not run.shows_progress or not trainer.is_world_process_zero():
        return None

    def share(state: TrainerState) -> float:
        return state.global_step / state.max_steps if max_seconds is None else clock.seconds / max_seconds

    shown = ProgressReport(per_step, share)
    trainer.add_callback(shown)
    return shown


def _result(
    trainer: PretrainTrainer, held_out: float | None, seconds: float, objective: Objective, block_size: int
) -> PretrainResult:
    state, arguments = trainer.state, cast(PretrainArguments, trainer.args)
    curve = [(entry["step"], entry["loss"]) for entry in state.log_history if "loss" in entry]
    steps = np.diff([0, *(step for step, _ in curve)])
    num_tokens = state.global_step * tokens_per_step(arguments, block_size)
    speed = num_tokens / max(seconds, 1e-9)
    model = cast(PreTrainedModel, trainer.model)
    config = model.config
    flops = flops_per_token(
        Architecture.from_model_dict(config.model_dict),
        config.vocab_size,
        block_size,
        objective.mlm_probability,
        relative=config.position_embedding_type == "relative_key",
    )
    peak = device_peak(arguments.device, arguments.bf16 or arguments.fp16)
    return PretrainResult(
        loss=float(np.average([loss for _, loss in curve], weights=steps)),
        held_out_loss=held_out,
        pseudo_perplexity=None if held_out is None else math.exp(min(held_out, 700)),
        num_steps=state.global_step,
        num_tokens=num_tokens,
        seconds=seconds,
        tokens_per_s=speed,
        peak_memory_bytes=_peak_memory(arguments.device),
        flop_utilisation=None if peak is None else speed * flops / (peak * arguments.world_size),
        params=cast(PreTrainedModel, model.base_model).num_parameters(),
    )


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _save(trainer: PretrainTrainer, tokenizer: PreTrainedTokenizerBase, folder: Path, result: PretrainResult) -> None:
    """Write the checkpoint aside, then move it in; `result.json` last, so that it says that all is there."""
    partial = folder / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    try:
        trainer.save_model(str(partial))
        tokenizer.save_pretrained(str(partial))
        if isinstance(trainer.model, FlexiBertPreTrainedModel):
            add_code(partial)
        (partial / RESULT_FILE).write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
    except (OSError, RuntimeError, SafetensorError) as error:
        raise cannot_be_written(folder, "the finished model", error) from error
    files = sorted(partial.iterdir(), key=lambda path: path.name == RESULT_FILE)
    for path in files:
        os.replace(path, folder / path.name)
    partial.rmdir()
