"""Blocks of tokens to masked batches: what is to be predicted, and which tokens belong to one document.

Symbols: B blocks, T tokens of a block, P predictions of a block.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from design_space.errors import InputError
from pretrain.tokenizer import end_token_id

IGNORED_LABEL = -100
MASKED, REPLACED = 0.8, 0.1  # of the predicted tokens; the rest is kept


@dataclass(frozen=True)
class Example:
    """One block as a data set hands it over. No dict: the Trainer strips those of all but the model's arguments.

    Attributes:
        input_ids: Token ids, integers, shape (T,).
        index: Place in the reading: a block that is read again has another.
    """

    input_ids: Any
    index: int


class MaskingCollator:
    """Dynamic masking: other tokens of a block are predicted each time that it is read.

    Of the ordinary tokens of every block the share `mlm_probability` is predicted, exactly in expectation, and at least
    one where there is one: 80 % of these are masked, 10 % replaced by any ordinary token, 10 % kept. Special tokens are
    neither predicted nor drawn as replacements.

    What is drawn for a block is a function of (seed, index) alone, by a generator of its own with that seed: not
    of the batch, of the worker that makes it, or of what was drawn before. So a resumed run draws what an
    uninterrupted one does.

    Args:
        tokenizer: Gives vocabulary, special tokens, and where words begin.
        mlm_probability: Share of the ordinary tokens to predict, in (0, 1).
        seed: Not negative.
        whole_words: Predict all tokens of a word or none. Which of them are masked, replaced or kept is still drawn for
            each.
        with_document_ids: Also tell which document each token belongs to.

    Raises:
        InputError: If a setting breaks its rule, or the tokenizer lacks what it asks for.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        mlm_probability: float = 0.15,
        seed: int = 0,
        whole_words: bool = False,
        with_document_ids: bool = False,
    ) -> None:
        if not 0 < mlm_probability < 1:
            raise InputError(f"masking: mlm_probability must be in (0, 1), got {mlm_probability}.")
        if seed < 0:
            raise InputError(f"masking: seed must not be negative, got {seed}.")
        if tokenizer.mask_token_id is None:
            raise InputError("masking: the tokenizer must have a mask token, has none. Take another.")
        end = end_token_id(tokenizer)
        if with_document_ids and end is None:
            raise InputError("masking: document ids need a tokenizer with an eos or sep token. Take another.")
        self._probability, self._seed = mlm_probability, seed
        self._mask_id = int(tokenizer.mask_token_id)
        self._end_id = end if with_document_ids else None
        self._is_special = np.zeros(len(tokenizer), dtype=bool)
        self._is_special[tokenizer.all_special_ids] = True
        self._ordinary_ids = np.flatnonzero(~self._is_special)
        self._starts_word = word_starts(tokenizer) if whole_words else None

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Mask a batch.

        Args:
            examples: B blocks of one length T, without padding between tokens.

        Returns:
            `input_ids` (B, T); `prediction_positions` and `labels` (B, P), filled up with the place 0 and the label
            −100; `document_ids` (B, T) if asked for.

        Raises:
            InputError: If blocks differ in length.
        """
        if len({len(example.input_ids) for example in examples}) > 1:
            raise InputError("masking: the blocks of a batch must have one length. Pack them to one.")
        ids = np.stack([np.asarray(example.input_ids) for example in examples]).astype(np.int64)
        draws = self._draws(examples, ids.shape[1])
        chosen = self._chosen(ids, draws[:, 0], draws[:, 3, :1])
        # The greatest count that single tokens may reach: batches of one shape need one compiled graph.
        least = math.ceil(self._probability * ids.shape[1])
        positions, labels = predictions(ids, chosen, least)
        batch = {
            "input_ids": torch.from_numpy(self._masked(ids, chosen, draws[:, 1], draws[:, 2])),
            "prediction_positions": torch.from_numpy(positions),
            "labels": torch.from_numpy(labels),
        }
        if self._end_id is not None:
            batch["document_ids"] = document_ids(torch.from_numpy(ids), self._end_id)
        return batch

    def _draws(self, examples: Sequence[Example], num_tokens: int) -> NDArray[np.float64]:
        """Uniform numbers (B, 4, T): order, fate and replacement of each token; of the last only the first is used."""
        draws = np.empty((len(examples), 4, num_tokens))
        for row, example in zip(draws, examples, strict=True):
            np.random.default_rng([self._seed, example.index]).random(out=row)
        return draws

    def _chosen(
        self, ids: NDArray[np.int64], keys: NDArray[np.float64], starts: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        is_ordinary = ~self._is_special[ids]
        is_start = is_ordinary
        if self._starts_word is not None:
            after_special = np.pad(~is_ordinary[:, :-1], ((0, 0), (1, 0)), constant_values=True)
            is_start = is_ordinary & (self._starts_word[ids] | after_special)
        return choose(is_ordinary, is_start, keys, starts, self._probability)

    def _masked(
        self,
        ids: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        fates: NDArray[np.float64],
        replacements: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        drawn = self._ordinary_ids[(replacements * len(self._ordinary_ids)).astype(np.int64)]
        changed = np.where(fates < MASKED, self._mask_id, np.where(fates < MASKED + REPLACED, drawn, ids))
        return np.where(chosen, changed, ids)


def choose(
    is_ordinary: NDArray[np.bool_],
    is_start: NDArray[np.bool_],
    keys: NDArray[np.float64],
    starts: NDArray[np.float64],
    probability: float,
) -> NDArray[np.bool_]:
    """Draw the tokens to predict, by whole words.

    The words of a row, in random order, close to a ring of its n ordinary tokens; those are taken that begin on an arc
    of probability · n tokens, which starts anywhere. So each word has the same chance, whatever its length, and words
    of one token give probability · n predictions but for rounding. Where none begins there, the first word is taken.

    Args:
        is_ordinary: Whether a token may be predicted, shape (B, T).
        is_start: Whether a word begins there, always after a token that may not be predicted, shape (B, T).
        keys: Uniform numbers that order the words, of which those at their starts count, shape (B, T).
        starts: Where the arc starts, as a share of the ring, in [0, 1), shape (B, 1).
        probability: In (0, 1).

    Returns:
        Whether each token is to be predicted, shape (B, T).
    """
    places = np.arange(is_ordinary.shape[1])
    first = np.maximum.accumulate(np.where(is_start, places, 0), axis=1)
    order = np.argsort(np.where(is_ordinary, np.take_along_axis(keys, first, 1), np.inf), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(places, order.shape), 1)
    begins = np.take_along_axis(ranks, first, 1)
    num_ordinary = is_ordinary.sum(axis=1, keepdims=True)
    on_arc = (begins - starts * num_ordinary) % np.maximum(num_ordinary, 1) < probability * num_ordinary
    chosen: NDArray[np.bool_] = is_ordinary & on_arc
    chosen |= is_ordinary & (begins == 0) & ~chosen.any(axis=1, keepdims=True)
    return chosen


def predictions(
    ids: NDArray[np.int64], chosen: NDArray[np.bool_], least: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions and labels of the chosen tokens, row by row and from left to right.

    Args:
        ids: Token ids before masking, shape (B, T).
        chosen: Whether each is to be predicted, shape (B, T).
        least: Smallest P.

    Returns:
        Places in their row and the tokens there, shape (B, P) each; rows with fewer fill up with 0 and −100.
    """
    counts = chosen.sum(axis=1, keepdims=True)
    num_predictions = max(least, int(counts.max()))
    places = np.argsort(~chosen, axis=1, kind="stable")[:, :num_predictions]
    is_filled = np.arange(places.shape[1]) >= counts
    labels = np.where(is_filled, IGNORED_LABEL, np.take_along_axis(ids, places, 1))
    return np.where(is_filled, 0, places), labels


