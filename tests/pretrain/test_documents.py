"""Sources: files, folders, globs, saved data sets and the demo, in a fixed order, and what is none of them."""

import gzip
import json
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from design_space.errors import InputError
from pretrain import demo
from pretrain import documents as documents_module
from pretrain.documents import read_documents, source_digest, source_files


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (
        ("b.txt", "second\n"),
        ("a.jsonl", '{"text": "first"}\n'),
        ("deep/c.txt.gz", "third\n"),
        ("deep/er/d.csv", "text\nfourth\n"),
        ("README.md", "not text to learn\n"),
    ):
        write(tmp_path / "text" / name, content)
    return tmp_path / "text"


def test_a_folder_is_read_in_the_order_of_its_names_with_its_folders(folder: Path):
    assert list(read_documents(str(folder))) == ["first", "second", "third", "fourth"]
    assert [file.name for file in source_files(str(folder))] == ["a.jsonl", "b.txt", "c.txt.gz", "d.csv"]


def test_a_glob_is_read_in_the_order_of_its_names(folder: Path):
    assert list(read_documents(f"{folder}/**/*.txt*")) == ["second", "third"]
    assert list(read_documents(f"{folder}/*")) == ["first", "second"]
    assert list(read_documents(f"{folder}/[ab].*")) == ["first", "second"]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path):
    write(tmp_path / "a[1].txt", "one\n")
    assert list(read_documents(str(tmp_path / "a[1].txt"))) == ["one"]


def test_the_demo_is_the_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(documents_module, "NUM_DEMO_SENTENCES", 3)
    assert list(read_documents("demo")) == demo.corpus(3)
    assert source_files("demo") == []


@pytest.mark.parametrize("num_shards", [1, 3])
def test_a_saved_data_set_is_read_with_its_column(tmp_path: Path, num_shards: int):
    rows = {"text": [f"document {number}" for number in range(2_500)], "body": ["b"] * 2_500}
    Dataset.from_dict(rows).save_to_disk(tmp_path / "saved", num_shards=num_shards)
    assert list(read_documents(str(tmp_path / "saved"))) == rows["text"]
    assert next(read_documents(str(tmp_path / "saved"), "body")) == "b"
    with pytest.raises(InputError, match=r"must have the column 'txt', has 'text', 'body'\. Did you mean 'text'\?"):
        next(read_documents(str(tmp_path / "saved"), "txt"))


def test_of_several_splits_train_is_read(tmp_path: Path):
    splits = {name: Dataset.from_dict({"text": [name]}) for name in ("test", "train")}
    DatasetDict(splits).save_to_disk(tmp_path / "saved")
    assert list(read_documents(str(tmp_path / "saved"))) == ["train"]
    assert list(read_documents(str(tmp_path / "saved" / "test"))) == ["test"]
    DatasetDict({"test": splits["test"]}).save_to_disk(tmp_path / "other")
    with pytest.raises(InputError, match=r"other: must have the split 'train', has not\. Give the folder of one"):
        source_files(str(tmp_path / "other"))


def test_a_filtered_data_set_is_read_as_it_was_saved(tmp_path: Path):
    data = Dataset.from_dict({"text": list("abcdef")}).filter(lambda row: row["text"] in "bdf")
    data.save_to_disk(tmp_path / "saved")
    assert list(read_documents(str(tmp_path / "saved"))) == ["b", "d", "f"]


@pytest.mark.parametrize("damage", ["gone", "cut", "state"])
def test_a_damaged_data_set_is_refused(tmp_path: Path, damage: str):
    Dataset.from_dict({"text": ["a"] * 100}).save_to_disk(tmp_path / "saved")
    (data,) = (tmp_path / "saved").glob("*.arrow")
    if damage == "gone":
        data.unlink()
    elif damage == "cut":
        data.write_bytes(data.read_bytes()[:300])
    else:
        (tmp_path / "saved" / "state.json").write_text(json.dumps({"_data_files": 3}))
    with pytest.raises(InputError, match=r"no such file, but state\.json|must be a whole \.arrow|save_to_disk, is not"):
        list(read_documents(str(tmp_path / "saved")))


def test_a_folder_named_like_a_file_is_passed_over(tmp_path: Path):
    write(tmp_path / "old.txt" / "a.txt", "a\n")
    assert list(read_documents(str(tmp_path))) == ["a"]


# Refusals


@pytest.mark.parametrize("name", ["absent.txt", "absent", "data/absent.txt", "a/b/c", "./owner/name", "owner/x.csv.gz"])
def test_refuses_an_absent_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no such file or folder\. Give text files.*owner/name.*'demo'"):
        list(read_documents(name))


def test_refuses_an_absent_path_from_the_root(tmp_path: Path):
    with pytest.raises(InputError, match=r"absent: no such file or folder"):
        source_files(str(tmp_path / "absent"))


def test_refuses_another_kind_of_file(tmp_path: Path):
    (tmp_path / "a.pdf").write_text("a")
    with pytest.raises(InputError, match=r"a\.pdf: must end in \.txt, \.jsonl, \.csv, \.tsv \(or .*\) or \.parquet"):
        source_files(str(tmp_path / "a.pdf"))


def test_refuses_a_folder_without_text(tmp_path: Path):
    (tmp_path / "a.pdf").write_text("a")
    with pytest.raises(InputError, match=r"must hold files that end in \.txt, .*, holds none"):
        source_files(str(tmp_path))


def test_refuses_a_glob_that_matches_nothing(folder: Path):
    with pytest.raises(InputError, match=r"\*\.md: must match files that end in .*, matches none"):
        source_files(f"{folder}/*.md")


def test_refuses_an_empty_file_before_anything_is_read(folder: Path):
    (folder / "z.txt").write_bytes(b"")
    with pytest.raises(InputError, match=r"z\.txt: must hold at least one document, is empty"):
        next(read_documents(str(folder)))


# Digests


def test_the_digest_follows_content_and_order_and_no_name(tmp_path: Path):
    for place in ("one", "two"):
        write(tmp_path / place / "a.txt", "a\n")
        write(tmp_path / place / "b.txt", "b\n")
    (tmp_path / "two" / "a.txt").rename(tmp_path / "two" / "aa.txt")
    assert source_digest(str(tmp_path / "one")) == source_digest(str(tmp_path / "two"))
    (tmp_path / "two" / "aa.txt").rename(tmp_path / "two" / "c.txt")
    assert source_digest(str(tmp_path / "one")) != source_digest(str(tmp_path / "two"))
    write(tmp_path / "one" / "b.txt", "c\n")
    changed = source_digest(str(tmp_path / "one"))
    (tmp_path / "one" / "b.txt").rename(tmp_path / "one" / "b.csv")
    assert changed != source_digest(str(tmp_path / "one"))


def test_the_demo_has_a_digest_and_the_hub_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(documents_module, "NUM_DEMO_SENTENCES", 3)
    three = source_digest("demo")
    monkeypatch.setattr(documents_module, "NUM_DEMO_SENTENCES", 4)
    assert None is not three != source_digest("demo")
    assert source_digest("owner/name") is None
