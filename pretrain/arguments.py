"""All arguments of pre-training's Trainer: those of transformers, with the defaults of `pretrain.config`."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec

import torch
from transformers import TrainingArguments
from transformers.integrations.integration_utils import get_reporting_integration_callbacks
from transformers.utils.import_utils import is_torch_bf16_gpu_available

from design_space.errors import InputError, first_line
from pretrain.config import TrainerDefaults

_PACKAGES: dict[str, tuple[str, ...]] = {
    "azure_ml": ("azureml",),
    "flyte": ("flytekit",),
    "kubeflow": (),
    "tensorboard": ("tensorboard", "tensorboardX"),
}
"""One of which a reporter needs, where it is not of the reporter's own name."""


def bf16_supported() -> bool:
    """Whether there is a GPU that computes in bfloat16."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def choose_precision(arguments: TrainingArguments) -> None:
    """Set `bf16` where it is not given, and refuse it where it is given without a GPU.

    On a CPU that was asked for, bfloat16 is slow but computes.

    Raises:
        InputError: If it is given and there is no GPU that computes in it.
    """
    if arguments.bf16 is None:
        arguments.bf16 = bf16_supported() and not (arguments.fp16 or arguments.use_cpu)
    if arguments.bf16 and not arguments.use_cpu and not is_torch_bf16_gpu_available():
        raise InputError(
            "--bf16: needs a GPU that computes in bfloat16, there is none. Leave it out, or --use_cpu true."
        )


def require_finite(*dataclasses: object) -> None:
    """Refuse infinite numbers and NaN, which pass every comparison that refuses.

    Raises:
        InputError: With the flag's name.
    """
    for flags in dataclasses:
        for name, value in vars(flags).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"--{name}: must be a finite number, got {value}.")


def require_reporters(names: Iterable[str]) -> None:
    """Refuse reporters that are unknown or cannot report here.

    Raises:
        InputError: With the package that is missing.
    """
    try:
        for name, callback in zip(names, get_reporting_integration_callbacks(names), strict=True):
            packages = _PACKAGES.get(name, (name,))
            if packages and not any(map(find_spec, packages)):
                raise InputError(f"--report_to {name}: needs the package {packages[0]}. Install it, or leave this out.")
            callback()  # refuses what else it lacks
    except InputError:
        raise
    except (ImportError, RuntimeError, ValueError) as error:
        raise InputError(f"--report_to: {first_line(error)} Or leave it out.") from None


@dataclass
class PretrainArguments(TrainerDefaults, TrainingArguments):  # type: ignore[misc] # some are narrower
    """Arguments of the transformers Trainer, checked."""

    # None and not a default_factory, which transformers' parser takes for false.
    bf16: bool | None = field(  # type: ignore[assignment]
        default=None,
        metadata={"help": "Compute in bfloat16; where a GPU has it, unless --fp16."},
    )
    dataloader_pin_memory: bool = field(
        default_factory=torch.cuda.is_available, metadata={"help": "Page-locked batches, for GPUs."}
    )

    def __post_init__(self) -> None:
        choose_precision(self)
        for end in ("", "_kwargs"):  # names of before transformers 5.23, which warns of them
            old, new = f"gradient_checkpointing{end}", f"activation_checkpointing{end}"
            if hasattr(self, new) and getattr(self, new) is None:
                setattr(self, new, getattr(self, old))
        super().__post_init__()
