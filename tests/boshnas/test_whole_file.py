import os
from pathlib import Path

import pytest

from boshnas.whole_file import write_whole


def test_the_text_is_there_and_nothing_beside_it(tmp_path: Path):
    for text in ("old", "größer\n", ""):
        write_whole(tmp_path / "file.html", text)
        assert (tmp_path / "file.html").read_text("utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["file.html"]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path):
    path = tmp_path / "file.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_does_not_keep_what_is_written_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "file.json"
    write_whole(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
