"""Tokenizers: byte-level BPE loses nothing, the templates are RoBERTa's and BERT's, a wrong one is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from design_space.errors import InputError
from pretrain import tokenizer as tokenizer_module
from pretrain.tokenizer import MIN_VOCAB_SIZE, load_tokenizer, tokenizer_digest, train_tokenizer

TEXTS = ["the doctor slept .", "naïve  café — 東京 🙂", "tab\tand (unseen) bytes \x07", "<b> & $5"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back_even_unseen(tokenizer: PreTrainedTokenizerFast, text: str):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    # The prefix space stands for the start of a word; it is no part of the text.
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == f" {text}"


def test_a_mask_takes_the_space_before_it_as_a_word_does(tokenizer: PreTrainedTokenizerFast, tmp_path: Path):
    tokenizer.save_pretrained(tmp_path)
    for read in (tokenizer, load_tokenizer(tmp_path)):
        ids = read("the doctor slept", add_special_tokens=False)["input_ids"]
        end = read("slept", add_special_tokens=False)["input_ids"]
        masked = read(f"the doctor {read.mask_token}", add_special_tokens=False)["input_ids"]
        assert masked == [*ids[: -len(end)], read.mask_token_id]


def test_special_tokens_have_the_ids_of_roberta(tokenizer: PreTrainedTokenizerFast):
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert tokenizer.convert_tokens_to_ids(tokens) == [0, 1, 2, 3, 4]
    assert (tokenizer.bos_token_id, tokenizer.cls_token_id) == (0, 0)
    assert (tokenizer.eos_token_id, tokenizer.sep_token_id) == (2, 2)
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id) == (1, 3, 4)
    assert sorted(tokenizer.all_special_ids) == [0, 1, 2, 3, 4]


def test_one_text_and_a_pair_have_the_templates_of_roberta(tokenizer: PreTrainedTokenizerFast):
    a, b = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("the girl", "a nurse slept"))
    assert tokenizer("the girl")["input_ids"] == [0, *a, 2]
    pair = tokenizer("the girl", "a nurse slept")
    assert pair["input_ids"] == [0, *a, 2, 2, *b, 2]
    assert set(pair) == {"input_ids", "attention_mask"}


def test_frequent_words_become_one_token(documents: list[str]):
    tokenizer = train_tokenizer(documents, 400)
    assert tokenizer.tokenize("the doctor") == ["Ġthe", "Ġdoctor"]


@pytest.mark.parametrize("vocab_size", [MIN_VOCAB_SIZE, MIN_VOCAB_SIZE + 7])
def test_has_as_many_entries_as_asked(documents: list[str], vocab_size: int):
    assert len(train_tokenizer(documents, vocab_size)) == vocab_size


def test_has_fewer_entries_where_the_text_has_no_more_merges():
    # "ab" and its prefix space: two merges over the bytes.
    assert len(train_tokenizer(["ab ab"], 5_000)) == MIN_VOCAB_SIZE + 2


def test_announces_its_longest_sequence(documents: list[str]):
    tokenizer = train_tokenizer(documents, 300, max_length=10)
    assert tokenizer.model_max_length == 10
    assert len(tokenizer("the girl " * 50, truncation=True)["input_ids"]) == 10


def test_the_same_text_gives_the_same_tokenizer(documents: list[str], tokenizer: PreTrainedTokenizerFast):
    assert train_tokenizer(iter(documents), 300).get_vocab() == tokenizer.get_vocab()


@pytest.mark.parametrize("vocab_size", [MIN_VOCAB_SIZE - 1, 0, -5])
def test_refuses_a_vocabulary_without_room_for_the_bytes(vocab_size: int):
    with pytest.raises(InputError, match=f"vocab_size must be at least 261, got {vocab_size}"):
        train_tokenizer(["a"], vocab_size)


def test_comes_back_equal_from_its_folder(tmp_path: Path, tokenizer: PreTrainedTokenizerFast):
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.special_tokens_map == tokenizer.special_tokens_map
    assert again.model_max_length == 512
    assert again(TEXTS, TEXTS[::-1])["input_ids"] == tokenizer(TEXTS, TEXTS[::-1])["input_ids"]


def test_refuses_a_tokenizer_without_a_mask_token(
    tmp_path: Path, word_tokenizer: Callable[..., PreTrainedTokenizerFast]
):
    word_tokenizer(["a"], mask_token=None).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="must have a mask token, has none. Take another"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [None, "{"])
def test_refuses_a_folder_without_a_tokenizer_in_one_line(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=f"^tokenizer: '{tmp_path}' cannot be loaded: .") as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


def test_refuses_an_absent_folder(tmp_path: Path):
    with pytest.raises(InputError, match=r"absent' is no folder, and the hub does not give it .it is no name there"):
        load_tokenizer(tmp_path / "absent")


# WordPiece


@pytest.fixture(scope="module")
def wordpiece(documents: list[str]) -> PreTrainedTokenizerFast:
    return train_tokenizer([*documents, "The Doctor"], 300, kind="wordpiece")


def test_wordpiece_has_the_templates_of_bert(wordpiece: PreTrainedTokenizerFast):
    a, b = (wordpiece(text, add_special_tokens=False)["input_ids"] for text in ("the girl", "a nurse slept"))
    assert wordpiece.convert_ids_to_tokens([0, 1, 2, 3, 4]) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert wordpiece("the girl")["input_ids"] == [2, *a, 3]
    pair = wordpiece("the girl", "a nurse slept")
    assert pair["input_ids"] == [2, *a, 3, *b, 3]
    assert set(pair) == {"input_ids", "attention_mask"}
    assert wordpiece.tokenize("the doctor") == ["the", "doctor"]
    assert wordpiece.decode(a) == "the girl"


def test_wordpiece_marks_what_goes_on_and_what_it_does_not_know(wordpiece: PreTrainedTokenizerFast):
    assert "".join(wordpiece.tokenize("sleptdog")).replace("##", "") == "sleptdog"
    assert wordpiece.tokenize("sleptdog")[-1].startswith("##")
    assert wordpiece.tokenize("東") == ["[UNK]"]


def test_lower_case_is_an_option_of_wordpiece(documents: list[str], wordpiece: PreTrainedTokenizerFast):
    assert wordpiece.tokenize("The Doctor")[0] != "the"
    lower = train_tokenizer(documents, 300, kind="wordpiece", lowercase=True)
    assert lower.tokenize("The Doctör") == ["the", "doctor"]
    with pytest.raises(InputError, match="lowercase must be off for the kind 'bpe', got True"):
        train_tokenizer(documents, 300, lowercase=True)


def test_wordpiece_keeps_to_its_size_where_there_are_more_characters():
    documents = ["".join(map(chr, range(0x4E00, 0x4E00 + 2_000))), "a b c"]
    tokenizer = train_tokenizer(documents, MIN_VOCAB_SIZE, kind="wordpiece")
    assert len(tokenizer) <= MIN_VOCAB_SIZE


@pytest.mark.parametrize("lowercase", [False, True])
def test_wordpiece_comes_back_equal_from_its_folder(tmp_path: Path, documents: list[str], lowercase: bool):
    tokenizer = train_tokenizer(documents, 300, kind="wordpiece", lowercase=lowercase)
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.special_tokens_map == tokenizer.special_tokens_map
    assert again(TEXTS, TEXTS[::-1])["input_ids"] == tokenizer(TEXTS, TEXTS[::-1])["input_ids"]
    assert tokenizer_digest(again) == tokenizer_digest(tokenizer)


# Streams and digests


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_learning_stops_where_enough_was_read(monkeypatch: pytest.MonkeyPatch, kind: Any):
    monkeypatch.setattr(tokenizer_module, "MAX_TRAINING_CHARS", 1_000)
    taken = 0

    def documents() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "the doctor"

    train_tokenizer(documents(), 300, kind=kind)
    assert taken == 100


def test_the_digest_follows_the_content_alone(
    tmp_path: Path, documents: list[str], tokenizer: PreTrainedTokenizerFast, wordpiece: PreTrainedTokenizerFast
):
    digest = tokenizer_digest(tokenizer)
    tokenizer.save_pretrained(tmp_path / "a name")
    again = load_tokenizer(tmp_path / "a name")
    again(["the doctor", "a"], truncation=True, max_length=2, padding=True)
    assert tokenizer_digest(again) == digest
    others = [wordpiece, train_tokenizer(documents, 299), train_tokenizer([*documents, *["zzz"] * 999], 300)]
    assert len({digest, *map(tokenizer_digest, others)}) == 4
