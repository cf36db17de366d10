"""Weights of a trained neighbour for a new architecture."""

import torch

from design_space.architecture import Architecture
from design_space.model.modeling_flexibert import FlexiBertForMaskedLM


@torch.no_grad()
def transfer(
    source: FlexiBertForMaskedLM, target: FlexiBertForMaskedLM, source_form: Architecture, target_form: Architecture
) -> float:
    """Copy what two models share: embeddings, head, and every block that is equal at the same place.

    An operation's weights are copied where operation, parameter, heads and width agree, all others where name and shape
    do.

    Args:
        source: Trained model.
        target: Fresh model, changed in place.
        source_form: Architecture of the source.
        target_form: Architecture of the target.

    Returns:
        Share of the target's parameters that were copied, in [0, 1].
    """
    weights = source.state_dict()
    differing = tuple(
        f"flexibert.layers.{number}.operation."
        for number, (ours, theirs) in enumerate(zip(target_form.layers, source_form.layers, strict=False))
        if ours.operation_block != theirs.operation_block
    )
    copied = 0
    for name, parameter in target.named_parameters():
        given = weights.get(name)
        if given is not None and given.shape == parameter.shape and not name.startswith(differing):
            parameter.copy_(given)
            copied += parameter.numel()
    return copied / sum(parameter.numel() for parameter in target.parameters())
