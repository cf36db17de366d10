"""All arguments of fine-tuning's Trainer: those of transformers, with the defaults of `finetune.config`."""

from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments
from transformers.training_args import OptimizerNames

from design_space.errors import InputError, did_you_mean
from finetune.config import ADAMW, LEARNING_RATES, MFAC, TrainerDefaults
from finetune.tuning.settings import Tuning
from pretrain.arguments import choose_precision

_OPTIMIZERS = [ADAMW, *(name.value for name in OptimizerNames), MFAC]


@dataclass
class FinetuneArguments(TrainerDefaults, TrainingArguments):  # type: ignore[misc] # some are narrower
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
        is_mfac = self.optim.lower() == MFAC
        if not is_mfac and self.optim not in _OPTIMIZERS:
            near = did_you_mean(self.optim, _OPTIMIZERS)
            raise InputError(f"--optim: must be one of {', '.join(_OPTIMIZERS)}, got {self.optim!r}.{near}")
        if self.learning_rate is None:
            self.learning_rate = LEARNING_RATES[self.tuning]
        choose_precision(self)
        if self.early_stopping_patience is not None:
            self.eval_strategy = self.save_strategy = "epoch"
            self.load_best_model_at_end, self.save_only_model, self.save_total_limit = True, True, 1
            self.metric_for_best_model, self.greater_is_better = "score", True
        if self.optim == ADAMW:
            self.optim = self.default_optim
        if is_mfac:  # transformers refuses names that it does not know
            self.optim = OptimizerNames.SGD
        super().__post_init__()
        if is_mfac:
            self.optim = MFAC

    def tuned(self) -> Tuning:
        """What is trained.

        Raises:
            InputError: If a number is outside its range.
        """
        return Tuning(
            method=self.tuning,
            adapter_reduction_factor=self.adapter_reduction_factor,
            lora_rank=self.lora_rank,
            lora_alpha=self.lora_alpha,
            lora_target_modules=tuple(self.lora_target_modules),
            num_virtual_tokens=self.num_virtual_tokens,
            reparameterization_size=self.reparameterization_size,
        )
