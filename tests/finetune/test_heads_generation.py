"""Texts become ids with their targets; generated ids become texts, scored over all accepted answers."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from finetune.heads.by_problem import head_for
from finetune.heads.generation import GenerationHead
from finetune.heads.head import Reading
from finetune.tasks import TEXT_TASKS

ROWS = [
    {"question": "which colour has the sky ?", "label": "blue", "answers": ["blue", "dark blue"], "subset": "factual"},
    {"question": "which colour has the rose ?", "label": "red", "answers": ["red"], "subset": "counterfactual"},
    {"question": "which colour has the plum ?", "label": "dark red", "answers": ["dark red"], "subset": "factual"},
]


@pytest.fixture(scope="module")
def tokenizer(t5: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(t5)


def head(tokenizer: PreTrainedTokenizerBase, **reading: object) -> GenerationHead:
    made = head_for(TEXT_TASKS["closed_book_qa"], tokenizer, Reading(**reading))
    assert isinstance(made, GenerationHead)
    return made


def test_a_prefix_stands_before_the_input_and_targets_are_for_training(tokenizer: PreTrainedTokenizerBase) -> None:
    made = head(tokenizer, source_prefix="colour of ")
    feature, *_ = made.features(ROWS, for_training=True)
    assert tokenizer.decode(feature["input_ids"]) == "colour of which colour has the sky ? </s>"
    assert tokenizer.convert_ids_to_tokens(feature["labels"]) == ["blue", "</s>"]
    assert feature["attention_mask"] == [1] * len(feature["input_ids"])
    assert set(made.features(ROWS, for_training=False)[0]) == {"input_ids", "attention_mask"}


def test_inputs_and_targets_are_cut_with_their_ends(tokenizer: PreTrainedTokenizerBase) -> None:
    *_, feature = head(tokenizer, max_seq_length=4, max_target_length=2).features(ROWS, for_training=True)
    assert tokenizer.convert_ids_to_tokens(feature["input_ids"]) == ["which", "colour", "has", "</s>"]
    assert tokenizer.convert_ids_to_tokens(feature["labels"]) == ["dark", "</s>"]


def test_targets_are_shifted_for_the_decoder_and_padded_for_the_loss(
    t5: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    made = head(tokenizer)
    made.prepare(AutoModelForSeq2SeqLM.from_pretrained(t5))
    batch = made.collator(made.features([ROWS[0], ROWS[2]], for_training=True))
    blue, dark, red, end = tokenizer.convert_tokens_to_ids(["blue", "dark", "red", "</s>"])
    assert batch["labels"].tolist() == [[blue, end, -100], [dark, red, end]]
    assert batch["decoder_input_ids"].tolist() == [[0, blue, end], [0, dark, red]]


def test_generated_ids_are_read_as_texts_and_scored(tokenizer: PreTrainedTokenizerBase) -> None:
    words = [["<pad>", "dark", "blue", "</s>"], ["<pad>", "dark", "red", "</s>"], ["<pad>", "red", "</s>"]]
    ids = np.full((3, 6), -100)
    for place, text in enumerate(words):
        ids[place, : len(text)] = tokenizer.convert_tokens_to_ids(text)
    outcome = head(tokenizer).outcome(ROWS, ids)
    assert outcome.predictions == ["dark blue", "dark red", "red"]
    assert outcome.metrics == {"exact_match": pytest.approx(1 / 3), "token_f1": pytest.approx((1 + 2 / 3 + 2 / 3) / 3)}
    assert outcome.details == {
        "near_misses": pytest.approx(2 / 3),
        "too_long": pytest.approx(1 / 3),
        "words_too_many": 1.0,
        "too_short": pytest.approx(1 / 3),
        "words_too_few": 1.0,
        "counterfactual exact_match": 0.0,
        "counterfactual token_f1": pytest.approx(2 / 3),
        "factual exact_match": 0.5,
        "factual token_f1": pytest.approx(5 / 6),
    }
    bare = [{"question": row["question"]} for row in ROWS]
    alone = head(tokenizer).outcome(bare, ids)
    assert (alone.predictions, alone.metrics, alone.units) == (outcome.predictions, {}, None)


def test_beams_differ_from_the_greedy_search_in_nothing_but_the_search(
    t5: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    configs = []
    for num_beams in (1, 4):
        made, model = (
            head(tokenizer, max_target_length=9, num_beams=num_beams),
            AutoModelForSeq2SeqLM.from_pretrained(t5),
        )
        made.prepare(model)
        configs.append(model.generation_config.to_dict())
        assert made.features(ROWS, for_training=True) == head(tokenizer).features(ROWS, for_training=True)
    assert {name for name in configs[0] if configs[0][name] != configs[1][name]} == {"num_beams"}
    assert [configs[1][name] for name in ("num_beams", "max_new_tokens", "decoder_start_token_id")] == [4, 9, 0]


def test_a_search_that_a_checkpoint_was_published_with_is_not_taken_over(
    t5: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    model = AutoModelForSeq2SeqLM.from_pretrained(t5)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=0, eos_token_id=1, pad_token_id=0, num_beams=4, min_length=9, max_length=30
    )
    head(tokenizer, max_target_length=3).prepare(model)
    made = model.generation_config
    assert (made.num_beams, made.min_length, made.max_length, made.max_new_tokens) == (1, None, None, 3)
    ids = model.generate(torch.tensor([[5, 6, 1]]))
    assert ids.shape[1] <= 4
