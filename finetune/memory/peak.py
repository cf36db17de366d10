"""The most that fine-tuning has in memory at once.

That is either in the backward pass, where activations go and gradients come, or in the optimizer's step, where all
gradients are there and no activation is.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.optim import SGD
from transformers.optimization import Adafactor

from design_space.model.step_memory import Step, trace_optimizer
from finetune.memory.plan import Memory, check_settings
from finetune.tuning.settings import FULL

_WEIGHT_DECAY = 0.01  # as the default of `finetune.config`: it makes SGD copy gradients


def peak(
    step: Step,
    *,
    optimizer: str = "adamw",
    precision: str = "fp32",
    num_grads: int = 1024,
    device: str = "cpu",
    num_gpus: int = 1,
) -> Memory:
    """What is there when there is most.

    Args:
        step: Of `finetune.memory.activations.activation_bytes`, in the same precision and on the same device.
        optimizer: One of `finetune.memory.plan.OPTIMIZERS`.
        precision: One of `finetune.memory.plan.PRECISIONS`.
        num_grads: Window of M-FAC, m.
        device: "cpu" or "cuda".
        num_gpus: That share all but the activations, of which each has those of its own rows.

    Raises:
        InputError: If a name is unknown or a number outside its range.
    """
    check_settings(FULL, 1, optimizer, precision, num_grads)
    kind = torch.bfloat16 if precision == "pure_bf16" else torch.float32
    num_trained = sum(shape.numel() for shape in step.trained)
    window = 0
    if optimizer == "mfac":
        states, temporaries = 0, num_trained * 4  # the preconditioned gradient
        window = num_grads * (num_trained * 4 + num_grads * 8)
    elif optimizer == "adamw":  # the Trainer's is fused: it makes nothing beside its moments
        states, temporaries = 2 * num_trained * kind.itemsize, 0
    else:
        states, temporaries = trace_optimizer(_maker(optimizer, device), step.trained, kind)
    always = Memory(
        weights=step.weights,
        casts=0,  # among the activations
        added_weights=0,
        gradients=0,
        optimizer=states,
        window=window,
    ).per_gpu(num_gpus)
    gradients, activations = step.peak(num_gpus)
    in_backward = replace(always, gradients=gradients, activations=activations)
    in_step = replace(
        always,
        gradients=step.gradients / num_gpus,
        activations=0.0,
        temporaries=temporaries / num_gpus,
    )
    return max(in_backward, in_step, key=lambda memory: memory.total)


def _maker(optimizer: str, device: str) -> Callable[[Any], torch.optim.Optimizer]:
    """Makes the optimizer as the Trainer does."""
    shared: dict[str, Any] = {
        "weight_decay": _WEIGHT_DECAY,
        "foreach": device == "cuda",
    }  # torch's own choice on that device
    makers: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
        "sgd": lambda trained: SGD(trained, **shared),
        "sgd_momentum": lambda trained: SGD(trained, momentum=0.9, **shared),
        "adafactor": lambda trained: Adafactor(trained, lr=1e-4, scale_parameter=False, relative_step=False),
    }
    return makers[optimizer]
