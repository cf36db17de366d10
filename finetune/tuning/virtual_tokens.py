"""Vectors that are learnt through a network and stand for themselves afterwards.

The networks are peft's.

References:
    Li and Liang 2021, arXiv 2101.00190, section 4.3; Liu et al. 2021, arXiv 2103.10385, section 3.2.
"""

import torch
from peft import PrefixEncoder, PrefixTuningConfig, PromptEncoder, PromptEncoderConfig
from torch import Tensor, nn
from transformers import PreTrainedModel

from design_space.errors import InputError
from finetune.tuning.families import num_positions
from finetune.tuning.settings import Tuning

_SHORT_TEXT = 8  # tokens: two words, and what begins, separates and ends them


class VirtualTokens(nn.Module):
    """P vectors of some width.

    Args:
        encoder: Maps the numbers 0 to P − 1 to them.
        num_tokens: P.
    """

    def __init__(self, encoder: nn.Module, num_tokens: int) -> None:
        super().__init__()
        self.encoder: nn.Module | None = encoder
        self.num_tokens = num_tokens
        self.vectors: nn.Parameter | None = None

    def forward(self) -> Tensor:
        """The vectors, (P, width)."""
        if self.vectors is not None:
            return self.vectors
        assert self.encoder is not None
        numbers = torch.arange(self.num_tokens, device=next(self.encoder.parameters()).device)
        made: Tensor = self.encoder(numbers)
        return made

    def settle(self) -> None:
        """Keep the vectors, and let the network go."""
        self.vectors = nn.Parameter(self().detach().clone())
        self.encoder = None


def prompt_tokens(tuning: Tuning, width: int) -> VirtualTokens:
    """Vectors in the place of embeddings, made by a network of three layers."""
    config = PromptEncoderConfig(
        num_virtual_tokens=tuning.num_virtual_tokens,
        token_dim=width,
        num_transformer_submodules=1,
        encoder_reparameterization_type="MLP",
        encoder_hidden_size=tuning.reparameterization_size,
    )
    return VirtualTokens(PromptEncoder(config), tuning.num_virtual_tokens)


def prefix_tokens(tuning: Tuning, width: int) -> VirtualTokens:
    """Keys and values of one attention beside each other, (P, 2 · width), made by a network of two layers."""
    config = PrefixTuningConfig(
        num_virtual_tokens=tuning.num_virtual_tokens,
        token_dim=width,
        num_layers=1,
        encoder_hidden_size=tuning.reparameterization_size,
        prefix_projection=True,
    )
    return VirtualTokens(PrefixEncoder(config), tuning.num_virtual_tokens)


def require_room(model: PreTrainedModel, tuning: Tuning) -> None:
    """Refuse as many virtual tokens as the model has positions, but for those of a short text.

    Raises:
        InputError: With both numbers.
    """
    positions = num_positions(model)
    if positions is not None and tuning.num_virtual_tokens > positions - _SHORT_TEXT:
        raise InputError(
            f"--num_virtual_tokens: must leave a text {_SHORT_TEXT} of the model's {positions} positions, got "
            f"{tuning.num_virtual_tokens}. Give at most {positions - _SHORT_TEXT}."
        )
