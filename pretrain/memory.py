"""What a device needs for pre-training."""

import math

import torch
from transformers import PreTrainedModel

from design_space.model.step_memory import trace_step


def memory_bytes(
    model: PreTrainedModel, *, num_sequences: int, block_size: int, mlm_probability: float, is_half: bool, device: str
) -> int:
    """Weights, gradients, the moments of AdamW, and the most that a step has beside them.

    Args:
        model: A FlexiBERT for masked tokens, as it would be trained, on any device, also "meta"; unchanged.
        num_sequences: At once.
        block_size: Tokens of each.
        mlm_probability: Share of them to predict.
        is_half: Whether to compute in bfloat16.
        device: "cpu" or "cuda".
    """
    num_predicted = math.ceil(mlm_probability * block_size)
    sizes = {"input_ids": block_size, "prediction_positions": num_predicted, "labels": num_predicted}
    inputs = {name: torch.zeros(num_sequences, size, dtype=torch.long, device="meta") for name, size in sizes.items()}
    step = trace_step(model, inputs, device=device, autocast=torch.bfloat16 if is_half else None)
    # The fused AdamW makes nothing beside its moments.
    return step.weights + 2 * step.gradients + int(max(sum(step.peak()), step.gradients))
