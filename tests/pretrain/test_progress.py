"""Progress: nothing for quick work, two lines where there is no terminal, one that changes where there is."""

from collections.abc import Iterator

import pytest

from pretrain import progress
from pretrain.progress import counted


def test_documents_pass_unchanged_and_quick_work_says_nothing(capsys: pytest.CaptureFixture[str]):
    assert list(counted(["a", "b"], "reading")) == ["a", "b"]
    assert list(counted([], "reading")) == []
    assert capsys.readouterr() == ("", "")


def test_long_work_tells_its_start_and_its_end_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(progress, "_FIRST_S", 0.0)
    list(counted(["ab"] * 1_500, "reading"))
    out, error = capsys.readouterr()
    assert out == ""
    assert error == "reading…\nreading: 1,500 documents, 0.0 million characters in 0 s\n"


def test_on_a_terminal_the_line_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(progress, "_FIRST_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert len(list(counted(["ab"] * 1_500, "reading"))) == 1_500
    out, error = capsys.readouterr()
    assert out == ""
    assert error.endswith("reading: 1,500 documents, 0.0 million characters in 0 s\n")


def test_what_ends_early_tells_how_far_it_came(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(progress, "_FIRST_S", 0.0)

    def endless() -> Iterator[str]:
        while True:
            yield "a"

    documents = counted(endless(), "reading")
    for _ in range(5):
        next(documents)
    documents.close()  # type: ignore[attr-defined]
    assert "reading: 5 documents" in capsys.readouterr().err
