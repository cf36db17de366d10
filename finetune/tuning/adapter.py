"""Bottleneck adapters: two a layer, behind attention and behind the feed-forward.

Reference:
    Houlsby et al. 2019, arXiv 1902.00751, section 2.1.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from finetune.tuning.families import family_of, parts
from finetune.tuning.settings import Tuning


class Bottleneck(nn.Module):
    """x + W_up · gelu(W_down · x): the identity at first, as W_up is 0.

    Args:
        width: Of x.
        reduction_factor: Width over that of the bottleneck, which has one unit at least.

    Example:
        >>> import torch
        >>> x = torch.randn(3, 8)
        >>> bool((Bottleneck(8, 4)(x) == x).all())
        True
    """

    def __init__(self, width: int, reduction_factor: int) -> None:
        super().__init__()
        inner = max(1, width // reduction_factor)
        self.down = nn.Linear(width, inner)
        self.up = nn.Linear(inner, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) -> the same shape."""
        changed: Tensor = self.up(F.gelu(self.down(x)))
        return x + changed


def add_adapters(model: PreTrainedModel, tuning: Tuning) -> None:
    """Put an adapter behind attention and feed-forward of every layer; norms are trained too, as in the paper.

    Raises:
        InputError: If the model's kind is not known.
    """
    family = family_of(model, tuning.method)
    for name, part in [*parts(model, family.attention_output), *parts(model, family.feed_forward_output)]:
        width = part.out_features if isinstance(part, nn.Linear) else _layer_width(model, name)
        part.add_module("adapter", Bottleneck(width, tuning.adapter_reduction_factor).to(model.device))
        part.register_forward_hook(_adapt)
    for part in model.base_model.modules():
        if "norm" in type(part).__name__.lower():
            part.requires_grad_(True)


def _adapt(part: nn.Module, _: Any, output: Any) -> Any:
    """Hook: the output through the part's adapter; FlexiBERT's operations return probabilities beside it."""
    adapter = part.get_submodule("adapter")
    return (adapter(output[0]), *output[1:]) if isinstance(output, tuple) else adapter(output)


def _layer_width(model: PreTrainedModel, name: str) -> int:
    """Hidden size of the FlexiBERT layer that a part of this name belongs to."""
    number = next(int(word) for word in name.split(".") if word.isdigit())
    return int(model.config.model_dict["h"][number])
