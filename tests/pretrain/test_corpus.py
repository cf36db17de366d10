"""Packing: blocks by hand, nothing lost, held-out documents apart and the same in any order, memory bounded."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from design_space.errors import InputError
from pretrain import corpus as corpus_module
from pretrain.corpus import HELD_OUT_EVERY, PackedCorpus, pack
from pretrain.distinct import content_hash
from pretrain.documents import read_documents, source_files
from pretrain.tokenizer import train_tokenizer

DATA = Path(__file__).parents[3] / "shared" / "data" / "corpus"
Maker = Callable[..., PreTrainedTokenizerFast]


@pytest.fixture
def letters(word_tokenizer: Maker) -> PreTrainedTokenizerFast:
    """Ids 5 to 14 for the letters a to j."""
    return word_tokenizer("abcdefghij")


def test_blocks_are_those_made_by_hand(letters: PreTrainedTokenizerFast):
    packed = pack(["a b", "c", "d e f", "g h", "i"], letters, 4)
    # "d e f" has the lowest hash and fills a block: held out. The rest is a b / c / g h / i /, cut in threes.
    assert min(["a b", "c", "d e f", "g h", "i"], key=content_hash) == "d e f"
    assert packed.train.tolist() == [[0, 5, 6, 2], [0, 7, 2, 11], [0, 12, 2, 13]]
    assert packed.held_out.tolist() == [[0, 8, 9, 10]]
    assert packed.train.dtype == packed.held_out.dtype == np.int32


def test_one_document_longer_than_a_block_goes_on_in_the_next(letters: PreTrainedTokenizerFast):
    assert pack(["a b c d e"], letters, 4).train.tolist() == [[0, 5, 6, 7], [0, 8, 9, 2]]


def test_a_tokenizer_of_bert_starts_with_cls_and_ends_with_sep(word_tokenizer: Maker):
    names = {"bos_token": None, "eos_token": None, "cls_token": "<unk>", "sep_token": "<mask>"}
    assert pack(["a b"], word_tokenizer("ab", **names), 4).train.tolist() == [[3, 5, 6, 4]]


@pytest.fixture(scope="module")
def words(word_tokenizer: Maker) -> PreTrainedTokenizerFast:
    """Id 5 + n for the word wn."""
    return word_tokenizer([f"w{number}" for number in range(6_000)])


@pytest.fixture(scope="module")
def numbered() -> dict[str, list[int]]:
    """2,345 documents of one to four words that no other has, with their ids."""
    rest = iter(range(6_000))
    ids = [[5 + next(rest) for _ in range(1 + number * 7 % 4)] for number in range(2_345)]
    return {" ".join(f"w{i - 5}" for i in document): document for document in ids}


def is_lowest(document: str) -> bool:
    return content_hash(document) < 2**64 / HELD_OUT_EVERY


def ids_of(part: np.ndarray) -> set[int]:
    return set(part.ravel().tolist()) - {0, 2}


def test_nothing_is_lost_between_documents_but_the_tail(numbered: dict[str, list[int]], words: PreTrainedTokenizerFast):
    packed = pack(numbered, words, 7)
    for part, held in ((packed.train, False), (packed.held_out, True)):
        assert (part[:, 0] == 0).all()
        stream = [token for text, ids in numbered.items() if is_lowest(text) == held for token in (*ids, 2)]
        body = part[:, 1:].ravel().tolist()
        assert body == stream[: len(body)]
        assert 0 <= len(stream) - len(body) < 6


def test_about_one_document_in_fifty_is_held_out_and_is_in_no_training_block(
    numbered: dict[str, list[int]], words: PreTrainedTokenizerFast
):
    packed = pack(numbered, words, 7)
    assert 30 <= sum(map(is_lowest, numbered)) <= 65
    assert len(packed.held_out) >= 10
    assert not ids_of(packed.train) & ids_of(packed.held_out)


@pytest.mark.parametrize("num_documents", [5, 40, 2_345])
def test_the_split_depends_on_no_order(
    numbered: dict[str, list[int]], words: PreTrainedTokenizerFast, num_documents: int
):
    texts = list(numbered)[:num_documents]
    # Blocks of two tokens: no tail, so each block is a token of a document.
    one, other = (pack(order, words, 2) for order in (texts, texts[::-1]))
    assert ids_of(one.held_out) == ids_of(other.held_out) != set()
    assert ids_of(one.train) == ids_of(other.train)


def test_copies_of_a_document_are_on_one_side(numbered: dict[str, list[int]], words: PreTrainedTokenizerFast):
    texts = list(numbered)[:300]
    packed = pack(texts + texts[::-1], words, 2)
    assert not ids_of(packed.train) & ids_of(packed.held_out)
    assert len(ids_of(packed.held_out)) >= 1


@pytest.mark.parametrize(
    ("texts", "num_held_out"),
    [
        (["a b c"], 0),  # one document: nothing is held out
        (["a b c", "a b c"], 0),  # nor of its copies
        (["a b c", "d e f"], 1),
        (["a", "b"], 0),  # neither alone fills a block
        (["a b c d e", "f", "g", "h i j"], 2),  # one document of two blocks has the lowest hash
    ],
)
def test_a_tiny_corpus_holds_out_as_little_as_fills_a_block_and_never_starves_training(
    letters: PreTrainedTokenizerFast, texts: list[str], num_held_out: int
):
    packed = pack(texts, letters, 4)
    assert len(packed.train) >= 1
    assert len(packed.held_out) == num_held_out
    assert not ids_of(packed.train) & ids_of(packed.held_out)


def test_at_most_half_of_the_documents_are_held_out(letters: PreTrainedTokenizerFast):
    # Blocks of eight tokens: two of the four documents fill six.
    packed = pack(["a b", "c d", "e f", "g h"], letters, 7)
    assert len(ids_of(packed.train)) == 4


@pytest.mark.parametrize(("texts", "count"), [([], 0), (["a"], 2), (["a b c d e f"], 7), (["a b", "c"], 5)])
def test_refuses_a_text_that_fills_no_block(letters: PreTrainedTokenizerFast, texts: list[str], count: int):
    with pytest.raises(InputError, match=f"at least one block of 9 tokens, got {count} tokens. Add text"):
        pack(texts, letters, 9)


@pytest.mark.parametrize("block_size", [1, 0, -3])
def test_refuses_a_block_without_room_for_a_token(letters: PreTrainedTokenizerFast, block_size: int):
    with pytest.raises(InputError, match="block"):
        pack(["a b c"], letters, block_size)


def test_save_and_load_map_the_same_blocks_read_only(tmp_path: Path, letters: PreTrainedTokenizerFast):
    packed = pack(["a b c", "d e f"] * 100, letters, 5)
    packed.save(tmp_path / "new" / "folder")
    loaded = PackedCorpus.load(tmp_path / "new" / "folder")
    for name in ("train", "held_out"):
        part = getattr(loaded, name)
        assert part.dtype == np.int32
        assert not part.flags.owndata
        np.testing.assert_array_equal(part, getattr(packed, name))
        with pytest.raises(ValueError, match="read-only"):
            part[0, 0] = 1
    assert len(loaded.held_out) == len(loaded.train) == 100


def test_a_corpus_packed_into_a_folder_is_there_without_saving(tmp_path: Path, letters: PreTrainedTokenizerFast):
    packed = pack(["a b c", "d e f"], letters, 4, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["held_out.arrow", "train.arrow"]
    np.testing.assert_array_equal(PackedCorpus.load(tmp_path / "new").train, packed.train)


def test_a_batch_has_a_bounded_number_of_characters(letters: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus_module, "_BATCH_CHARS", 1_000)
    taken, sizes = 0, []
    call = type(letters).__call__

    def documents() -> Iterator[str]:
        nonlocal taken
        for _ in range(30):
            taken += 400
            yield "a b c d " * 50

    def spy(self: PreTrainedTokenizerFast, batch: list[str], **kwargs: object) -> object:
        sizes.append(sum(map(len, batch)))
        assert taken == sum(sizes)
        return call(self, batch, **kwargs)

    monkeypatch.setattr(type(letters), "__call__", spy)
    pack(documents(), letters, 64)
    assert sizes == [1_200] * 10


def test_refuses_a_folder_without_blocks(tmp_path: Path, letters: PreTrainedTokenizerFast):
    pack(["a b c"], letters, 4).save(tmp_path)
    (tmp_path / "held_out.arrow").unlink()
    with pytest.raises(InputError, match=r"packed corpus \(train\.arrow, held_out\.arrow\)\. Pack it again"):
        PackedCorpus.load(tmp_path)


def test_refuses_blocks_that_are_no_array(tmp_path: Path, letters: PreTrainedTokenizerFast):
    pack(["a b c"], letters, 4).save(tmp_path)
    (tmp_path / "train.arrow").write_bytes(b"abc")
    with pytest.raises(InputError, match="must hold a packed corpus"):
        PackedCorpus.load(tmp_path)


def test_refuses_blocks_cut_to_nothing(tmp_path: Path, letters: PreTrainedTokenizerFast):
    pack(["a b c"], letters, 4).save(tmp_path)
    (tmp_path / "train.arrow").write_bytes(b"")
    with pytest.raises(InputError, match="must hold a packed corpus"):
        PackedCorpus.load(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
def test_the_real_corpus_is_read_and_packed():
    files = source_files(str(DATA))
    assert len(files) >= 8
    assert all(next(read_documents(str(file))) for file in files)
    documents = list(read_documents(str(DATA / "wikitext2_valid.txt")))
    assert sum(len(text.split()) for text in documents) == pytest.approx(213_886, rel=0.01)
    sample = documents[:500]
    tokenizer = train_tokenizer(sample, 2_000)
    packed = pack(sample, tokenizer, 64)
    assert len(packed.held_out) >= 1
    assert 0 <= packed.train.min() < packed.train.max() < len(tokenizer) == 2_000
    # Bytes know every word; the text itself writes <unk> for its rare ones.
    unknown = sum(int((part == tokenizer.unk_token_id).sum()) for part in (packed.train, packed.held_out))
    assert 0 < unknown <= sum(text.count("<unk>") for text in sample)
