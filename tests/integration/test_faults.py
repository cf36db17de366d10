"""Searches through the real loop, store, executor and processes, in which something goes wrong.

Each fault ends as the table in docs/running.md says.
"""

import sys
from pathlib import Path

import pytest

from boshnas.run import main
from boshnas.store import Store, place
from boshnas.trial import Status, Trial

# Does to evaluation 1 what its second argument says, in its first attempt or in all; the others finish.
WORKER = """
import json, os, pathlib, shutil, signal, sys, time
path = pathlib.Path(sys.argv[1])
fault = sys.argv[2]
job = json.loads(path.read_text())
is_first = job["attempt"] == 1
result = {"number": job["number"], "id": job["id"], "status": "finished", "score": float(job["number"])}
if job["number"] == 1:
    if fault == "crash" and is_first or fault == "bug":
        raise ValueError("no such task")
    if fault == "kill" and job["attempt"] < 4:
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "out of memory" and job["batch_split"] < 4:
        result = {**result, "status": "out of memory", "score": None, "error": "no room for the batch"}
    if fault == "hang":
        time.sleep(600)
    if fault == "slow" and job["attempt"] < 3:
        path.with_name("saved.json").write_text(json.dumps({"stage": "train", "step": job["attempt"]}))
        time.sleep(600)
    if fault == "not a number":
        result["score"] = float("nan")
    if fault == "diverged":
        result = {**result, "status": "diverged", "score": None, "error": "the loss is not finite"}
    if fault == "corrupt result" and is_first:
        path.with_name("result.json").write_text('{"number": 1, "id')
        sys.exit(0)
    if fault == "folder for a result" and is_first:
        path.with_name("result.json").mkdir()
        sys.exit(0)
    if fault == "another's result" and is_first:
        result["number"] = 0
    if fault == "deleted folder" and is_first:
        shutil.rmtree(path.parent)
        sys.exit(0)
    if fault == "bad input":
        print("train.py: --rate must be positive", file=sys.stderr)
        sys.exit(2)
    if fault == "disk full" and is_first:
        sys.exit(228)
    if fault == "its own code":
        sys.exit(28)
path.with_name("result.json").write_text(json.dumps(result))
"""


@pytest.fixture
def folder(tmp_path: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boshnas.loop.ROOM_SECONDS", 0.2)
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "local.yaml").write_text("time_limit_s: 2.0\n")
    return tmp_path


def searched(folder: Path, fault: str) -> list[Trial]:
    evaluator = (
        f"{sys.executable} -S worker.py {{job}} '{fault}'"
        if "'" not in fault
        else (f'{sys.executable} -S worker.py {{job}} "{fault}"')
    )
    words = ["--space", "tiny.yaml", "--budget", "3", "--parallel", "2", "--synchronous", "--out", "run"]
    assert main([*words, "--surrogate", "random", "--evaluator", evaluator, "--executor-config", "local.yaml"]) == 0
    with Store.open(place(folder / "run", None), read_only=True) as store:
        return store.trials()


@pytest.mark.parametrize(
    ("fault", "attempts", "status", "words"),
    [
        ("crash", [Status.CRASHED], Status.FINISHED, ""),
        ("bug", [Status.CRASHED], Status.CRASHED, "ValueError: no such task"),
        ("kill", [Status.KILLED] * 3, Status.FINISHED, ""),
        ("out of memory", [Status.OUT_OF_MEMORY] * 2, Status.FINISHED, ""),
        ("hang", [], Status.TIMED_OUT, "after 2 seconds, the time limit"),
        ("slow", [Status.TIMED_OUT] * 2, Status.FINISHED, ""),
        ("not a number", [], Status.DIVERGED, "score: must be a finite number, got nan"),
        ("diverged", [], Status.DIVERGED, "the loss is not finite"),
        ("corrupt result", [Status.CRASHED], Status.FINISHED, ""),
        ("folder for a result", [Status.CRASHED], Status.FINISHED, ""),
        ("another's result", [Status.CRASHED], Status.FINISHED, ""),
        ("deleted folder", [Status.CRASHED], Status.FINISHED, ""),
        ("bad input", [], Status.BAD_INPUT, "--rate must be positive"),
        ("disk full", [Status.DISK_FULL], Status.FINISHED, ""),
        ("its own code", [Status.CRASHED], Status.CRASHED, "return code 28"),
    ],
)
def test_a_fault_ends_as_documented(folder: Path, fault: str, attempts: list[Status], status: Status, words: str):
    trials = searched(folder, fault)
    assert [trial.status for trial in trials] == [Status.FINISHED, status, Status.FINISHED]
    assert [[attempt.status for attempt in trial.attempts] for trial in trials] == [[], attempts, []]
    assert words in (trials[1].error or "")
    assert all(attempt.error for attempt in trials[1].attempts)
    assert [trial.score for trial in trials] == [0.0, 1.0 if status is Status.FINISHED else None, 2.0]


def test_the_table_of_the_documentation_tells_every_status():
    table = (Path(__file__).parents[2] / "docs" / "running.md").read_text()
    missing = [status for status in Status if status not in (Status.RUNNING, Status.FINISHED)]
    assert [status for status in missing if f"| {status} |" not in table] == []
