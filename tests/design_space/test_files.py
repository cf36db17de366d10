"""Files and folders appear whole, or not at all."""

from pathlib import Path

import pytest

from design_space.errors import InputError
from design_space.files import folder_written_whole, written_whole


def test_a_file_is_replaced_at_the_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with written_whole(path) as file:
            file.write(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
    with written_whole(path) as file:
        file.write(b"new")
    assert path.read_text() == "new"


def test_a_folder_appears_at_the_end_with_all_above_it(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "new"
    with folder_written_whole(target) as folder:
        (folder / "file").write_text("content")
        assert not target.exists()
    assert (target / "file").read_text() == "content"
    assert list(target.parent.iterdir()) == [target]


def test_after_an_error_no_folder_is_left(tmp_path: Path) -> None:
    def fail() -> None:
        with folder_written_whole(tmp_path / "deep" / "new") as folder:
            (folder / "file").write_text("content")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_or_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="--out: .*file exists. Give another folder"):
        folder_written_whole(tmp_path / "file", "--out").__enter__()
    with pytest.raises(InputError, match="--to: .*cannot be made .*Give another folder"):
        folder_written_whole(tmp_path / "file" / "new").__enter__()
    assert (tmp_path / "file").read_text() == "mine"
