"""Questions become windows, outputs become stretches of their contexts."""

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from finetune.heads.by_problem import head_for
from finetune.heads.head import Head, Reading
from finetune.rows.squad import Question
from finetune.tasks import find_task


@pytest.fixture(scope="module")
def tokenizer(checkpoint: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(checkpoint)


def head(name: str, tokenizer: PreTrainedTokenizerBase, max_seq_length: int = 128) -> Head:
    return head_for(find_task(name), tokenizer, Reading(max_seq_length=max_seq_length, doc_stride=4))


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
