import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import search_fakes
import waiting

from boshnas.dashboard import main
from boshnas.dashboard_server import read_only
from boshnas.store import STORE_FILE, Store

wait_until = partial(waiting.wait_until, limit_s=20)
pytest.importorskip("optuna_dashboard", reason="needs optuna-dashboard (pip install -e '.[dashboard]')")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of one finished evaluation."""
    with Store.create(tmp_path / STORE_FILE, {}, {}, score_name="GLUE score") as store:
        search_fakes.record(store, search_fakes.ended_trial(0, 71.5))
    return tmp_path


@pytest.fixture
def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def dashboard(run: Path, free_port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address that it prints."""
    heeded = ["env", "--default-signal=INT"]  # a job in the background of a shell would ignore it
    words = [*heeded, sys.executable, "-m", "boshnas.dashboard", str(run), "--port", str(free_port)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


def asked(url: str, method: str = "GET") -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answer:
        content: bytes = answer.read()
    return content


def test_it_shows_the_run_and_changes_nothing(run: Path, free_port: int, dashboard: tuple[subprocess.Popen[str], str]):
    process, address = dashboard
    assert address == f"http://127.0.0.1:{free_port}/dashboard/studies/1"
    before = (run / STORE_FILE).read_bytes()
    api = address.replace("/dashboard/", "/api/")
    study = json.loads(asked(api))
    assert study["trials"][0]["values"] == [71.5]
    assert b"GLUE score" in asked(address.replace("/dashboard/studies/", "/csv/"))
    assert b"<html" in asked(address)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        asked(api, "DELETE")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert (run / STORE_FILE).read_bytes() == before
    assert not [path.name for path in run.iterdir() if path.name.endswith(("-wal", "-shm"))]


def test_a_trial_that_ends_while_it_is_shown_is_there(run: Path, dashboard: tuple[subprocess.Popen[str], str]):
    api = dashboard[1].replace("/dashboard/", "/api/")
    assert len(json.loads(asked(api))["trials"]) == 1
    with Store.open(run / STORE_FILE) as store:
        search_fakes.record(store, search_fakes.ended_trial(1, 75.0))
    assert wait_until(lambda: len(json.loads(asked(api))["trials"]) == 2)  # it asks the store every two seconds


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_request_that_writes_does_not_reach_the_dashboard(method: str):
    told: list[str] = []
    application = read_only(lambda environ, start: pytest.fail("was asked"))
    answer = application({"REQUEST_METHOD": method}, lambda status, headers: told.append(status))
    assert told == ["403 Forbidden"]
    assert "read only" in json.loads(b"".join(answer))["reason"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{absent}"], "store must be a file"),
        (["{run}", "--port", "70000"], "less than or equal to 65535"),
        (["{run}", "--host", "nowhere.invalid"], "cannot be listened on"),
        (["{run}", "--prot", "1"], "No such option"),
    ],
)
def test_bad_input_is_one_line(run: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main([word.format(run=run, absent=run / "absent") for word in words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_refused_only_where_it_was_asked_for(run: Path, capsys: pytest.CaptureFixture[str]):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([str(run), "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be listened on (Address already in use)" in capsys.readouterr().err


def test_the_extra_is_named_where_it_is_missing(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert main([str(run)]) == 2
    assert "pip install -c constraints.txt -e '.[dashboard]'" in capsys.readouterr().err


def test_a_password_on_the_command_line_is_refused(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(run), "--storage", "postgresql://me:secret@nowhere/db"]) == 2
    error = capsys.readouterr().err
    assert "--storage" in error
    assert "secret" not in error
    assert os.environ.get("BOSHNAS_STORAGE") is None
