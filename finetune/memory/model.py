"""A model without weights, as it would be fine-tuned: from a configuration, for plans."""

from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from design_space.architecture import Architecture
from design_space.errors import InputError
from design_space.model import FlexiBertConfig
from finetune.tuning.settings import Tuning
from finetune.tuning.tune import tune
from pretrain.config import MIN_VOCAB_SIZE

_MAX_POSITIONS = 512


def planned_model(
    config: PreTrainedConfig, *, tuning: Tuning | None = None, has_checkpoints: bool = False
) -> PreTrainedModel:
    """A model with a fresh head, on the device "meta".

    Args:
        config: Of a checkpoint; one with a decoder writes its answers, another labels its texts.
        tuning: What is added and learns; None: all learns.
        has_checkpoints: Whether layers are computed again in the backward pass.

    Raises:
        InputError: If there is no such model, it has no checkpoints, or the tuning is not defined for it.
    """
    kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForSequenceClassification
    try:
        with torch.device("meta"):
            model: PreTrainedModel = kind.from_config(config, dtype=torch.float32)
    except ValueError:
        name = config.model_type
        raise InputError(f"model: a {name} must have a head for texts, has none. Give an encoder, or T5.") from None
    if tuning is not None:
        tune(model, tuning)
    if has_checkpoints:
        if not model.supports_gradient_checkpointing:
            raise InputError(f"--gradient_checkpointing: a {config.model_type} has none. Leave it out.")
        # transformers before 5.23 has the other name alone.
        getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    model.train()
    return model


def planned_config(architecture: Architecture, vocab_size: int, length: int) -> FlexiBertConfig:
    """As pre-training would make it, with positions for a length in tokens.

    Raises:
        InputError: If a tokenizer cannot have so few entries.
    """
    if vocab_size < MIN_VOCAB_SIZE:
        raise InputError(f"--vocab_size: must be at least {MIN_VOCAB_SIZE}, got {vocab_size}.")
    positions = max(_MAX_POSITIONS, length)
    return FlexiBertConfig.from_architecture(architecture, vocab_size=vocab_size, max_position_embeddings=positions)
