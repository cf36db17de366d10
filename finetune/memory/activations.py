"""What a step of fine-tuning keeps in memory beside weights and optimizer, for any model of transformers."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from design_space.errors import InputError, first_line
from design_space.model.step_memory import Step, trace_step

MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}
PURE = {"pure_bf16": torch.bfloat16}
_BY_TOKEN = ("MaskedLM", "TokenClassification", "CausalLM")


def activation_bytes(
    model: nn.Module,
    batch: int,
    length: int,
    *,
    target_length: int = 128,
    device: str = "cpu",
    precision: str = "fp32",
) -> Step:
    """Bytes of a step on a batch in which some rows are padded.

    Args:
        model: As it will be trained: in training mode, `requires_grad` set, checkpointing on or off, modules added; on
            any device, also "meta". Unchanged.
        batch: Rows of a device.
        length: Tokens of a row.
        target_length: Tokens of an answer, where the model has a decoder.
        device: "cpu" or "cuda", whose kernels differ.
        precision: One of `finetune.memory.plan.PRECISIONS`.

    Raises:
        InputError: If a number is below 1, the model has fewer positions or takes no texts, nothing is trained, or the
            memory depends on the values of tensors.
    """
    for name, value in (
        ("per_device_train_batch_size", batch),
        ("max_seq_length", length),
        ("max_target_length", target_length),
    ):
        if value < 1:
            raise InputError(f"--{name}: must be at least 1, got {value}.")
    positions = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    if positions is not None and length > positions:
        raise InputError(f"--max_seq_length: must be at most the {positions} positions of the model, got {length}.")
    inputs = _inputs(model, batch, length, target_length)
    kinds = {"autocast": MIXED.get(precision), "dtype": PURE.get(precision)}
    try:
        return trace_step(model, inputs, device=device, **kinds)
    except (ValueError, RuntimeError) as error:  # also of code that asks for values, which there are not
        name, reason = type(model).__name__, first_line(error).rstrip(".")
        raise InputError(f"memory: a step of {name} cannot be planned: {reason:.120}.") from None


def _inputs(model: nn.Module, batch: int, length: int, target_length: int) -> dict[str, Tensor]:
    """What the model is given, by name."""
    config: Any = getattr(model, "config", None)
    shapes: dict[str, tuple[int, ...]] = {"input_ids": (batch, length), "attention_mask": (batch, length)}
    if getattr(config, "is_encoder_decoder", False):
        shapes["labels"] = batch, target_length
    elif "start_positions" in inspect.signature(model.forward).parameters:
        shapes |= {"start_positions": (batch,), "end_positions": (batch,)}
    else:
        shapes["labels"] = (batch, length) if type(model).__name__.endswith(_BY_TOKEN) else (batch,)
    inputs = {name: torch.zeros(shape, dtype=torch.long, device="meta") for name, shape in shapes.items()}
    if "labels" in inputs and getattr(config, "num_labels", None) == 1:
        inputs["labels"] = inputs["labels"].float()
    return inputs
