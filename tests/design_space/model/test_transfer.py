from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from design_space import Architecture, InputError, Layer
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM, FlexiBertForSequenceClassification
from design_space.model.transfer import Mode, transfer

A = Layer("sa", "sdp", 16, 4, (24,))
B = Layer("c", "5", 16, 4, (24,))
Draw = Callable[[np.random.Generator], Architecture]


def build(architecture: Architecture, seed: int, **kwargs: Any) -> FlexiBertForMaskedLM:
    """A model with every weight drawn, none at its initial 0 or 1."""
    given = {"vocab_size": 40, "max_position_embeddings": 12, **kwargs}
    model = FlexiBertForMaskedLM(FlexiBertConfig.from_architecture(architecture, **given)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return model


def transferred(source_form: Architecture, target_form: Architecture, **kwargs: Any) -> tuple[Any, Any, Any]:
    """Source, target and what was taken; names, counts and untouched weights are checked on the way."""
    source, target = build(source_form, 1), build(target_form, 2)
    before = {name: weight.detach().clone() for name, weight in target.named_parameters()}
    kept = {name: weight.detach().clone() for name, weight in source.named_parameters()}
    taken = transfer(source, target, **kwargs)
    assert sorted(taken.equal + taken.partial + taken.fresh) == sorted(before)
    for name, weight in target.named_parameters():
        assert (name in taken.equal) == (name in kept and torch.equal(weight, kept[name]))
        assert (name in taken.fresh) == torch.equal(weight, before[name])
    assert all(torch.equal(weight, kept[name]) for name, weight in source.named_parameters())
    changed = sum(int((weight != before[name]).sum()) for name, weight in target.named_parameters())
    assert taken.share == pytest.approx(changed / target.num_parameters(), abs=1e-9)
    return source, target, taken


def logits(model: FlexiBertForMaskedLM) -> Tensor:
    ids = torch.randint(3, 40, (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(ids).logits


@pytest.mark.parametrize("mode", ["ordered", "random_projection"])
@pytest.mark.parametrize("positions", ["relative_key", "absolute"])
@pytest.mark.parametrize("seed", range(5))
def test_same_architecture_transfers_exactly(draw: Draw, seed: int, positions: str, mode: Mode) -> None:
    architecture = draw(np.random.default_rng(seed))
    source, target = (build(architecture, number, position_embedding_type=positions) for number in (1, 2))
    assert not torch.equal(logits(source), logits(target))
    taken = transfer(source, target, mode)
    assert (taken.share, taken.partial, taken.fresh) == (1.0, (), ())
    assert torch.equal(logits(source), logits(target))
    assert target.lm_head.decoder.weight is target.flexibert.embeddings.word_embeddings.weight


def operation_of(names: tuple[str, ...], number: int) -> set[str]:
    prefix = f"flexibert.layers.{number}.operation."
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def test_another_kind_of_operation_starts_fresh_and_all_else_is_copied() -> None:
    for other in (Layer("l", "dft", 16, 4, (24,)), B):
        _, _, taken = transferred(Architecture((A, A, A)), Architecture((A, other, A)))
        assert taken.partial == ()
        assert len(operation_of(taken.fresh, 1)) == len(taken.fresh) > 0
        assert 0.5 < taken.share < 1.0


def test_weighted_attention_takes_the_projections_of_the_plain_one() -> None:
    _, _, taken = transferred(Architecture((A,)), Architecture((Layer("sa", "wma", 16, 4, (24,)),)))
    assert taken.partial == ()
    assert operation_of(taken.fresh, 0) == {"weighting"}


def test_weighted_attention_starts_as_the_plain_one_that_it_came_from() -> None:
    weighted = Architecture((Layer("sa", "wma", 16, 4, (24,)),))
    source = build(Architecture((A,)), 1)
    given = FlexiBertConfig.from_architecture(weighted, vocab_size=40, max_position_embeddings=12)
    target = FlexiBertForMaskedLM(given).eval()
    transfer(source, target)
    torch.testing.assert_close(logits(target), logits(source))


def test_one_transform_takes_the_attention_of_the_other() -> None:
    dft, dct = (Architecture((Layer("l", kind, 16, 4, (24,)),)) for kind in ("dft", "dct"))
    assert transferred(dft, dct)[2].share == 1.0


def test_another_number_of_heads_copies_the_leading_ones() -> None:
    source, target, taken = transferred(Architecture((A,)), Architecture((Layer("sa", "sdp", 16, 2, (24,)),)))
    ours = target.flexibert.layers[0].operation
    theirs = source.flexibert.layers[0].operation
    # Two heads of 8 channels take the first 4 channels of two of four heads.
    for number in (0, 1):
        rows, given = slice(8 * number, 8 * number + 4), slice(4 * number, 4 * number + 4)
        assert torch.equal(ours.query.weight[rows], theirs.query.weight[given])
        assert torch.equal(ours.output.weight[:, rows], theirs.output.weight[:, given])
    ours, theirs = ours.attention.relative.distance_embedding, theirs.attention.relative.distance_embedding
    assert torch.equal(ours.weight[:, :4], theirs.weight)
    assert "query.weight" in operation_of(taken.partial, 0)


def test_kernels_are_aligned_at_their_middle() -> None:
    source, target, taken = transferred(Architecture((B,)), Architecture((Layer("c", "9", 16, 4, (24,)),)))
    ours, theirs = target.flexibert.layers[0].operation, source.flexibert.layers[0].operation
    assert torch.equal(ours.depthwise[2:7], theirs.depthwise)
    for head in range(2):
        assert torch.equal(
            ours.kernel.weight[9 * head + 2 : 9 * head + 7], theirs.kernel.weight[5 * head : 5 * head + 5]
        )
    assert operation_of(taken.partial, 0) == {"depthwise", "kernel.weight", "kernel.bias"}
    assert taken.fresh == ()


def test_a_convolutions_two_halves_stay_apart() -> None:
    wide = Layer("c", "5", 32, 4, (24,))
    source, target, _ = transferred(Architecture((wide,)), Architecture((B,)))
    ours = target.flexibert.layers[0].operation.output.weight.view(16, 2, 2, 4)
    theirs = source.flexibert.layers[0].operation.output.weight.view(32, 2, 2, 8)
    assert torch.equal(ours, theirs[:16, :, :, :4])


def test_distances_are_aligned_at_zero() -> None:
    architecture = Architecture((A,))
    source, target = build(architecture, 1), build(architecture, 2, max_position_embeddings=9)
    transfer(source, target)
    ours, theirs = (
        model.flexibert.layers[0].operation.attention.relative.distance_embedding.weight for model in (target, source)
    )
    assert torch.equal(ours, theirs[3:-3])
    torch.testing.assert_close(logits(target), logits(source))


def test_other_sizes_copy_a_leading_block() -> None:
    wide = Layer("sa", "sdp", 32, 4, (40,))
    source, target, taken = transferred(Architecture((A, A)), Architecture((A, wide)))
    ours, theirs = (model.flexibert.layers[1].feed_forward.stack[0] for model in (target, source))
    assert torch.equal(ours.weight[:24, :16], theirs.weight)
    assert torch.equal(ours.bias[:24], theirs.bias)
    assert torch.equal(target.lm_head.dense.weight[:, :16], source.lm_head.dense.weight)
    assert "flexibert.layers.1.projection.weight" in taken.fresh
    assert all(name in taken.equal for name, _ in target.named_parameters() if ".layers.0." in name)
    assert 0.0 < taken.share < 1.0


def test_another_first_width_copies_the_leading_channels_of_the_embeddings() -> None:
    wide = Layer("sa", "sdp", 32, 4, (24,))
    source, target, taken = transferred(Architecture((wide, A)), Architecture((A, A)))
    ours, theirs = (model.flexibert.embeddings for model in (target, source))
    assert torch.equal(ours.word_embeddings.weight, theirs.word_embeddings.weight[:, :16])
    assert torch.equal(ours.LayerNorm.weight, theirs.LayerNorm.weight[:16])
    assert taken.share == 1.0


def test_layers_beyond_the_source_stay_fresh() -> None:
    taken = transferred(Architecture((A, B)), Architecture((A, B, B, A)))[2]
    assert {name.split(".")[2] for name in taken.fresh} == {"2", "3"}
    taken = transferred(Architecture((A, B, B, A)), Architecture((A, B)))[2]
    assert taken.share == 1.0


@pytest.mark.parametrize("positions", ["relative_key", "absolute"])
@pytest.mark.parametrize("mode", ["ordered", "random_projection"])
@pytest.mark.parametrize("seed", range(8))
def test_any_two_architectures_transfer(draw: Draw, seed: int, mode: Mode, positions: str) -> None:
    forms = [draw(np.random.default_rng([seed, number])) for number in range(2)]
    source, target = (build(form, number, position_embedding_type=positions) for number, form in enumerate(forms))
    taken = transfer(source, target, mode)
    assert 0.0 < taken.share <= 1.0
    assert logits(target).isfinite().all()


# Random projection


def test_projected_products_are_kept_where_channels_are_added() -> None:
    wide = Layer("sa", "sdp", 32, 4, (24,))
    source, target, taken = transferred(Architecture((A,)), Architecture((wide,)), mode="random_projection")
    ours, theirs = target.flexibert, source.flexibert
    words, given = ours.embeddings.word_embeddings.weight, theirs.embeddings.word_embeddings.weight
    torch.testing.assert_close(words @ words.T, given @ given.T, atol=1e-4, rtol=1e-4)
    inner = words @ ours.layers[0].feed_forward.stack[0].weight.T
    torch.testing.assert_close(inner, given @ theirs.layers[0].feed_forward.stack[0].weight.T, atol=1e-4, rtol=1e-4)
    query, key = (words @ part.weight.T for part in (ours.layers[0].operation.query, ours.layers[0].operation.key))
    source_parts = (theirs.layers[0].operation.query, theirs.layers[0].operation.key)
    source_query, source_key = (given @ part.weight.T for part in source_parts)
    for head in range(4):
        scores = query[:, 8 * head : 8 * head + 8] @ key[:, 8 * head : 8 * head + 8].T / 8**0.5
        expected = source_query[:, 4 * head : 4 * head + 4] @ source_key[:, 4 * head : 4 * head + 4].T / 4**0.5
        torch.testing.assert_close(scores, expected, atol=1e-3, rtol=1e-3)
    assert taken.share == 1.0


def test_projected_norms_keep_the_length_of_what_they_scale() -> None:
    wide = Layer("sa", "sdp", 64, 4, (24,))
    source, target = build(Architecture((A,)), 1), build(Architecture((wide,)), 2)
    norm = source.flexibert.embeddings.LayerNorm
    with torch.no_grad():
        norm.weight.fill_(0.5)
    transfer(source, target, "random_projection")
    torch.testing.assert_close(target.flexibert.embeddings.LayerNorm.weight, torch.full((64,), 0.25))


def test_projections_are_repeatable_by_seed() -> None:
    narrow = Architecture((Layer("sa", "sdp", 8, 2, (8,)),))
    drawn = [build(narrow, 2) for _ in range(3)]
    for model, seed in zip(drawn, (5, 5, 6), strict=True):
        transfer(build(Architecture((A,)), 1), model, "random_projection", seed)
    assert torch.equal(logits(drawn[0]), logits(drawn[1]))
    assert not torch.equal(logits(drawn[0]), logits(drawn[2]))


def test_an_unknown_mode_is_refused() -> None:
    model = build(Architecture((A,)), 1)
    with pytest.raises(InputError, match="mode must be one of ordered, random_projection, got 'random'"):
        transfer(model, model, "random")  # type: ignore[arg-type]


def test_heads_are_taken_along() -> None:
    configs = [
        FlexiBertConfig.from_architecture(Architecture((form,)), vocab_size=40, num_labels=3)
        for form in (A, Layer("sa", "sdp", 32, 4, (24,)))
    ]
    source, target = (FlexiBertForSequenceClassification(config) for config in configs)
    taken = transfer(source, target)
    assert torch.equal(target.classifier.out_proj.weight[:, :16], source.classifier.out_proj.weight)
    assert torch.equal(target.classifier.dense.weight[:16, :16], source.classifier.dense.weight)
    assert "classifier.out_proj.bias" in taken.equal
    with_other_head = transfer(build(Architecture((A,)), 1), source)
    assert {name.split(".")[0] for name in with_other_head.fresh} == {"classifier"}


def test_an_encoder_and_a_model_with_a_head_give_to_each_other() -> None:
    headed, other = build(Architecture((A,)), 1), build(Architecture((A,)), 2)
    taken = transfer(headed, other.flexibert)
    assert taken.share == 1.0
    assert torch.equal(
        other.flexibert.layers[0].operation.query.weight, headed.flexibert.layers[0].operation.query.weight
    )
    third = build(Architecture((A,)), 3)
    assert {name.split(".")[0] for name in transfer(headed.flexibert, third).fresh} == {"lm_head"}


def test_transferred_weights_still_learn() -> None:
    source, target = build(Architecture((A,)), 1), build(Architecture((A,)), 2)
    transfer(source, target)
    ids = torch.randint(3, 40, (2, 7), generator=torch.Generator().manual_seed(0))
    target(ids, labels=ids).loss.backward()
    assert all(weight.requires_grad and weight.grad.abs().max() > 1e-9 for weight in target.parameters())
    assert all(weight.grad is None for weight in source.parameters())
