"""Rows become features, outputs become predictions and metrics, for each problem."""

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from finetune.heads import Head, Reading, head_for
from finetune.rows.squad import Question
from finetune.tasks import find_task
from pretrain.callbacks import DivergedError

STSB = [
    {"sentence1": "the dog ran .", "sentence2": f"the {n} slept .", "label": v} for n, v in (("cat", 4.5), ("d", 3))
]
COPA = [
    {"premise": "the dog ran .", "choice1": "it saw a cat .", "choice2": "it slept .", "label": label}
    for label in (0, 1)
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


def test_logits_on_the_answer_give_the_answer(tokenizer: PreTrainedTokenizerBase):
    question = Question("1", "who ran ?", "the dog ran and the cat slept .", ("the dog",), (0,))
    squad = head("squad", tokenizer, 16)
    training = squad.features([question], for_training=True)
    assert len(training) > 1
    length = max(len(feature["input_ids"]) for feature in training)
    start, end = (np.full((len(training), length), -9.0) for _ in range(2))
    for place, feature in enumerate(training):
        start[place, feature["start_positions"]] = end[place, feature["end_positions"]] = 9.0
    outcome = squad.outcome([question], (start, end))
    assert outcome.predictions == ["the dog"]
    assert outcome.metrics == {"exact_match": 1.0, "token_f1": 1.0}


def test_questions_without_answers_tell_the_best_threshold_too(tokenizer: PreTrainedTokenizerBase):
    questions = [
        Question("1", "who ran ?", "the dog ran .", ("the dog",), (0,)),
        Question("2", "who ran ?", "the dog ran .", (), ()),
    ]
    squad = head("squad_v2", tokenizer, 32)
    features = squad.features(questions, for_training=True)
    start, end = (np.zeros((2, max(len(feature["input_ids"]) for feature in features))) for _ in range(2))
    start[:, features[0]["start_positions"]] = end[:, features[0]["end_positions"]] = [6.0, 5.0]
    start[:, 0] = end[:, 0] = 4.0  # "no answer" is 4 below the first question's span, and 2 below the second's
    outcome = squad.outcome(questions, (start, end))
    assert outcome.predictions == ["the dog", "the dog"]
    assert outcome.metrics == {"exact_match": 0.5, "token_f1": 0.5}
    assert outcome.details == {
        "best_exact_match": 1.0,
        "best_exact_match_threshold": -4.0,
        "best_token_f1": 1.0,
        "best_token_f1_threshold": -4.0,
    }
    assert head("squad", tokenizer, 32).outcome(questions[:1], (start[:1], end[:1])).details == {}


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
