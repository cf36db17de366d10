"""Masking: shares, whole words, seeds and workers; documents of a block; where words begin."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast

from design_space.architecture import Architecture, Layer
from design_space.errors import InputError
from pretrain.collate import Example, MaskingCollator, choose, document_ids, predictions, word_starts
from pretrain.corpus import PackedCorpus
from pretrain.reading import TrainingBlocks
from pretrain.train import build_model

IGNORED = -100
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


@pytest.fixture(scope="module")
def blocks(tokenizer: PreTrainedTokenizerFast) -> NDArray[np.int32]:
    """400 blocks of 100 ids, every tenth token special."""
    ids = np.random.default_rng(1).integers(5, len(tokenizer), (400, 100)).astype(np.int32)
    ids[:, ::10] = np.arange(10) % 5
    return ids


def examples(blocks: NDArray[np.int32], start: int = 0) -> list[Example]:
    return [Example(ids, index) for index, ids in enumerate(blocks, start)]


def scattered(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Labels at all places (B, T), −100 where there is nothing to predict."""
    wide = torch.full_like(batch["input_ids"], IGNORED)
    rows, columns = (batch["labels"] != IGNORED).nonzero(as_tuple=True)
    wide[rows, batch["prediction_positions"][rows, columns]] = batch["labels"][rows, columns]
    return wide


