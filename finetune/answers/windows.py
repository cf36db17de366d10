"""Questions with their contexts, cut into windows that a model can read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from design_space.errors import InputError
from finetune.rows.squad import Question

_BATCH = 1_000  # questions whose encodings are in memory together


@dataclass(frozen=True, eq=False)
class Window:
    """One input of a model: a question and a part of its context.

    Attributes:
        features: What a model is given: arrays over its T tokens, shape (T,), under the tokenizer's names, and for
            training the numbers `start_positions` and `end_positions`.
        question: Index of its question.
        offsets: Where each token begins and ends in the context, in characters, shape (T, 2); −1 outside the context.
        null_position: The token that stands for "no answer": [CLS] or what the tokenizer has instead.
    """

    features: dict[str, NDArray[np.int32] | int]
    question: int
    offsets: NDArray[np.int32]
    null_position: int


def windows(
    questions: Sequence[Question],
    tokenizer: PreTrainedTokenizerBase,
    max_seq_length: int,
    doc_stride: int,
    for_training: bool,
) -> list[Window]:
    """Tokenize questions with their contexts, in as many overlapping windows as each context takes.

    A tokenizer that pads on the left is given the context first, and its windows are padded here to `max_seq_length`,
    since padding of a batch would move their positions. Other windows are not padded.

    Args:
        questions: At least one, checked (see `finetune.rows.squad`).
        tokenizer: A fast one.
        max_seq_length: Tokens of a window at most, special ones included.
        doc_stride: Tokens that a window shares with the one before it.
        for_training: Add where the first answer lies: its first and last token, or the null position twice where the
            window does not hold the whole answer.

    Returns:
        Windows in the order of the questions, at least one for each.

    Raises:
        InputError: If the tokenizer is not a fast one, or the longest question leaves too few tokens to the context.
    """
    if not tokenizer.is_fast:
        raise InputError(
            f"windows: tokenizer must be a fast one, which knows where tokens lie, got {type(tokenizer).__name__}. "
            "Take a checkpoint that has tokenizer.json."
        )
    _check_room(questions, tokenizer, max_seq_length, doc_stride)
    result: list[Window] = []
    for first, batch in _batches(questions):
        result += _cut(batch, first, tokenizer, max_seq_length, doc_stride)
    if for_training:
        for window in result:
            start, end = _answer_position(questions[window.question], window)
            window.features.update(start_positions=start, end_positions=end)
    return result


def _batches(questions: Sequence[Question]) -> Iterator[tuple[int, Sequence[Question]]]:
    for first in range(0, len(questions), _BATCH):
        yield first, questions[first : first + _BATCH]


def _asked(questions: Sequence[Question]) -> list[str]:
    # Some questions of SQuAD are padded with so much white space that byte-level tokenizers fill a window with it.
    return [question.question.strip() for question in questions]


def _check_room(
    questions: Sequence[Question], tokenizer: PreTrainedTokenizerBase, max_seq_length: int, doc_stride: int
) -> None:
    lengths = [
        len(ids)
        for _, batch in _batches(questions)
        for ids in tokenizer(_asked(batch), add_special_tokens=False, verbose=False)["input_ids"]
    ]
    longest = int(np.argmax(lengths))
    num_special = tokenizer.num_special_tokens_to_add(pair=True)
    room = max_seq_length - num_special - lengths[longest]
    name = questions[longest].id
    if room < 1:
        raise InputError(
            f"windows: max_seq_length must be greater than {max_seq_length - room}, since question {name!r} takes "
            f"{lengths[longest]} tokens and {num_special} are special ones, got {max_seq_length}. Raise it or leave "
            "the question out."
        )
    if not 0 <= doc_stride < room:
        raise InputError(
            f"windows: doc_stride must be at least 0 and less than {room}, the tokens that question {name!r} leaves to "
            f"its context, got {doc_stride}. Lower it or raise max_seq_length."
        )


def _cut(
    questions: Sequence[Question], first: int, tokenizer: PreTrainedTokenizerBase, max_seq_length: int, doc_stride: int
) -> Iterator[Window]:
    """Windows of one batch, whose first question has the index `first`."""
    context_last = tokenizer.padding_side == "right"
    texts = [_asked(questions), [question.context for question in questions]]
    encoded = tokenizer(
        *(texts if context_last else reversed(texts)),
        truncation="only_second" if context_last else "only_first",
        padding=False if context_last else "max_length",
        max_length=max_seq_length,
        stride=doc_stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    offsets, samples = encoded.pop("offset_mapping"), encoded.pop("overflow_to_sample_mapping")
    null_ids = _null_ids(tokenizer)
    for number, sample in enumerate(samples):
        sequence = np.array(encoded.sequence_ids(number), dtype=np.float64)  # NaN for special tokens
        in_context = sequence == (1 if context_last else 0)
        yield Window(
            features={name: np.array(values[number], dtype=np.int32) for name, values in encoded.items()},
            question=first + sample,
            offsets=np.where(in_context[:, None], np.array(offsets[number], dtype=np.int32), np.int32(-1)),
            null_position=_null_position(encoded.encodings[number], null_ids),
        )


def _null_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    # By the map of special tokens, since asking for the id of an absent one is logged as an error.
    tokens = [tokenizer.special_tokens_map.get(name) for name in ("cls_token", "bos_token")]
    return [tokenizer.backend_tokenizer.token_to_id(token) for token in tokens if token is not None]


def _null_position(encoding: Encoding, null_ids: Sequence[int]) -> int:
    """The first [CLS], else the first beginning-of-sequence token, else the first token that is no padding."""
    ids = encoding.ids
    found = [ids.index(null_id) for null_id in null_ids if null_id in ids]
    return found[0] if found else int(encoding.attention_mask.index(1))


def _answer_position(question: Question, window: Window) -> tuple[int, int]:
    """First and last token that share a character with the first answer, if the window holds all of it."""
    nothing = (window.null_position, window.null_position)
    if not question.answers:
        return nothing
    answer = question.answers[0]
    start = question.starts[0] + len(answer) - len(answer.lstrip())
    end = question.starts[0] + len(answer.rstrip())
    starts, ends = window.offsets.T
    tokens = np.flatnonzero((starts < end) & (ends > start))
    if not len(tokens) or starts[starts >= 0].min() > start or ends.max() < end:
        return nothing
    return int(tokens[0]), int(tokens[-1])
