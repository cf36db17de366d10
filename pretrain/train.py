"""Train an encoder as a masked language model with the transformers Trainer."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments

from design_space.architecture import Architecture
from design_space.errors import InputError
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from pretrain.callbacks import DivergedError, EpochReporter, StepReporter, StopOnDivergence
from pretrain.collate import Example, MaskingCollator
from pretrain.corpus import PackedCorpus

MAX_HELD_OUT_BLOCKS = 256


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """Outcome of one run.

    Attributes:
        loss: Mean training loss over the masked tokens, nats.
        held_out_loss: The same on held-out documents; None where the corpus is too small to have any.
        num_steps: Optimizer steps made.
        num_tokens: Tokens read.
        seconds: Wall-clock time of training.
        params: Parameters of the encoder without a head.
    """

    loss: float
    held_out_loss: float | None
    num_steps: int
    num_tokens: int
    seconds: float
    params: int


class _Blocks(Dataset[Example]):
    """Packed blocks as the collator reads them.

    Attributes:
        epoch: Passes over the blocks so far, in memory that data-loader workers share.
    """

    def __init__(self, blocks: NDArray[np.int32]) -> None:
        self._blocks = blocks
        self.epoch = torch.zeros((), dtype=torch.long).share_memory_()

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, index: int) -> Example:
        return Example(self._blocks[index], index, int(self.epoch))


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
    arguments: TrainingArguments,
    mlm_probability: float = 0.15,
    report: Callable[[int, int], None] | None = None,
) -> PretrainResult:
    """Train, save the checkpoint with its tokenizer, and say how it went.

    Args:
        model: Masked language model, changed in place.
        tokenizer: Of the corpus.
        corpus: Packed blocks.
        arguments: Of the Trainer; `output_dir` receives the checkpoint, `result.json` and `learning_curve.csv`.
        mlm_probability: Share of tokens to predict (80 % masked, 10 % replaced, 10 % kept).
        report: Told each step and the number of steps.

    Returns:
        Losses, counts and time.

    Raises:
        InputError: If a token id is beyond the model's vocabulary.
        DivergedError: If the loss is not finite.
    """
    if len(tokenizer) > model.config.vocab_size:
        raise InputError(f"tokenizer: must fit the model's {model.config.vocab_size} entries, has {len(tokenizer)}.")
    train, held_out_blocks = _Blocks(corpus.train), _Blocks(corpus.held_out[:MAX_HELD_OUT_BLOCKS])
    # Held-out blocks stay in the epoch 0: their masks are the same in every evaluation.
    told = [EpochReporter(train.epoch.fill_), *([StepReporter(report)] if report else [])]
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=MaskingCollator(tokenizer, mlm_probability=mlm_probability, seed=arguments.seed),
        train_dataset=train,
        eval_dataset=held_out_blocks,
        callbacks=[StopOnDivergence(), *told],
    )
    start = time.monotonic()
    output = trainer.train()
    seconds = time.monotonic() - start
    held_out = trainer.evaluate()["eval_loss"] if len(corpus.held_out) else None
    if not math.isfinite(output.training_loss):
        raise DivergedError(f"mean loss is {output.training_loss} after {output.global_step} steps")
    num_sequences = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    result = PretrainResult(
        loss=output.training_loss,
        held_out_loss=held_out,
        num_steps=output.global_step,
        num_tokens=output.global_step * num_sequences * corpus.train.shape[1],
        seconds=seconds,
        params=cast(PreTrainedModel, model.base_model).num_parameters(),
    )
    _save(trainer, tokenizer, Path(str(arguments.output_dir)), result)
    return result


def _save(trainer: Trainer, tokenizer: PreTrainedTokenizerBase, folder: Path, result: PretrainResult) -> None:
    trainer.save_model(str(folder))
    tokenizer.save_pretrained(str(folder))
    rows = [f"{entry['step']},{entry['loss']}" for entry in trainer.state.log_history if "loss" in entry]
    (folder / "learning_curve.csv").write_text("\n".join(["step,loss", *rows]) + "\n", encoding="utf-8")
    (folder / "result.json").write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
