"""A choice becomes a feature of several texts, and outputs the number of one."""

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from finetune.heads.by_problem import head_for
from finetune.heads.head import Head, Reading
from finetune.tasks import find_task

COPA = [
    {"premise": "the dog ran .", "choice1": "it saw a cat .", "choice2": "it slept .", "label": label}
    for label in (0, 1)
]


@pytest.fixture(scope="module")
def tokenizer(checkpoint: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(checkpoint)


def head(name: str, tokenizer: PreTrainedTokenizerBase, max_seq_length: int = 128) -> Head:
    return head_for(find_task(name), tokenizer, Reading(max_seq_length=max_seq_length, doc_stride=4))


def test_a_choice_has_a_text_for_each_and_batches_of_them(tokenizer: PreTrainedTokenizerBase):
    copa = head("copa", tokenizer)
    features = copa.features(COPA, for_training=True)
    texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in features[0]["input_ids"]]
    assert [text.strip()[-len(end) :] for text, end in zip(texts, ("cat .", "slept ."), strict=True)] == [
        "cat .",
        "slept .",
    ]
    assert [feature["labels"] for feature in features] == [0, 1]
    batch = copa.collator(features)
    assert batch["input_ids"].shape[:2] == (2, 2)
    outcome = copa.outcome(COPA, np.array([[1.0, 0.0], [2.0, 0.0]]))
    assert outcome.predictions == [0, 0]
    assert outcome.metrics == {"accuracy": 0.5}
