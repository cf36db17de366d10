"""The cache: what decides the content decides the entry; nothing is made twice; damage and races do no harm."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from design_space.errors import InputError
from pretrain import cache, hub
from pretrain.cache import default_cache_dir, packed, trained_tokenizer
from pretrain.config import Source
from pretrain.corpus import PackedCorpus
from pretrain.mixture import Mixture
from pretrain.tokenizer import tokenizer_digest, train_tokenizer

BLOCK_SIZE = 16


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"the doctor chased dog {number} .\n" for number in range(300)))
    return path


@pytest.fixture
def mixture(text: Path) -> Mixture:
    return Mixture.of([str(text)])


@pytest.fixture
def no_packing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, packing fails."""
    return lambda: monkeypatch.setattr(cache, "pack", lambda *_: pytest.fail("packed again"))


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if (path / "train.arrow").exists())


def test_the_second_call_opens_what_the_first_packed(
    mixture: Mixture, text: Path, tokenizer: PreTrainedTokenizerFast, cache_dir: Path, no_packing: Callable[[], None]
):
    first = packed(mixture, tokenizer, BLOCK_SIZE)
    no_packing()
    again = packed(Mixture.of([str(text)]), tokenizer, BLOCK_SIZE)
    np.testing.assert_array_equal(first.train, again.train)
    np.testing.assert_array_equal(first.held_out, again.held_out)
    (entry,) = entries(cache_dir)
    assert sorted(path.name for path in entry.iterdir()) == ["held_out.arrow", "key.json", "train.arrow"]
    assert [path for path in cache_dir.iterdir() if path != entry] == []
    assert json.loads((entry / "key.json").read_text())["block"] == BLOCK_SIZE


def test_names_and_dates_of_files_do_not_matter(
    text: Path, tokenizer: PreTrainedTokenizerFast, no_packing: Callable[[], None]
):
    packed(Mixture.of([str(text)]), tokenizer, BLOCK_SIZE)
    moved = text.rename(text.with_name("moved.txt"))
    os.utime(moved, (1, 1))
    no_packing()
    packed(Mixture.of([str(moved)]), tokenizer, BLOCK_SIZE)


def test_all_that_decides_the_content_makes_another_entry(
    tmp_path: Path,
    text: Path,
    documents: list[str],
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
):
    other = tmp_path / "other.csv"
    other.write_text("text,body\na,b\n")
    a, b = Source(source=str(text)), Source(source=str(other))
    folder = tmp_path / "cache"

    def count(sources: list[Source], seed: int = 0, size: int = BLOCK_SIZE, by: Any = tokenizer) -> int:
        packed(Mixture(sources, seed), by, size, folder)
        return len(entries(folder))

    assert count([a]) == count([a]) == 1
    assert count([a], size=8) == 2
    assert count([a], by=train_tokenizer(documents, 290)) == 3
    assert count([a, b]) == 4
    assert count([b, a]) == 5
    assert count([a, b], seed=1) == 6
    assert count([a, b.model_copy(update={"weight": 2.0})]) == 7
    assert count([a, b.model_copy(update={"column": "body"})]) == 8
    text.write_text(text.read_text() + "one more\n")
    assert count([a]) == 9
    monkeypatch.setattr(cache, "FORMAT", 2)
    assert count([a]) == 10


@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "other"])
def test_a_damaged_entry_is_made_anew_with_a_word_in_the_log(
    mixture: Mixture,
    tokenizer: PreTrainedTokenizerFast,
    cache_dir: Path,
    caplog: pytest.LogCaptureFixture,
    damage: str,
):
    first = packed(mixture, tokenizer, BLOCK_SIZE).train.copy()
    (entry,) = entries(cache_dir)
    file = entry / "train.arrow"
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        # A mapped file must not be cut: another one takes its name.
        file.rename(entry / "old")
        file.write_bytes({"cut": content[:-100], "empty": b"", "other": b"text" * 99}[damage])
    with caplog.at_level(logging.WARNING):
        again = packed(mixture, tokenizer, BLOCK_SIZE)
    np.testing.assert_array_equal(again.train, first)
    np.testing.assert_array_equal(PackedCorpus.load(entry).train, first)
    assert f"{entry} is damaged and made anew" in caplog.text


