"""Low-rank products beside the weights of linear layers, by peft.

Reference:
    Hu et al. 2021, arXiv 2106.09685, section 4.1.
"""

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import PreTrainedModel

from design_space.errors import InputError
from finetune.tuning.families import FLEXIBERT, family_of, operations, parts
from finetune.tuning.settings import Tuning


def add_lora(model: PreTrainedModel, tuning: Tuning) -> None:
    """Add products of rank r to the weights of the target layers, scaled by alpha / r.

    Raises:
        InputError: If a target is not there, the model's kind is not known, or a FlexiBERT layer has no weights.
    """
    ends = tuning.lora_target_modules or family_of(model, tuning.method).queries_and_values
    if model.config.model_type == FLEXIBERT:
        _require_weights(model)
    layers = [name for name, part in model.named_modules() if isinstance(part, nn.Linear) and not _is_head(model, name)]
    targets = []
    for end in ends:
        found = [name for name in layers if f".{name}".endswith(f".{end}")]
        if not found:
            raise InputError(
                f"--lora_target_modules: {end!r} must end the name of a linear layer below the head, ends none. "
                f"Give some of {', '.join(sorted({name.split('.')[-1] for name in layers}))}."
            )
        targets += found
    inject_adapter_in_model(LoraConfig(r=tuning.lora_rank, lora_alpha=tuning.lora_alpha, target_modules=targets), model)


def merge_lora(model: PreTrainedModel) -> None:
    """Add the products to the weights, and take what made them away."""
    added = [(name, part) for name, part in model.named_modules() if isinstance(part, LoraLayer)]
    for name, part in added:
        part.merge()
        model.set_submodule(name, part.get_base_layer())


def _is_head(model: PreTrainedModel, name: str) -> bool:
    """Whether a part is of the head, which is trained whole."""
    return hasattr(model, model.base_model_prefix) and not name.startswith(f"{model.base_model_prefix}.")


def _require_weights(model: PreTrainedModel) -> None:
    """Refuse transforms without relative positions, which have no query and no value."""
    with_weights = {name.split(".")[-3] for name, _ in parts(model, r"operation\.query")}
    for number, described in enumerate(operations(model)):
        if str(number) not in with_weights:
            raise InputError(
                f"--tuning lora: is not defined for {described}, a transform without weights. Take 'adapter'."
            )
