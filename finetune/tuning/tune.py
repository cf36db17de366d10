"""Make a model ready for a way of tuning: what is added to it, and what of it is trained."""

from collections.abc import Callable, Iterator

from torch import nn
from transformers import PreTrainedModel

from design_space.errors import InputError
from finetune.tuning.adapter import add_adapters
from finetune.tuning.lora import add_lora
from finetune.tuning.prefix import add_prefixes
from finetune.tuning.prompt import add_prompt
from finetune.tuning.settings import FULL, Tuning


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
    if not num_trained(model):
        kind = model.config.model_type
        raise InputError(
            f"--tuning {tuning.method}: is not defined for {kind}, which has none of its own. Take 'full'."
        )


def num_trained(model: nn.Module) -> int:
    """Parameters that learn."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def head_parts(model: PreTrainedModel) -> Iterator[nn.Module]:
    """What stands on the base model with weights of its own, and the pooler in it; of a T5 that writes nothing."""
    base = getattr(model, model.base_model_prefix, None)
    if base is None:
        return
    of_base = {id(parameter) for parameter in base.parameters()}
    for part in model.children():
        if of_base.isdisjoint(map(id, part.parameters())):
            yield part
    if isinstance(pooler := getattr(base, "pooler", None), nn.Module):
        yield pooler


def _add_nothing(_: PreTrainedModel, __: Tuning) -> None:
    """For the head alone."""


def _train_biases(model: PreTrainedModel, _: Tuning) -> None:
    """As Ben Zaken, Ravfogel, Goldberg 2021, arXiv 2106.10199."""
    biases = [parameter for name, parameter in model.base_model.named_parameters() if name.endswith(".bias")]
    if not biases:
        raise InputError(
            f"--tuning bitfit: is not defined for {model.config.model_type}, which has no biases. Take 'full'."
        )
    for bias in biases:
        bias.requires_grad_(True)


_METHODS: dict[str, Callable[[PreTrainedModel, Tuning], None]] = {
    "adapter": add_adapters,
    "lora": add_lora,
    "prompt": add_prompt,
    "prefix": add_prefixes,
    "head": _add_nothing,
    "bitfit": _train_biases,
}