def test_a_faster_process_wins_and_the_other_is_not_disturbed(
    mixture: Mixture, tokenizer: PreTrainedTokenizerFast, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    pack = cache.pack

    def slow(*arguments: Any) -> PackedCorpus:
        if not entries(cache_dir):
            monkeypatch.setattr(cache, "pack", pack)
            packed(mixture, tokenizer, BLOCK_SIZE)
            monkeypatch.setattr(cache, "pack", slow)
        return pack(*arguments)

    cache_dir.mkdir(parents=True)
    monkeypatch.setattr(cache, "pack", slow)
    corpus = packed(mixture, tokenizer, BLOCK_SIZE)
    (entry,) = entries(cache_dir)
    np.testing.assert_array_equal(corpus.train, PackedCorpus.load(entry).train)
    assert list(cache_dir.iterdir()) == [entry]


@pytest.mark.slow
def test_two_processes_at_once_leave_one_whole_entry(text: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    script = (
        "import sys; from pathlib import Path; from pretrain.cache import packed\n"
        "from pretrain.mixture import Mixture\n"
        "from pretrain.tokenizer import load_tokenizer\n"
        "text, tokenizer, folder = sys.argv[1:]\n"
        "print(len(packed(Mixture.of([text]), load_tokenizer(tokenizer), 16, Path(folder)).train))"
    )
    words = [sys.executable, "-c", script, str(text), str(tmp_path / "tokenizer"), str(tmp_path / "cache")]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = [process.communicate(timeout=60)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    (entry,) = (tmp_path / "cache").iterdir()
    assert counts == [str(len(PackedCorpus.load(entry).train))] * 2


def test_an_error_leaves_nothing(tmp_path: Path, tokenizer: PreTrainedTokenizerFast, cache_dir: Path):
    (tmp_path / "a.txt").write_bytes(b"good\n" * 5_000 + b"\xff")
    with pytest.raises(InputError, match="must be UTF-8 text"):
        packed(Mixture.of([str(tmp_path / "a.txt")]), tokenizer, BLOCK_SIZE)
    assert list(cache_dir.iterdir()) == []


def test_what_was_abandoned_long_ago_is_removed(mixture: Mixture, tokenizer: PreTrainedTokenizerFast, cache_dir: Path):
    for name, seconds in ((".old.x", 1.0), (".new.y", None)):
        (cache_dir / name).mkdir(parents=True)
        if seconds is not None:
            os.utime(cache_dir / name, (seconds, seconds))
    packed(mixture, tokenizer, BLOCK_SIZE)
    assert [path.name for path in cache_dir.glob(".*")] == [".new.y"]


def test_refuses_a_folder_that_cannot_be_written(mixture: Mixture, tokenizer: PreTrainedTokenizerFast, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"^--cache_dir: .*file must be a folder to write to, is not \(.+\)\. Give"):
        packed(mixture, tokenizer, BLOCK_SIZE, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_folder_is_that_of_xdg_or_of_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache_dir: Path):
    assert default_cache_dir() == cache_dir
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "boshnas" / "corpora"


def test_progress_can_be_off(
    mixture: Mixture,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    monkeypatch.setattr("pretrain.progress._FIRST_S", -1.0)
    packed(mixture, tokenizer, BLOCK_SIZE, tmp_path / "one", progress=False)
    assert capsys.readouterr().err == ""
    packed(mixture, tokenizer, BLOCK_SIZE, tmp_path / "two")
    assert "tokenising: 300 documents" in capsys.readouterr().err


# The hub


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A hub with a revision that can change, and that can go away."""
    state = SimpleNamespace(sha="one", rows=[{"text": f"the doctor {number}"} for number in range(300)])

    def info(*_: Any, **__: Any) -> SimpleNamespace:
        if state.sha is None:
            raise ConnectionError("no network")
        return SimpleNamespace(sha=state.sha)

    monkeypatch.setattr(hub, "dataset_info", info)
    monkeypatch.setattr(hub, "load_dataset", lambda *_, **__: state.rows)
    return state


def test_a_new_revision_is_packed_anew_and_an_old_one_is_there_without_network(
    served: SimpleNamespace,
    tokenizer: PreTrainedTokenizerFast,
    cache_dir: Path,
    no_packing: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
):
    mixture = Mixture.of(["owner/name"])
    packed(mixture, tokenizer, BLOCK_SIZE)
    served.sha = "two"
    packed(mixture, tokenizer, BLOCK_SIZE)
    assert len(entries(cache_dir)) == 2
    served.sha = None
    no_packing()
    with caplog.at_level(logging.WARNING):
        packed(mixture, tokenizer, BLOCK_SIZE)
    assert "cannot be read (no network)" in caplog.text
    assert "Taken as it was last seen." in caplog.text


def test_a_set_that_was_never_seen_needs_the_network(served: SimpleNamespace, tokenizer: PreTrainedTokenizerFast):
    served.sha = None
    with pytest.raises(InputError, match=r"owner/name@train: the hub data set cannot be read \(no network\)"):
        packed(Mixture.of(["owner/name"]), tokenizer, BLOCK_SIZE)


# Tokenizers


def test_a_tokenizer_is_trained_once_for_its_options(mixture: Mixture, monkeypatch: pytest.MonkeyPatch):
    first = trained_tokenizer(mixture, 300)
    options: list[dict[str, Any]] = [
        {"vocab_size": 290},
        {"vocab_size": 300, "kind": "wordpiece"},
        {"vocab_size": 300, "kind": "wordpiece", "lowercase": True},
    ]
    digests = {tokenizer_digest(trained_tokenizer(mixture, **option)) for option in options}
    assert len(digests | {tokenizer_digest(first)}) == 4
    monkeypatch.setattr(cache, "train_tokenizer", lambda *_, **__: pytest.fail("trained again"))
    assert tokenizer_digest(trained_tokenizer(mixture, 300)) == tokenizer_digest(first)
    assert {tokenizer_digest(trained_tokenizer(mixture, **option)) for option in options} == digests
