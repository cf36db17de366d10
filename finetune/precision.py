"""In which numbers a run computes, and what happens where they overflow."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from accelerate import Accelerator
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finetune.arguments import FinetuneArguments
from pretrain.arguments import bf16_supported
from pretrain.callbacks import DivergedError

Outcome = TypeVar("Outcome")

_logger = logging.getLogger(__name__)
_LEAST_SCALE = 1.0  # of the loss; it starts at 65,536 and is halved at every overflow


class StopOnOverflow(TrainerCallback):
    """Ends a run in float16 whose loss scale has been halved to nothing, 17 steps in a row: it only skips steps.

    Args:
        accelerator: Of the Trainer; knows the scale.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Look at the scale.

        Raises:
            DivergedError: If it is below 1.
        """
        scaler = self._accelerator.scaler
        if scaler is not None and scaler.get_scale() < _LEAST_SCALE:
            raise DivergedError(f"float16 overflows at step {state.global_step} of {state.max_steps}")


def without_overflow(train: Callable[[FinetuneArguments], Outcome], arguments: FinetuneArguments) -> Outcome:
    """Train; in float16 that is not to be had or overflows, in bfloat16 or float32 instead, and say so.

    Args:
        train: Trains from the beginning with the arguments that it gets.
        arguments: What the user asked for.

    Returns:
        What `train` returns.

    Raises:
        DivergedError: If the loss is not finite in a precision that has the range of float32.
    """
    if not arguments.fp16:
        return train(arguments)
    if arguments.device.type == "cpu":
        _logger.warning("--fp16: needs a GPU; computes in float32.")
        return train(_wider(arguments))
    try:
        return train(arguments)
    except DivergedError as error:
        wider = _wider(arguments)
        name = "bfloat16" if wider.bf16 else "float32"
        _logger.warning("--fp16: %s; begins again in %s.", error, name)
        torch.cuda.empty_cache()
        return train(wider)


def _wider(arguments: FinetuneArguments) -> FinetuneArguments:
    return replace(arguments, fp16=False, bf16=arguments.device.type != "cpu" and bf16_supported())
