"""Groups of parameters with their own learning rates: lower layers change less than upper ones, a head more.

Symbols: L layers; depth 0 is the embeddings, depth 1 to L the layers, depth L + 1 the head.
"""

import re
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from torch import nn
from transformers import PreTrainedModel

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?|albert_layer_groups)\.(\d+)\.")


def parameter_groups(
    model: PreTrainedModel,
    *,
    learning_rate: float,
    weight_decay: float,
    decayed: Collection[str],
    layerwise_lr_decay: float = 1.0,
    head_learning_rate: float | None = None,
) -> list[dict[str, Any]]:
    """Groups for an optimizer, a learning rate each.

    A parameter at depth k learns at `learning_rate` · decay^(L + 1 − k).

    Args:
        model: An encoder with a head.
        learning_rate: Of the head, where it has none of its own.
        weight_decay: Of the parameters in `decayed`; 0 for the others.
        decayed: Names of parameters.
        layerwise_lr_decay: Factor from a layer to the one below it, in (0, 1].
        head_learning_rate: Of all that is not the encoder's; None: `learning_rate`.

    Returns:
        Groups with `params`, `lr` and `weight_decay`; every parameter that learns is in one of them.

    Reference:
        Howard and Ruder 2018, arXiv 1801.06146, section 3.2; Clark et al. 2020, arXiv 2003.10555, appendix B.
    """
    depths = depths_of(model)
    top = max(depths.values(), default=0)
    members: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if depths[name] == top:
            rate = learning_rate if head_learning_rate is None else head_learning_rate
        else:
            rate = learning_rate * layerwise_lr_decay ** (top - depths[name])
        members[rate, weight_decay if name in decayed else 0.0].append(parameter)
    return [{"params": found, "lr": rate, "weight_decay": decay} for (rate, decay), found in members.items()]


def depths_of(model: PreTrainedModel) -> dict[str, int]:
    """Depth of each parameter by name: embeddings 0, layers from 1, the head one above the last layer.

    What an encoder has beside embeddings and layers (a last norm, a pooler) counts to its last layer. An encoder whose
    layers share their weights has one.
    """
    encoder = f"{model.base_model_prefix}."
    names = [name for name, _ in model.named_parameters()]
    layers = {name: int(found[1]) + 1 for name in names if name.startswith(encoder) and (found := _LAYER.search(name))}
    last = max(layers.values(), default=0)

    def depth(name: str) -> int:
        if not name.startswith(encoder):
            return last + 1
        if name in layers:
            return layers[name]
        return 0 if "embed" in name else last

    return {name: depth(name) for name in names}
