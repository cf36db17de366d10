import errno
import json
import os
import sqlite3
from pathlib import Path

import pytest
from report_runs import IDENTITY, made_trials, run_of, trial

from boshnas.errors import InputError
from boshnas.job import Result
from boshnas.report import Format, write_report
from boshnas.report.__main__ import main
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Status


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that is going on: one evaluation has finished, one runs."""
    run = tmp_path / "mini"
    run.mkdir()
    with Store.create(run / STORE_FILE, IDENTITY, {"num_layers": [2, 4]}) as store:
        store.add(trial(0, parameters={"num_layers": 2}))
        store.finish(Result(number=0, id="id0", status=Status.FINISHED, score=71.5))
        store.add(trial(1, parameters={"num_layers": 4}))
    return run


def test_the_page_lies_in_the_run(folder: Path, capsys: pytest.CaptureFixture[str]):
    before = (folder / STORE_FILE).read_bytes()
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"Report: {folder / 'report.html'}\n"
    assert "71.50" in (folder / "report.html").read_text()
    assert "1 had not ended" in (folder / "report.html").read_text()
    assert (folder / STORE_FILE).read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", STORE_FILE]


@pytest.mark.parametrize(
    ("words", "name", "begin"),
    [
        (["--format", "md"], "report.md", "# Search mini"),
        (["--format", "json"], "report.json", "{"),
        (["--format", "csv"], "report.csv", "number,id"),
        (["--out", "{}/report-1.md"], "report-1.md", "# Search mini"),
        (["--out", "{}/../best.txt", "--format", "csv"], "../best.txt", "number,id"),
        (["--out", "{}/../best.html"], "../best.html", "<!doctype html>"),
    ],
)
def test_the_format_is_the_one_asked_for_or_that_of_the_ending(words: list[str], name: str, begin: str, folder: Path):
    assert main([str(folder), *(word.format(folder) for word in words)]) == 0
    assert (folder / name).read_text().startswith(begin)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "{}/store.db"], "--out: must end in one of .html, .md, .json, .csv"),
        (["--out", "{}/../mine.py"], "--out: must end in one of .html, .md, .json, .csv"),
        (["--out", "{}/folders.json"], "--out: a report in the run's folder must be named report…"),
        (["--out", "{}/../mini/store.db", "--format", "html"], "--out: a report in the run's folder must be named"),
        (["--out", "{}/report.md", "--format", "csv"], "--format: must be that of --out, md, got csv"),
    ],
)
def test_what_is_no_report_is_not_replaced(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    for name in ("folders.json", "../mine.py"):
        (folder / name).write_text("kept")
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    assert message in refusal([str(folder), *(word.format(folder) for word in words)], capsys)
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before


def test_standard_output_holds_the_report_alone(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(folder), "--out", "-", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"running": 1, "finished": 1}


def test_json_names_the_report_in_the_last_line(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said == {"report": str(folder / "report.html"), "format": "html", "num_evaluations": 2}


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_what_cannot_be_written_is_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("")
    for out, rule in (
        (tmp_path / "no" / "x.html", "a folder that exists"),
        (tmp_path / "file" / "x.html", "a folder that exists"),
        (tmp_path, "got the folder"),
        (Path(os.devnull), "got the device"),
        (tmp_path / ("a" * 300), "File name too long"),
    ):
        assert rule in refusal([str(folder), "--out", str(out), "--format", "html"], capsys)
    assert "--json" in refusal([str(folder), "--out", "-", "--json"], capsys)
    assert "pdf" in refusal([str(folder), "--format", "pdf"], capsys)


def test_what_is_no_run_is_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "store.db" in refusal([str(tmp_path / "nothing")], capsys)
    assert "store.db" in refusal([str(tmp_path / ("a" * 300))], capsys)
    assert "--storage" in refusal([str(folder), "--storage", str(tmp_path / "no.url")], capsys)
    (folder / STORE_FILE).write_bytes(b"torn" * 1000)
    assert "store.db" in refusal([str(folder)], capsys)
    (folder / STORE_FILE).unlink()
    assert "store.db" in refusal([str(folder)], capsys)
    assert [path.name for path in folder.iterdir()] == []


def test_a_store_of_a_newer_package_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]):
    with sqlite3.connect(folder / STORE_FILE) as connection:
        connection.execute("UPDATE study_user_attributes SET value_json = '99' WHERE key = 'schema_number'")
    assert "Update this package" in refusal([str(folder)], capsys)


def test_a_store_of_an_older_schema_is_read_and_left_as_it_is(folder: Path):
    with sqlite3.connect(folder / STORE_FILE) as connection:
        connection.execute("UPDATE study_user_attributes SET value_json = '1' WHERE key = 'schema_number'")
        connection.execute("DELETE FROM trial_user_attributes WHERE key = 'params'")
    assert main([str(folder)]) == 0
    assert not list(folder.glob("*.bak"))


def test_a_full_disk_leaves_the_earlier_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run, target = run_of(made_trials(12)), tmp_path / "report.md"
    write_report(run, target, Format.MD)
    before = target.read_text()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"report\.md' cannot be written \(No space left on device\)"):
        write_report(run_of(made_trials(13)), target, Format.MD)
    assert target.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
