"""Texts become features with their labels; outputs become labels and numbers, scored."""

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from finetune.heads.by_problem import head_for
from finetune.heads.head import Head, Reading
from finetune.tasks import find_task
from pretrain.callbacks import DivergedError

STSB = [
    {"sentence1": "the dog ran .", "sentence2": f"the {n} slept .", "label": v} for n, v in (("cat", 4.5), ("d", 3))
]


@pytest.fixture(scope="module")
def tokenizer(checkpoint: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(checkpoint)


def head(name: str, tokenizer: PreTrainedTokenizerBase, max_seq_length: int = 128) -> Head:
    return head_for(find_task(name), tokenizer, Reading(max_seq_length=max_seq_length, doc_stride=4))


def test_a_pair_is_encoded_with_its_template_and_its_label(tokenizer: PreTrainedTokenizerBase):
    (row, _) = head("stsb", tokenizer).features(STSB, for_training=True)
    a, b = (tokenizer(STSB[0][f"sentence{i}"], add_special_tokens=False)["input_ids"] for i in (1, 2))
    assert row["input_ids"] == [0, *a, 2, 2, *b, 2]
    assert row["attention_mask"] == [1] * len(row["input_ids"])
    assert (row["labels"], type(row["labels"])) == (4.5, float)


def test_codes_stay_integers_and_long_texts_are_cut(tokenizer: PreTrainedTokenizerBase):
    rows = [{"sentence": "the dog ran . " * 30, "label": 1.0}, {"sentence": "the dog", "label": 0}]
    long, short = head("sst2", tokenizer, 12).features(rows, for_training=True)
    assert (len(long["input_ids"]), long["input_ids"][0], long["input_ids"][-1]) == (12, 0, 2)
    assert len(short["input_ids"]) < 12
    assert [(row["labels"], type(row["labels"])) for row in (long, short)] == [(1, int), (0, int)]


def test_the_answers_of_grouped_rows_are_scored_together(tokenizer: PreTrainedTokenizerBase):
    rows = [
        {"paragraph": "p", "question_answer": "q a", "group": group, "label": label}
        for group, label in (("0-0", 1), ("0-0", 0), ("0-1", 1))
    ]
    logits = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    outcome = head("multirc", tokenizer).outcome(rows, logits)
    assert outcome.metrics == {"f1": pytest.approx(0.8), "exact_match": 0.5}


def test_rows_without_labels_are_predicted_and_not_scored(tokenizer: PreTrainedTokenizerBase):
    rows = [{"sentence": "the dog"}, {"sentence": "the cat"}]
    sst2 = head("sst2", tokenizer)
    assert "labels" not in sst2.features(rows, for_training=False)[0]
    outcome = sst2.outcome(rows, np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert (outcome.predictions, outcome.metrics, outcome.units) == ([1, 0], {}, None)


@pytest.mark.parametrize("name", ["sst2", "stsb", "copa"])
def test_outputs_that_are_no_numbers_are_no_predictions(tokenizer: PreTrainedTokenizerBase, name: str):
    with pytest.raises(DivergedError, match=f"{name}: predictions are not finite"):
        head(name, tokenizer).outcome([{}], np.array([[float("nan"), 0.0]]))


def test_the_collator_pads_to_the_longest_of_a_batch(tokenizer: PreTrainedTokenizerBase):
    sst2 = head("sst2", tokenizer)
    rows = [{"sentence": "the dog", "label": 0}, {"sentence": "the dog ran and slept", "label": 1}]
    features = sst2.features(rows, for_training=True)
    batch = sst2.collator(features)
    assert batch["input_ids"].shape == (2, max(len(feature["input_ids"]) for feature in features))
    assert torch.equal(batch["labels"], torch.tensor([0, 1]))
