"""Make a model ready for a way of tuning: what is added to it, and what of it is trained."""

import logging
from collections.abc import Callable, Iterator

from torch import nn
from transformers import PreTrainedModel

from design_space.errors import InputError
from finetune.tuning.adapter import add_adapters
from finetune.tuning.families import encoder_of
from finetune.tuning.lora import add_lora
from finetune.tuning.prefix import add_prefixes
from finetune.tuning.prompt import add_prompt
from finetune.tuning.settings import FULL, Tuning

_logger = logging.getLogger(__name__)


def tune(model: PreTrainedModel, tuning: Tuning) -> None:
    """Freeze all but what is trained; add what the way of tuning adds.

    A classification or answer head is always trained, a pooler with it, since both are often fresh.

    Args:
        model: With a head; changed.
        tuning: What is trained.

    Raises:
        InputError: If the way of tuning is not defined for this kind of model or one of its operations.
    """
    if tuning.method == FULL:
        return
    model.requires_grad_(False)
    _METHODS[tuning.method](model, tuning)
    for part in head_parts(model):
        part.requires_grad_(True)
    model.train(model.training)  # what was added, too
    trained, total = num_trained(model), model.num_parameters()
    if not trained:
        kind = model.config.model_type
        raise InputError(f"--tuning {tuning.method}: {kind} has nothing that it would train. Take another way.")
    _logger.info(
        "%s: %s of %s parameters are trained, %.2f %%.",
        tuning.method,
        f"{trained:,}",
        f"{total:,}",
        100 * trained / total,
    )


def num_trained(model: nn.Module) -> int:
    """Parameters that learn."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def head_parts(model: PreTrainedModel) -> Iterator[nn.Module]:
    """What stands on the encoder, and the pooler in it; of an encoder-decoder nothing."""
    if model.config.is_encoder_decoder:
        return
    encoder = encoder_of(model)
    yield from (part for part in model.children() if part is not encoder)
    if isinstance(pooler := getattr(encoder, "pooler", None), nn.Module):
        yield pooler


def _train_output(model: PreTrainedModel, _: Tuning) -> None:
    """The head; of an encoder-decoder the projection to the vocabulary, where it is not the embeddings."""
    output = model.get_output_embeddings() if model.config.is_encoder_decoder else None
    embeddings = model.get_input_embeddings()
    if isinstance(output, nn.Module) and output.weight is not embeddings.weight:
        output.requires_grad_(True)


def _train_biases(model: PreTrainedModel, _: Tuning) -> None:
    """As Ben Zaken, Ravfogel, Goldberg 2021, arXiv 2106.10199."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias") and "relative_attention_bias" not in name:
            parameter.requires_grad_(True)


_METHODS: dict[str, Callable[[PreTrainedModel, Tuning], None]] = {
    "adapter": add_adapters,
    "lora": add_lora,
    "prompt": add_prompt,
    "prefix": add_prefixes,
    "head": _train_output,
    "bitfit": _train_biases,
}