def document_ids(ids: Tensor, end_id: int) -> Tensor:
    """Number the documents of packed blocks: start token, then documents with an end token after each.

    The start token belongs to the first document, an end token to the one before it, padding after the last end token
    is a document of its own.

    Args:
        ids: Token ids, shape (…, T).
        end_id: Of the end token.

    Returns:
        The number of end tokens before each token, same shape.

    Example:
        >>> document_ids(torch.tensor([[0, 7, 8, 2, 9, 2, 5]]), end_id=2).tolist()
        [[0, 0, 0, 0, 1, 1, 2]]
    """
    is_end = (ids == end_id).long()
    return is_end.cumsum(-1) - is_end


def word_starts(tokenizer: PreTrainedTokenizerBase) -> NDArray[np.bool_]:
    """Which tokens begin a word, by the tokenizer's own mark.

    Byte-level BPE (`Ġ`) and SentencePiece (`▁`) mark a token after a space, WordPiece (`##`) one that goes on; to a
    word-level tokenizer each token is a word.

    Args:
        tokenizer: Of any of these kinds.

    Returns:
        One value an id, shape (entries,).

    Raises:
        InputError: If it is of another kind.
    """
    model: Any = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    kind = type(model).__name__
    tokens = [str(token) for token in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))]
    if kind == "WordLevel":
        return np.ones(len(tokens), dtype=bool)
    if kind == "WordPiece":
        return np.array([not token.startswith(model.continuing_subword_prefix) for token in tokens])
    for mark in ("▁", "Ġ"):
        found = np.array([token.startswith(mark) for token in tokens])
        if kind in ("BPE", "Unigram") and found.any():
            return found
    raise InputError(
        "masking: whole words need a tokenizer that marks them (byte-level BPE, SentencePiece, WordPiece), got "
        f"{type(tokenizer).__name__}. Mask single tokens."
    )
