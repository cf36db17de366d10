"""The training run: seeds, resumption, the files of a run, and the refusals."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerFast

import design_space.model  # noqa: F401  (registers FlexiBERT with the Auto classes)
from design_space.architecture import Architecture, Layer
from design_space.errors import InputError
from pretrain.arguments import PretrainArguments
from pretrain.callbacks import DivergedError
from pretrain.corpus import PackedCorpus
from pretrain.train import build_model, pretrain

BATCH = 16
BLOCK_SIZE = 16


def test_a_new_model_fits_its_tokenizer(tokenizer: PreTrainedTokenizerFast):
    architecture = Architecture((Layer("sa", "sdp", 32, 2, (64,)), Layer("c", "5", 16, 2, (32,))))
    config = build_model(architecture, tokenizer, 24, hidden_dropout_prob=0.25).config
    assert config.model_dict == architecture.to_model_dict()
    assert (config.vocab_size, config.max_position_embeddings) == (300, 24)
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (1, 0, 2)
    assert config.hidden_dropout_prob == 0.25


def test_the_loss_falls_on_a_learnable_corpus(finished: Any):
    # A guess over 300 entries costs ln 300 = 5.7 nats; the words of the ten sentences are soon known.
    curve = np.loadtxt(finished.folder / "learning_curve.csv", delimiter=",", skiprows=1, usecols=(0, 1), max_rows=8)
    assert curve[0, 1] < math.log(300) + 0.3
    assert curve[-1, 1] < 0.6 * curve[0, 1]
    assert finished.result.held_out_loss < 0.6 * math.log(300)
    assert finished.result.loss == pytest.approx(curve[:, 1].mean(), rel=1e-4)


def test_learning_curve_has_a_row_for_each_logged_step(finished: Any):
    header, *rows = (finished.folder / "learning_curve.csv").read_text().splitlines()
    assert header == "step,loss,learning_rate,held_out_loss"
    assert [int(row.split(",")[0]) for row in rows] == list(range(10, 81, 10))


def test_result_holds_the_counts_of_the_run(finished: Any):
    result = finished.result
    assert json.loads((finished.folder / "result.json").read_text()) == asdict(result)
    assert result.num_steps == 80
    assert result.num_tokens == 80 * BATCH * BLOCK_SIZE
    assert result.params == sum(parameter.numel() for parameter in finished.model.base_model.parameters())
    assert result.seconds > 0


def test_every_step_is_reported(finished: Any):
    assert finished.steps == [(step, 80) for step in range(1, 81)]


def test_the_checkpoint_comes_back_with_equal_logits_and_its_tokenizer(
    finished: Any, tokenizer: PreTrainedTokenizerFast, corpus: PackedCorpus
):
    again = AutoModelForMaskedLM.from_pretrained(finished.folder).eval()
    model = finished.model.eval()
    ids = torch.from_numpy(corpus.held_out[:4].astype(np.int64))
    with torch.no_grad():
        logits = model(input_ids=ids).logits
        assert torch.equal(again(input_ids=ids).logits, logits)
    assert logits.shape == (4, BLOCK_SIZE, 300)
    assert logits.std() > 0.1
    text = "the girl slept in the park ."
    assert AutoTokenizer.from_pretrained(finished.folder)(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_the_same_seed_gives_the_same_loss_and_another_seed_does_not(
    train_tiny: Callable[..., Any], corpus: PackedCorpus, tmp_path: Path
):
    runs = [train_tiny(tmp_path / str(number), corpus, seed=seed) for number, seed in enumerate((3, 3, 4))]
    losses = [(run.result.loss, run.result.held_out_loss) for run in runs]
    assert losses[0] == losses[1]
    assert losses[0][0] != losses[2][0]


def test_blocks_mapped_from_disk_give_the_same_loss(
    train_tiny: Callable[..., Any], corpus: PackedCorpus, tmp_path: Path
):
    corpus.save(tmp_path / "packed")
    mapped = train_tiny(tmp_path / "mapped", PackedCorpus.load(tmp_path / "packed")).result
    assert mapped.loss == train_tiny(tmp_path / "memory", corpus).result.loss


def test_a_corpus_without_held_out_blocks_has_no_held_out_loss(
    train_tiny: Callable[..., Any], corpus: PackedCorpus, tmp_path: Path
):
    run = train_tiny(tmp_path, PackedCorpus(corpus.train, corpus.held_out[:0]))
    assert run.result.held_out_loss is None
    assert run.result.num_steps == 4


def test_accumulated_batches_have_the_mean_of_their_losses(
    train_tiny: Callable[..., Any], corpus: PackedCorpus, tmp_path: Path
):
    result = train_tiny(tmp_path, corpus, gradient_accumulation_steps=4, learning_rate=1e-9).result
    assert result.num_tokens == 4 * 4 * BATCH * BLOCK_SIZE
    assert result.loss == pytest.approx(result.held_out_loss, rel=0.1)


def test_four_accumulated_batches_are_one_four_times_as_large(
    train_tiny: Callable[..., Any], corpus: PackedCorpus, tmp_path: Path
):
    runs = [
        train_tiny(tmp_path / str(size), corpus, dropout=0.0, **settings)
        for size, settings in {
            4: {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
            16: {"per_device_train_batch_size": 16},
        }.items()
    ]
    curves = [np.loadtxt(run.folder / "learning_curve.csv", delimiter=",", skiprows=1, usecols=1) for run in runs]
    np.testing.assert_allclose(*curves, atol=1e-5)
    for one, other in zip(*(run.model.parameters() for run in runs), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_held_out_losses_need_held_out_blocks(train_tiny: Callable[..., Any], corpus: PackedCorpus, tmp_path: Path):
    with pytest.raises(InputError, match="--eval_strategy: must be 'no' where the corpus is too small"):
        train_tiny(tmp_path, PackedCorpus(corpus.train, corpus.held_out[:0]), eval_strategy="steps", eval_steps=2)


def test_held_out_losses_are_in_the_curve_and_the_same_in_any_batch(
    train_tiny: Callable[..., Any], corpus: PackedCorpus, tmp_path: Path
):
    found = []
    for size in (3, 64):
        folder = tmp_path / str(size)
        train_tiny(folder, corpus, eval_strategy="steps", eval_steps=2, per_device_eval_batch_size=size)
        rows = (line.split(",") for line in (folder / "learning_curve.csv").read_text().splitlines()[1:])
        found.append({int(row[0]): float(row[3]) for row in rows if row[3]})
    assert list(found[0]) == [2, 4]
    assert found[0] == pytest.approx(found[1], abs=1e-5)


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_a_batch_in_which_no_token_is_drawn_is_no_divergence(
    train_tiny: Callable[..., Any], corpus: PackedCorpus, tmp_path: Path, part: str
):
    # One word a block: at 15 % most batches of one block predict nothing, so six seeds cannot miss one that does not.
    word = np.array([[0, 60, 2, 2]], dtype=np.int32)
    blocks = PackedCorpus(word, corpus.held_out) if part == "train" else PackedCorpus(corpus.train, word)
    for seed in range(6):
        settings = {"seed": seed, "max_steps": 2, "per_device_train_batch_size": 1 if part == "train" else BATCH}
        result = train_tiny(tmp_path / str(seed), blocks, **settings).result
        assert math.isfinite(result.loss)
        assert result.held_out_loss is None or math.isfinite(result.held_out_loss)


@pytest.mark.parametrize("logging_steps", [1, 100])
def test_a_loss_that_is_no_number_ends_the_run_and_saves_nothing(
    train_tiny: Callable[..., Any], corpus: PackedCorpus, tmp_path: Path, logging_steps: int
):
    with pytest.raises(DivergedError, match=r"loss is (nan|inf) at step \d of 8"):
        train_tiny(tmp_path, corpus, learning_rate=1e30, max_steps=8, logging_steps=logging_steps)
    assert not (tmp_path / "config.json").exists()
    assert not (tmp_path / "result.json").exists()


def test_refuses_a_tokenizer_larger_than_the_model(
    tokenizer: PreTrainedTokenizerFast, corpus: PackedCorpus, word_tokenizer: Callable[..., Any], tmp_path: Path
):
    model = build_model(Architecture((Layer("sa", "sdp", 32, 2, (64,)),)), word_tokenizer(["a"]), 64)
    arguments = PretrainArguments(output_dir=str(tmp_path), use_cpu=True, max_steps=1)
    with pytest.raises(InputError, match="must fit the model's 6 entries, has 300"):
        pretrain(model, tokenizer, corpus, arguments)
