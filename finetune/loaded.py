"""What a model and its tokenizer must be once they are loaded, for a task.

Each of these raises `InputError` with the checkpoint's name where it is something else.
"""

import logging
import math
from collections.abc import Collection, Sequence
from typing import Any, cast

import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from design_space.errors import InputError
from finetune.tasks import Problem, Task

_logger = logging.getLogger(__name__)


def require_kind(checkpoint: str, config: PreTrainedConfig, task: Task) -> None:
    """Refuse an encoder for a task whose answers are to be written."""
    if task.problem is Problem.TEXT and not config.is_encoder_decoder:
        raise InputError(
            f"model: {checkpoint!r} must be an encoder-decoder for {task.name}, is of the kind {config.model_type} "
            "without a decoder. Give one such as T5."
        )


def require_start(checkpoint: str, model: PreTrainedModel) -> None:
    """Refuse a model that does not know with which token its texts begin."""
    try:
        cast(Any, model).prepare_decoder_input_ids_from_labels(labels=torch.zeros((1, 1), dtype=torch.long))
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            f"model: {checkpoint!r} must name decoder_start_token_id and pad_token_id in config.json, as T5 does; "
            "one is absent or not used. Add it, or give another kind of model."
        ) from None


def _trunk(model: PreTrainedModel, task: Task) -> str:
    """How the names of the weights begin that the checkpoint must hold: all of a model that writes texts."""
    return "" if task.problem is Problem.TEXT else f"{model.base_model_prefix}."


def require_weights(checkpoint: str, model: PreTrainedModel, missing: Collection[str], task: Task) -> None:
    """Refuse weights that are not those of the encoder, which would start from chance; a head and a pooler may."""
    trunk = _trunk(model, task)
    absent = sorted(name for name in missing if name.startswith(trunk) and "pooler" not in name)
    if absent:
        raise InputError(
            f"model: {checkpoint!r} must hold the weights of its {type(model.base_model).__name__}, lacks "
            f"{len(absent):,} of them, such as {absent[0]}. Give a checkpoint of the kind that config.json names."
        )


def require_shapes(
    checkpoint: str,
    model: PreTrainedModel,
    mismatched: Collection[tuple[str, Sequence[int], Sequence[int]]],
    task: Task,
) -> None:
    """Refuse an encoder of other shapes, whose weights would start from chance; warn of a head of another size.

    Args:
        checkpoint: Named in the messages.
        model: What was loaded.
        mismatched: Name of each weight that was not taken, its shape in the checkpoint and in the model.
        task: What the head is for.
    """
    if any(name.startswith(_trunk(model, task)) for name, _, _ in mismatched):
        raise InputError(
            f"model: {checkpoint!r} cannot be loaded: its weights do not have the shapes that config.json says. "
            "Give an encoder with its tokenizer."
        )
    if mismatched:
        _, saved, _ = min(mismatched)
        _logger.warning(
            "model: %r has a head of %d outputs, %s needs %d: its output layer starts afresh.",
            checkpoint,
            saved[0],
            task.name,
            task.num_outputs,
        )


def require_tokenizer(checkpoint: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer without words or a padding token, and one with more entries than the model embeds."""
    # Where a folder has no tokenizer, transformers makes one of the special tokens alone; T5's has a space sign too.
    if not set(tokenizer.get_vocab()) - {*tokenizer.all_special_tokens, "▁"}:
        raise InputError(f"model: {checkpoint!r} must come with its tokenizer, has none with words. Save it there.")
    if tokenizer.pad_token is None:
        raise InputError(f"model: the tokenizer of {checkpoint!r} must have a padding token, has none. Give it one.")
    embedded = getattr(model.get_input_embeddings(), "num_embeddings", math.inf)
    if len(tokenizer) > embedded:
        raise InputError(
            f"model: {checkpoint!r} embeds {embedded:,} tokens, its tokenizer has {len(tokenizer):,}. "
            "Give the tokenizer that the model was trained with."
        )