def masked(
    tokenizer: PreTrainedTokenizerFast, blocks: NDArray[np.int32], **settings: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids before and after masking, and labels, (B, T) each."""
    batch = MaskingCollator(tokenizer, **settings)(examples(blocks))
    return torch.from_numpy(blocks.astype(np.int64)), batch["input_ids"], scattered(batch)


# Shares


def test_shares_of_predicted_masked_replaced_and_kept(
    tokenizer: PreTrainedTokenizerFast, blocks: NDArray[np.int32]
) -> None:
    ids, inputs, labels = masked(tokenizer, blocks)
    predicted = labels != IGNORED
    # Of 90 ordinary tokens a block 13.5 are predicted: 13 or 14.
    assert set(predicted.sum(1).tolist()) == {13, 14}
    assert predicted.sum().item() / 36_000 == pytest.approx(0.15, abs=0.002)
    mask = (inputs == tokenizer.mask_token_id) & predicted
    replaced = (inputs != ids) & ~mask
    kept = predicted & (inputs == ids)
    shares = [part.sum().item() / predicted.sum().item() for part in (mask, replaced, kept)]
    # About 5,400 tokens: the tolerance is five standard deviations.
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.03)
    # Replacements come from the whole vocabulary, but for its special tokens.
    assert inputs[replaced].unique().numel() > 200
    assert (inputs[replaced] >= 5).all()


def test_every_token_has_the_same_chance(tokenizer: PreTrainedTokenizerFast, blocks: NDArray[np.int32]) -> None:
    _, _, labels = masked(tokenizer, blocks, mlm_probability=0.5)
    shares = (labels != IGNORED).float().mean(0)
    ordinary = torch.arange(100) % 10 != 0
    # Over 400 blocks the share has the deviation 0.025.
    assert (shares[ordinary] - 0.5).abs().max() < 0.125
    assert shares[~ordinary].max() == 0.0


def test_only_predicted_tokens_change_and_labels_are_what_was_there(
    tokenizer: PreTrainedTokenizerFast, blocks: NDArray[np.int32]
) -> None:
    ids, inputs, labels = masked(tokenizer, blocks, mlm_probability=0.9)
    predicted = labels != IGNORED
    assert torch.equal(labels[predicted], ids[predicted])
    assert torch.equal(inputs[~predicted], ids[~predicted])
    assert not (predicted & (ids < 5)).any()


def test_positions_are_in_order_and_filled_up_with_nothing_to_predict() -> None:
    ids = np.array([[10, 11, 12, 13], [20, 21, 22, 23]])
    chosen = np.array([[False, True, False, True], [False, False, True, False]])
    positions, labels = predictions(ids, chosen, least=3)
    assert positions.tolist() == [[1, 3, 0], [2, 0, 0]]
    assert labels.tolist() == [[11, 13, IGNORED], [22, IGNORED, IGNORED]]
    assert predictions(ids, chosen)[0].shape == (2, 2)


def test_batches_have_one_shape(tokenizer: PreTrainedTokenizerFast, blocks: NDArray[np.int32]) -> None:
    collator = MaskingCollator(tokenizer)
    shapes = {collator(examples(blocks[i : i + 2]))["labels"].shape for i in range(0, 40, 2)}
    assert shapes == {(2, 15)}


def test_a_short_block_has_a_token_to_predict_and_one_of_special_tokens_has_none(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    ids = np.array([[0, 60, 61, 2], [0, 2, 2, 1]])
    for reading in range(20):
        labels = MaskingCollator(tokenizer)(examples(ids, reading * len(ids)))["labels"]
        assert (labels != IGNORED).sum(1).tolist() == [1, 0]


# Whole words


def test_words_on_the_arc_are_chosen_by_hand() -> None:
    every = np.ones((1, 4), dtype=bool)
    keys = np.array([[0.9, 0.1, 0.5, 0.3]])
    for start, expected in ((0.0, [0, 1, 0, 1]), (0.25, [0, 0, 1, 1]), (0.75, [1, 1, 0, 0])):
        assert choose(every, every, keys, np.array([[start]]), 0.5).astype(int).tolist() == [expected]
    # Words [0, 1], [2], [3] stand in the order [3], [2], [0, 1] and begin at 0, 1 and 2.
    starts = np.array([[True, False, True, True]])
    for start, expected in ((0.0, [0, 0, 1, 1]), (0.5, [1, 1, 0, 0]), (0.75, [0, 0, 0, 1])):
        assert choose(every, starts, keys, np.array([[start]]), 0.5).astype(int).tolist() == [expected]


def test_every_word_has_the_same_chance_whatever_its_length() -> None:
    is_start = np.zeros((20_000, 12), dtype=bool)
    is_start[:, [0, 1, 3, 8]] = True  # words of 1, 2, 5 and 4 tokens
    rng = np.random.default_rng(0)
    draws = rng.random(is_start.shape), rng.random((len(is_start), 1))
    chosen = choose(np.ones_like(is_start), is_start, *draws, 0.4)
    for begin, end in ((0, 1), (1, 3), (3, 8), (8, 12)):
        word = chosen[:, begin:end]
        assert (word.all(1) == word.any(1)).all()
    # The arc of 4.8 tokens always holds a start but where a word of 5 fills it; the deviation is 0.0035.
    assert chosen.mean(0) == pytest.approx(np.full(12, 0.4), abs=0.02)


def test_whole_words_of_a_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    text = "the doctor slept in the park . zebra crossing " * 4
    ids = np.array([[0, *tokenizer(text, add_special_tokens=False)["input_ids"], 2]] * 300)
    _, _, labels = masked(tokenizer, ids, whole_words=True)
    chosen = (labels != IGNORED).numpy()
    starts = word_starts(tokenizer)[ids[0]]
    words = np.split(np.arange(1, ids.shape[1] - 1), np.flatnonzero(starts[1:-1])[1:])
    assert max(map(len, words)) > 2
    for word in words:
        assert (chosen[:, word].all(1) == chosen[:, word].any(1)).all()
    assert chosen[:, 1:-1].mean() == pytest.approx(0.15, abs=0.01)


def test_a_word_does_not_go_on_beyond_a_special_token(word_tokenizer: Callable[..., Any]) -> None:
    tokenizer = word_tokenizer(["a", "b"])
    collator = MaskingCollator(tokenizer, whole_words=True, mlm_probability=0.4)
    collator._starts_word = np.zeros(len(tokenizer), dtype=bool)  # no token is marked: spans between special tokens
    ids = np.array([[0, 5, 6, 2, 5, 6, 2]] * 50)
    chosen = scattered(collator(examples(ids))) != IGNORED
    assert (chosen[:, 1] == chosen[:, 2]).all()
    assert (chosen[:, 4] == chosen[:, 5]).all()
    assert (chosen[:, 1] != chosen[:, 4]).any()


def fast(model: Any, pre_tokenizer: Any = None, **kwargs: Any) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(model)
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="<mask>", unk_token="<unk>", **kwargs)


def numbered(*tokens: str) -> dict[str, int]:
    return {token: number for number, token in enumerate(("<unk>", "<mask>", *tokens))}


def test_marks_of_each_kind_of_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer("the doctor zzqx", add_special_tokens=False)["input_ids"]
    pieces = tokenizer.convert_ids_to_tokens(ids)
    assert word_starts(tokenizer)[ids].tolist() == [piece.startswith("Ġ") for piece in pieces]
    assert word_starts(tokenizer)[ids].sum() == 3
    wordpiece = fast(models.WordPiece(numbered("play", "##ing", "."), unk_token="<unk>"))
    assert word_starts(wordpiece)[2:].tolist() == [True, False, True]
    scores = [("<unk>", 0.0), ("<mask>", 0.0), ("▁play", -1.0), ("ing", -2.0)]
    unigram = fast(models.Unigram(scores, unk_id=0), pre_tokenizers.Metaspace())
    assert word_starts(unigram)[2:].tolist() == [True, False]
    words = fast(models.WordLevel(numbered("a", "b"), unk_token="<unk>"))
    assert word_starts(words)[2:].tolist() == [True, True]


# Seeds


def test_what_is_drawn_follows_seed_and_index_alone(
    tokenizer: PreTrainedTokenizerFast, blocks: NDArray[np.int32]
) -> None:
    given = examples(blocks[:8], 300)
    whole = MaskingCollator(tokenizer, seed=7)(given)
    np.random.seed(1)
    torch.manual_seed(1)
    collator = MaskingCollator(tokenizer, seed=7)
    collator(examples(blocks))  # what was drawn before does not matter, nor the batch
    for number in (5, 0, 7):
        alone = collator(given[number : number + 1])
        assert all(torch.equal(alone[name][0], whole[name][number]) for name in whole)
    for seed, start in ((8, 300), (7, 400)):
        other = MaskingCollator(tokenizer, seed=seed)(examples(blocks[:8], start))
        assert (scattered(other) == scattered(whole)).all(1).sum() == 0
    same_ids = [Example(blocks[0], index) for index in (0, 1)]
    first, second = scattered(collator(same_ids))
    assert not torch.equal(first, second)


def test_workers_change_nothing(tokenizer: PreTrainedTokenizerFast, blocks: NDArray[np.int32]) -> None:
    data, collator = TrainingBlocks(blocks[:12], 24, seed=0), MaskingCollator(tokenizer)
    plain = DataLoader(data, batch_size=4, collate_fn=collator)
    loader = DataLoader(data, batch_size=4, collate_fn=collator, num_workers=2)
    for ours, theirs in zip(plain, loader, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# Documents


def test_documents_end_with_their_end_token() -> None:
    ids = torch.tensor([[0, 7, 2, 8, 9, 2], [0, 2, 7, 7, 7, 7], [0, 7, 7, 2, 1, 1]])
    assert document_ids(ids, 2).tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1]]


def test_a_model_takes_a_batch_with_documents(tokenizer: PreTrainedTokenizerFast, corpus: PackedCorpus) -> None:
    collator = MaskingCollator(tokenizer, whole_words=True, with_document_ids=True)
    batch = collator(examples(corpus.train[:4]))
    ids = torch.from_numpy(corpus.train[:4].astype(np.int64))
    assert torch.equal(batch["document_ids"], document_ids(ids, 2))
    assert batch["document_ids"].max() > 0
    model = build_model(Architecture((Layer("l", "dft", 32, 2, (64,)), Layer("c", "5", 32, 2, (64,)))), tokenizer, 64)
    output = model(**batch)
    assert output.loss.isfinite()
    assert output.logits.shape == (*batch["labels"].shape, 300)


# Refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mlm_probability": 1.0}, r"masking: mlm_probability must be in \(0, 1\), got 1\.0"),
        ({"seed": -1}, "masking: seed must not be negative, got -1"),
    ],
)
def test_settings_beyond_their_range_are_refused(
    tokenizer: PreTrainedTokenizerFast, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        MaskingCollator(tokenizer, **settings)


def test_a_tokenizer_that_lacks_what_is_asked_for_is_refused(word_tokenizer: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="must have a mask token, has none"):
        MaskingCollator(word_tokenizer(["a"], mask_token=None))
    with pytest.raises(InputError, match="need a tokenizer with an eos or sep token"):
        MaskingCollator(word_tokenizer(["a"], eos_token=None), with_document_ids=True)
    bare = fast(models.BPE(numbered("a", "b"), []))
    with pytest.raises(InputError, match="whole words need a tokenizer that marks them"):
        MaskingCollator(bare, whole_words=True)


def test_blocks_of_several_lengths_are_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match="the blocks of a batch must have one length"):
        MaskingCollator(tokenizer)([Example([0, 5], 0), Example([0, 5, 6], 1)])
