"""Reading text, and packing it: blocks by hand, nothing lost, held-out documents apart."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from design_space.errors import InputError
from pretrain import corpus as corpus_module
from pretrain import demo
from pretrain.corpus import HELD_OUT_EVERY, PackedCorpus, corpus_files, pack, read_documents
from pretrain.tokenizer import train_tokenizer

DATA = Path(__file__).parents[3] / "shared" / "data" / "corpus"
Maker = Callable[..., PreTrainedTokenizerFast]


@pytest.fixture
def letters(word_tokenizer: Maker) -> PreTrainedTokenizerFast:
    """Ids 5 to 14 for the letters a to j."""
    return word_tokenizer("abcdefghij")


def test_blocks_are_those_made_by_hand(letters: PreTrainedTokenizerFast):
    packed = pack(["a b", "c", "d e f", "g"], letters, 4)
    # The stream is a b / c / d e f / g /, cut in threes; "g /" does not fill a block.
    assert packed.train.tolist() == [[0, 5, 6, 2], [0, 7, 2, 8], [0, 9, 10, 2]]
    assert packed.train.dtype == np.int32
    assert packed.held_out.shape == (0, 4)


def test_one_document_longer_than_a_block_goes_on_in_the_next(letters: PreTrainedTokenizerFast):
    assert pack(["a b c d e"], letters, 4).train.tolist() == [[0, 5, 6, 7], [0, 8, 9, 2]]


def test_a_tokenizer_of_bert_starts_with_cls_and_ends_with_sep(word_tokenizer: Maker):
    names = {"bos_token": None, "eos_token": None, "cls_token": "<unk>", "sep_token": "<mask>"}
    assert pack(["a b"], word_tokenizer("ab", **names), 4).train.tolist() == [[3, 5, 6, 4]]


@pytest.fixture(scope="module")
def numbered(word_tokenizer: Maker) -> tuple[list[list[int]], PackedCorpus]:
    """Ids of 2,345 documents of one to four words that no other has, and their blocks of seven."""
    words = [f"w{number}" for number in range(6_000)]
    rest = iter(range(len(words)))
    ids = [[5 + next(rest) for _ in range(1 + number * 7 % 4)] for number in range(2_345)]
    texts = (" ".join(words[i - 5] for i in document) for document in ids)
    return ids, pack(texts, word_tokenizer(words), 7)


def test_nothing_is_lost_between_documents_but_the_tail(numbered: tuple[list[list[int]], PackedCorpus]):
    documents, packed = numbered
    for part, held in ((packed.train, False), (packed.held_out, True)):
        assert (part[:, 0] == 0).all()
        stream = [
            token
            for number, document in enumerate(documents, start=1)
            if (number % HELD_OUT_EVERY == 0) == held
            for token in (*document, 2)
        ]
        body = part[:, 1:].ravel().tolist()
        assert body == stream[: len(body)]
        assert 0 <= len(stream) - len(body) < 6


def test_held_out_documents_are_in_no_training_block(numbered: tuple[list[list[int]], PackedCorpus]):
    documents, packed = numbered
    held_out = {token for document in documents[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY] for token in document}
    assert len(held_out) >= 46
    assert not held_out & set(packed.train.ravel().tolist())
    assert set(packed.held_out.ravel().tolist()) <= held_out | {0, 2}
    assert len(packed.held_out) >= 15


@pytest.mark.parametrize(("texts", "count"), [([], 0), (["a"], 2), (["a b c d e f"], 7)])
def test_refuses_a_text_that_fills_no_block(letters: PreTrainedTokenizerFast, texts: list[str], count: int):
    with pytest.raises(InputError, match=f"at least one block of 9 tokens, got {count} tokens. Add text"):
        pack(texts, letters, 9)


@pytest.mark.parametrize("block_size", [1, 0, -3])
def test_refuses_a_block_without_room_for_a_token(letters: PreTrainedTokenizerFast, block_size: int):
    with pytest.raises(InputError, match="block"):
        pack(["a b c"], letters, block_size)


def test_save_and_load_map_the_same_blocks_read_only(tmp_path: Path, letters: PreTrainedTokenizerFast):
    packed = pack(["a b c"] * 100, letters, 5)
    packed.save(tmp_path / "new" / "folder")
    loaded = PackedCorpus.load(tmp_path / "new" / "folder")
    for name in ("train", "held_out"):
        part = getattr(loaded, name)
        assert isinstance(part, np.memmap)
        assert part.dtype == np.int32
        np.testing.assert_array_equal(part, getattr(packed, name))
        with pytest.raises(ValueError, match="read-only"):
            part[0, 0] = 1
    assert len(loaded.held_out) == 2


def test_refuses_a_folder_without_blocks(tmp_path: Path, letters: PreTrainedTokenizerFast):
    pack(["a b c"], letters, 4).save(tmp_path)
    (tmp_path / "held_out.npy").unlink()
    with pytest.raises(InputError, match=r"must hold a packed corpus \(train\.npy, held_out\.npy\)\. Pack it again"):
        PackedCorpus.load(tmp_path)


def test_refuses_blocks_that_are_no_array(tmp_path: Path, letters: PreTrainedTokenizerFast):
    pack(["a b c"], letters, 4).save(tmp_path)
    (tmp_path / "train.npy").write_bytes(b"abc")
    with pytest.raises(InputError, match="must hold a packed corpus"):
        PackedCorpus.load(tmp_path)


def test_refuses_blocks_cut_to_nothing(tmp_path: Path, letters: PreTrainedTokenizerFast):
    pack(["a b c"], letters, 4).save(tmp_path)
    (tmp_path / "train.npy").write_bytes(b"")
    with pytest.raises(InputError, match="must hold a packed corpus"):
        PackedCorpus.load(tmp_path)


def test_txt_is_one_document_a_line_without_empty_ones(tmp_path: Path):
    (tmp_path / "a.txt").write_text("  one two \n\n   \nthrée\n", encoding="utf-8")
    assert list(read_documents([str(tmp_path / "a.txt")])) == ["one two", "thrée"]


def test_jsonl_gives_the_field_text(tmp_path: Path):
    lines = [json.dumps({"text": "a\nb", "id": 1}), "", json.dumps({"text": "  "}), json.dumps({"text": " c "})]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert list(read_documents([str(tmp_path / "a.jsonl")])) == ["a\nb", "c"]


def test_a_folder_is_read_in_the_order_of_its_names_with_its_folders(tmp_path: Path):
    (tmp_path / "b.txt").write_text("second\n")
    (tmp_path / "a.jsonl").write_text('{"text": "first"}\n')
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.txt").write_text("third\n")
    (tmp_path / "README.md").write_text("not text to learn\n")
    assert list(read_documents([str(tmp_path)])) == ["first", "second", "third"]
    assert [file.name for file in corpus_files([str(tmp_path), "demo"])] == ["a.jsonl", "b.txt", "c.txt"]


def test_several_paths_are_read_in_the_order_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus_module, "NUM_DEMO_SENTENCES", 3)
    for name in ("z", "a"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    paths = [str(tmp_path / "z.txt"), "demo", str(tmp_path / "a.txt")]
    assert list(read_documents(paths)) == ["z", *demo.corpus(3), "a"]


def test_refuses_an_absent_path(tmp_path: Path):
    with pytest.raises(InputError, match=r"absent\.txt: no such file or folder\. Give text files"):
        list(read_documents([str(tmp_path / "absent.txt")]))


def test_refuses_another_kind_of_file(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a")
    with pytest.raises(InputError, match=r"a\.csv: must end in \.txt or \.jsonl"):
        corpus_files([str(tmp_path / "a.csv")])


def test_refuses_a_folder_without_text(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a")
    with pytest.raises(InputError, match=r"must hold \.txt or \.jsonl files, holds none"):
        corpus_files([str(tmp_path)])


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_refuses_what_is_not_utf8(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes('{"text": "é"}\n'.encode("latin-1"))
    with pytest.raises(InputError, match="must be UTF-8 text, is not. Convert it first"):
        list(read_documents([str(tmp_path / name)]))


@pytest.mark.parametrize("line", ['{"text": "b"', '{"txt": "b"}', '["text"]', '"text"', "7"])
def test_refuses_a_broken_line_with_its_number(tmp_path: Path, line: str):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "a"}}\n\n{line}\n')
    with pytest.raises(InputError, match=r"a\.jsonl: line 3 must be a JSON object with the field 'text'"):
        list(read_documents([str(tmp_path / "a.jsonl")]))


@pytest.mark.parametrize("value", ["null", "5", '["a"]'])
def test_refuses_a_field_that_is_not_text(tmp_path: Path, value: str):
    (tmp_path / "a.jsonl").write_text(f'{{"text": {value}}}\n')
    with pytest.raises(InputError, match="line 1"):
        list(read_documents([str(tmp_path / "a.jsonl")]))


def test_a_folder_named_like_a_file_is_passed_over(tmp_path: Path):
    (tmp_path / "old.txt").mkdir()
    (tmp_path / "old.txt" / "a.txt").write_text("a\n")
    assert list(read_documents([str(tmp_path)])) == ["a"]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
def test_the_real_corpus_is_read_and_packed():
    files = corpus_files([str(DATA)])
    assert len(files) >= 8
    assert all(next(read_documents([str(file)])) for file in files)
    documents = list(read_documents([str(DATA / "wikitext2_valid.txt")]))
    assert sum(len(text.split()) for text in documents) == pytest.approx(213_886, rel=0.01)
    sample = documents[:500]
    tokenizer = train_tokenizer(sample, 2_000)
    packed = pack(sample, tokenizer, 64)
    assert len(packed.held_out) >= 1
    assert 0 <= packed.train.min() < packed.train.max() < len(tokenizer) == 2_000
    # Bytes know every word; the text itself writes <unk> for its rare ones.
    unknown = sum(int((part == tokenizer.unk_token_id).sum()) for part in (packed.train, packed.held_out))
    assert 0 < unknown <= sum(text.count("<unk>") for text in sample)
