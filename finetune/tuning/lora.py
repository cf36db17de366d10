"""Low-rank products beside the weights of linear layers, by peft.

Reference:
    Hu et al. 2021, arXiv 2106.09685, section 4.1.
"""

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedModel

from design_space.errors import InputError, first_line
from finetune.tuning.families import FLEXIBERT, family_of, operations, parts
from finetune.tuning.settings import Tuning


def add_lora(model: PreTrainedModel, tuning: Tuning) -> None:
    """Add products of rank r to the weights of the target layers, scaled by alpha / r.

    Raises:
        InputError: If a target is not there, the model's kind is not known, or a FlexiBERT layer has no weights.
    """
    targets = list(tuning.lora_target_modules or family_of(model, tuning.method).queries_and_values)
    if model.config.model_type == FLEXIBERT:
        _require_weights(model)
    for target in targets:
        if not any(True for _ in parts(model, target)):
            raise InputError(f"--lora_target_modules: {target!r} must end the name of a linear layer, ends none.")
    config = LoraConfig(r=tuning.lora_rank, lora_alpha=tuning.lora_alpha, target_modules=targets)
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise InputError(f"--lora_target_modules: {first_line(error).rstrip('.')}. Name linear layers.") from None


def merge_lora(model: PreTrainedModel) -> None:
    """Add the products to the weights, and take what made them away."""
    added = [(name, part) for name, part in model.named_modules() if isinstance(part, LoraLayer)]
    for name, part in added:
        part.merge()
        model.set_submodule(name, part.get_base_layer())


def _require_weights(model: PreTrainedModel) -> None:
    """Refuse transforms without relative positions, which have no query and no value."""
    with_weights = {name.split(".")[-3] for name, _ in parts(model, r"operation\.query")}
    for number, described in enumerate(operations(model)):
        if str(number) not in with_weights:
            raise InputError(
                f"--tuning lora: is not defined for {described}, a transform without weights. Take 'adapter'."
            )
