from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from design_space import Architecture, Layer
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from design_space.model.transfer import transfer

A = Layer("sa", "sdp", 16, 4, (24,))
B = Layer("c", "5", 16, 4, (24,))
Draw = Callable[[np.random.Generator], Architecture]


def build(architecture: Architecture, seed: int, **kwargs: Any) -> FlexiBertForMaskedLM:
    """A model with every weight drawn, none at its initial 0 or 1."""
    given = FlexiBertConfig.from_architecture(architecture, vocab_size=40, max_position_embeddings=12, **kwargs)
    model = FlexiBertForMaskedLM(given).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return model


def transferred(source_form: Architecture, target_form: Architecture) -> tuple[dict[str, bool], float]:
    """For each weight of the target whether it now is the source's, and the share told; the rest must be untouched."""
    source, target = build(source_form, 1), build(target_form, 2)
    before = {name: weight.detach().clone() for name, weight in target.named_parameters()}
    kept = {name: weight.detach().clone() for name, weight in source.named_parameters()}
    share = transfer(source, target, source_form, target_form)
    copied = {}
    for name, weight in target.named_parameters():
        copied[name] = name in kept and torch.equal(weight, kept[name])
        assert copied[name] or torch.equal(weight, before[name])
    assert all(torch.equal(weight, kept[name]) for name, weight in source.named_parameters())
    sizes = {name: weight.numel() for name, weight in before.items()}
    assert share == pytest.approx(sum(sizes[name] for name in sizes if copied[name]) / sum(sizes.values()), abs=1e-12)
    return copied, share


def logits(model: FlexiBertForMaskedLM) -> Tensor:
    ids = torch.randint(3, 40, (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(ids).logits


@pytest.mark.parametrize("positions", ["relative_key", "absolute"])
@pytest.mark.parametrize("seed", range(5))
def test_same_architecture_transfers_exactly(draw: Draw, seed: int, positions: str) -> None:
    architecture = draw(np.random.default_rng(seed))
    source, target = (build(architecture, number, position_embedding_type=positions) for number in (1, 2))
    assert not torch.equal(logits(source), logits(target))
    assert transfer(source, target, architecture, architecture) == 1.0
    assert torch.equal(logits(source), logits(target))
    assert target.lm_head.decoder.weight is target.flexibert.embeddings.word_embeddings.weight


@pytest.mark.parametrize(
    "other",
    [
        Layer("sa", "wma", 16, 4, (24,)),
        Layer("l", "dft", 16, 4, (24,)),
        Layer("sa", "sdp", 16, 2, (24,)),
        B,
    ],
    ids=["parameter", "transform", "heads", "convolution"],
)
def test_other_operation_is_not_copied_and_all_else_is(other: Layer) -> None:
    copied, share = transferred(Architecture((A, A, A)), Architecture((A, other, A)))
    missing = {name for name, is_copied in copied.items() if not is_copied}
    assert missing == {name for name in copied if name.startswith("flexibert.layers.1.operation.")}
    assert 0.5 < share < 1.0


def test_other_kernel_is_not_copied_even_where_shapes_agree() -> None:
    copied, _ = transferred(Architecture((B,)), Architecture((Layer("c", "9", 16, 4, (24,)),)))
    assert not any(is_copied for name, is_copied in copied.items() if ".operation." in name)
    assert not any(
        is_copied
        for name, is_copied in transferred(
            Architecture((Layer("l", "dft", 16, 4, (24,)),)), Architecture((Layer("l", "dct", 16, 4, (24,)),))
        )[0].items()
        if ".operation." in name
    )


def test_other_sizes_are_not_copied() -> None:
    wide = Layer("sa", "sdp", 32, 4, (24,))
    copied, share = transferred(Architecture((A, A)), Architecture((A, wide)))
    second = {name for name, is_copied in copied.items() if is_copied and name.startswith("flexibert.layers.1.")}
    assert second == {"flexibert.layers.1.feed_forward.stack.0.bias"}  # 24 on both sides
    assert all(is_copied for name, is_copied in copied.items() if name.startswith("flexibert.layers.0."))
    assert not copied["lm_head.dense.weight"]
    assert copied["flexibert.embeddings.word_embeddings.weight"]
    assert 0.0 < share < 1.0


def test_other_first_width_copies_no_embedding() -> None:
    wide = Layer("sa", "sdp", 32, 4, (24,))
    copied, share = transferred(Architecture((wide, A)), Architecture((A, A)))
    assert not any(is_copied for name, is_copied in copied.items() if ".embeddings." in name)
    assert 0.0 < share < 0.6


def test_layers_beyond_the_source_stay_fresh() -> None:
    copied, _ = transferred(Architecture((A, B)), Architecture((A, B, B, A)))
    fresh = {name.split(".")[2] for name, is_copied in copied.items() if not is_copied}
    assert fresh == {"2", "3"}
    copied, share = transferred(Architecture((A, B, B, A)), Architecture((A, B)))
    assert all(copied.values())
    assert share == 1.0


def test_other_feed_forward_sizes_are_not_copied() -> None:
    copied, _ = transferred(Architecture((A,)), Architecture((Layer("sa", "sdp", 16, 4, (20,)),)))
    missing = {name.removeprefix("flexibert.layers.0.") for name, is_copied in copied.items() if not is_copied}
    stack = {"feed_forward.stack.0.weight", "feed_forward.stack.0.bias", "feed_forward.output.weight"}
    assert missing == stack


def test_operation_of_another_width_gives_nothing_at_all() -> None:
    wide = Layer("c", "5", 32, 4, (24,))
    copied, _ = transferred(Architecture((A, B)), Architecture((A, wide)))
    assert [name for name, is_copied in copied.items() if is_copied and "layers.1.operation." in name] == []


def test_transferred_weights_still_learn() -> None:
    source, target = build(Architecture((A,)), 1), build(Architecture((A,)), 2)
    transfer(source, target, Architecture((A,)), Architecture((A,)))
    ids = torch.randint(3, 40, (2, 7), generator=torch.Generator().manual_seed(0))
    target(ids, labels=ids).loss.backward()
    assert all(weight.requires_grad and weight.grad.abs().max() > 1e-9 for weight in target.parameters())
    assert all(weight.grad is None for weight in source.parameters())
