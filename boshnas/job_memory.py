"""What the evaluation of an architecture takes of a device's memory."""

from collections.abc import Callable
from functools import cache
from typing import cast

import torch

from boshnas.worker.settings import MAX_POSITIONS, Settings
from design_space.architecture import Architecture
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from finetune.memory.activations import activation_bytes
from finetune.memory.model import planned_model
from finetune.memory.peak import peak
from pretrain.arguments import bf16_supported
from pretrain.memory import memory_bytes


def job_memory(settings: Settings) -> Callable[[Architecture], int]:
    """Reckons the bytes of tensors, weights included, of pre-training or fine-tuning, whichever are more.

    An architecture is reckoned once, in about half a second.

    Args:
        settings: What every worker is told.
    """
    is_half = bf16_supported()
    device, precision = "cuda" if torch.cuda.is_available() else "cpu", "bf16" if is_half else "fp32"
    recipe, finetuning = settings.pretrain, settings.finetune

    def reckon(architecture: Architecture) -> int:
        config = FlexiBertConfig.from_architecture(
            architecture,
            vocab_size=recipe.vocab_size,
            max_position_embeddings=MAX_POSITIONS,
            hidden_dropout_prob=settings.dropout,
            attention_probs_dropout_prob=settings.dropout,
        )
        with torch.device("meta"):
            language_model = FlexiBertForMaskedLM(config)
        pretraining = memory_bytes(
            language_model,
            num_sequences=recipe.per_device_train_batch_size,
            block_size=recipe.max_seq_length,
            mlm_probability=recipe.mlm_probability,
            is_half=is_half,
            device=device,
        )
        step = activation_bytes(
            planned_model(config),
            finetuning.per_device_train_batch_size,
            min(finetuning.max_seq_length, MAX_POSITIONS),
            device=device,
            precision=precision,
        )
        return max(pretraining, int(peak(step, precision=precision, device=device).total))

    return cast(Callable[[Architecture], int], cache(reckon))
