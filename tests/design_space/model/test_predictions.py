"""Scores at the tokens to predict alone: the same loss and gradients as scores at all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from design_space import Architecture, Layer
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM

VOCAB, NUM_TOKENS = 40, 11
Draw = Callable[[np.random.Generator], Architecture]
ONE_LAYER = Architecture((Layer("sa", "sdp", 16, 2, (8,)),))


def built(architecture: Architecture = ONE_LAYER, **kwargs: Any) -> FlexiBertForMaskedLM:
    torch.manual_seed(0)  # initial weights come from the global generator
    defaults = {"vocab_size": VOCAB, "max_position_embeddings": 16, "initializer_range": 0.2}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return FlexiBertForMaskedLM(FlexiBertConfig.from_architecture(architecture, **{**defaults, **dropout, **kwargs}))


def batch(num_rows: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids (B, T), labels for all tokens (B, T), and positions and labels (B, 3) of up to three predictions a row."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCAB, (num_rows, NUM_TOKENS), generator=generator)
    places = torch.rand(ids.shape, generator=generator).argsort(1)[:, :3].sort(1).values
    is_filling = torch.arange(3) > torch.arange(num_rows)[:, None] % 3
    places = places.masked_fill(is_filling, 0)
    labels = ids.gather(1, places).masked_fill(is_filling, -100)
    wide = torch.full_like(ids, -100)
    for row in range(num_rows):
        for place, label in zip(places[row], labels[row], strict=True):
            if label != -100:
                wide[row, place] = label
    return ids, wide, places, labels


@pytest.mark.parametrize("seed", range(6))
def test_loss_and_gradients_are_those_of_all_logits(draw: Draw, seed: int) -> None:
    model = built(draw(np.random.default_rng(seed))).train()
    ids, wide, places, labels = batch(seed=seed)
    found = []
    for given in ({"labels": wide}, {"labels": labels, "prediction_positions": places}):
        model.zero_grad()
        loss = model(ids, **given).loss
        loss.backward()
        found.append([loss.detach(), *(part.grad.clone() for part in model.parameters() if part.grad is not None)])
    for full, sparse in zip(*found, strict=True):
        torch.testing.assert_close(sparse, full, atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_logits_are_those_at_the_positions() -> None:
    model = built().eval()
    ids, _, places, labels = batch()
    output = model(ids, prediction_positions=places)
    assert output.loss is None
    assert output.logits.shape == (4, 3, VOCAB)
    torch.testing.assert_close(output.logits, model(ids).logits[torch.arange(4)[:, None], places])
    words = model.get_input_embeddings()(ids)
    assert torch.equal(model(inputs_embeds=words, prediction_positions=places).logits, output.logits)
    # By hand: the first row has one prediction, at its first place.
    loss = model(ids[:1], prediction_positions=places[:1], labels=labels[:1]).loss
    assert loss.item() == pytest.approx(-output.logits[0, 0].log_softmax(-1)[labels[0, 0]].item(), rel=1e-5)


@torch.no_grad()
def test_losses_over_a_given_number_add_up_to_the_mean_of_all() -> None:
    model = built().eval()
    ids, wide, places, labels = batch()
    mean = model(ids, prediction_positions=places, labels=labels).loss
    num_items = (labels != -100).sum()
    for number in (num_items, int(num_items), num_items.reshape(1, 1)):
        parts = [slice(0, 1), slice(1, 4)]
        sparse = [
            model(ids[p], prediction_positions=places[p], labels=labels[p], num_items_in_batch=number).loss
            for p in parts
        ]
        full = [model(ids[p], labels=wide[p], num_items_in_batch=number).loss for p in parts]
        for losses in (sparse, full):
            assert sum(losses).item() == pytest.approx(mean.item(), rel=1e-5)


class Rows(Dataset[dict[str, Tensor]]):
    """Four rows with one to three predictions each."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        ids, _, places, labels = batch()
        return {"input_ids": ids[index], "prediction_positions": places[index], "labels": labels[index]}


def test_the_trainers_gradient_does_not_depend_on_accumulation(tmp_path: Path) -> None:
    weights = []
    for size, steps in ((4, 1), (1, 4)):
        model = built()
        arguments = TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            max_steps=1,
            max_grad_norm=0.0,
            optim="sgd",
            learning_rate=1.0,
            lr_scheduler_type="constant",
            use_cpu=True,
            disable_tqdm=True,
            report_to="none",
            save_strategy="no",
        )
        before = [part.detach().clone() for part in model.parameters()]
        Trainer(model, arguments, train_dataset=Rows()).train()
        weights.append([after.detach() - part for after, part in zip(model.parameters(), before, strict=True)])
    assert max(step.abs().max() for step in weights[0]) > 1e-2
    for whole, accumulated in zip(*weights, strict=True):
        torch.testing.assert_close(accumulated, whole, atol=1e-6, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable:FutureWarning")
def test_autocast_and_checkpointing_stay_near() -> None:
    model = built().train()
    ids, _, places, labels = batch()
    given = {"prediction_positions": places, "labels": labels}
    exact = model(ids, **given).loss
    model.gradient_checkpointing_enable({"use_reentrant": False})
    torch.testing.assert_close(model(ids, **given).loss, exact)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(ids, **given)
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert output.loss.item() == pytest.approx(exact.item(), rel=0.02)


def test_it_compiles_without_a_graph_break() -> None:
    model = built().train()
    torch.compiler.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    ids, _, places, labels = batch()
    documents = (torch.arange(NUM_TOKENS) > 5).long().expand_as(ids)
    for extra in ({}, {"document_ids": documents, "num_items_in_batch": (labels != -100).sum()}):
        given = {"prediction_positions": places, "labels": labels, **extra}
        loss = compiled(ids, **given).loss
        torch.testing.assert_close(loss, model(ids, **given).loss, atol=1e-5, rtol=1e-5)
        loss.backward()


# Refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction_positions": torch.tensor([1, 2])}, r"must have the shape \(4, predictions a row\), got \(2,\)"),
        ({"prediction_positions": torch.zeros(3, 3).long()}, r"shape \(4, predictions a row\), got \(3, 3\)"),
        (
            {"labels": torch.zeros(4, NUM_TOKENS).long()},
            r"labels must have the shape \(4, 3\) of prediction_positions, got \(4, 11\)",
        ),
        (
            {"prediction_positions": torch.full((4, 3), NUM_TOKENS)},
            r"prediction_positions must be in 0 to 10, got 11\.",
        ),
        ({"labels": torch.full((4, 3), VOCAB)}, r"labels must be in 0 to 39, or -100 for no label, got 40\."),
    ],
    ids=["flat", "rows", "labels", "beyond the row", "beyond the vocabulary"],
)
def test_wrong_predictions_are_refused(change: dict[str, Tensor], message: str) -> None:
    ids, _, places, labels = batch()
    with pytest.raises(ValueError, match=message):
        built()(ids, **{"prediction_positions": places, "labels": labels, **change})
