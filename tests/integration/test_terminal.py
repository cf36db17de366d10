"""Commands in a pseudo-terminal: what a person sees at some widths, and what Ctrl-C does to a search."""

import csv
import os
import random
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from terminal import Terminal

from boshnas.executors.identity import ProcessIdentity
from boshnas.executors.leftover import PROCESS_FILE
from boshnas.job import read_model
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Status, Trial

# The first two candidates end at once; others wait for a file, as long as it takes.
EVALUATOR = """
import json, pathlib, sys, time
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
while job["number"] > 1 and not pathlib.Path("go").exists():
    path.with_name("progress.json").write_text('{"stage": "brewing", "step": 3, "num_steps": 4}')
    time.sleep(0.1)
result = {"number": job["number"], "id": job["id"], "status": "finished", "score": 50.0 + job["number"]}
path.with_name(".result").write_text(json.dumps(result))
path.with_name(".result").rename(path.with_name("result.json"))
"""
BUDGET = 6
RESUME = ("run", "--resume", "--out", "my run")
slow = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path, tiny_text: str) -> Path:
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    (tmp_path / "train.py").write_text(EVALUATOR)
    return tmp_path


def search(place: Path, columns: int = 80) -> Terminal:
    words = ("run", "--space", "tiny.yaml", "--budget", str(BUDGET), "--parallel", "2", "--surrogate", "random")
    command = f"{sys.executable} -S train.py {{job}}"
    return Terminal(place, *words, "--out", "my run", "--evaluator", command, columns=columns)


def trials(place: Path) -> list[Trial]:
    with Store.open(place / "my run" / STORE_FILE, read_only=True) as store:
        return store.trials()


def gone_on(place: Path) -> list[Trial]:
    """The search is gone on with to its end."""
    (place / "go").touch()
    with Terminal(place, *RESUME) as resumed:
        assert resumed.wait() == 0, resumed.text
        assert "2 of 6 evaluations" in resumed.text or "4 of 6 evaluations" in resumed.text
    return trials(place)


def are_whole(found: list[Trial]) -> bool:
    is_finished = all(trial.status is Status.FINISHED and not trial.attempts for trial in found)
    return is_finished and len({trial.id for trial in found}) == len(found) == BUDGET


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("list", "--help"), ("show", "--help")])
@pytest.mark.parametrize("columns", [20, 80, 200])
def test_help_fits_the_terminal(tmp_path: Path, words: tuple[str, ...], columns: int):
    with Terminal(tmp_path, *words, columns=columns) as shown:
        assert shown.wait() == 0
        text = shown.text
    assert "boshnas" in text
    assert max(map(len, text.splitlines())) <= columns


@slow
def test_the_first_ctrl_c_finishes_what_runs_and_nothing_is_lost(place: Path):
    with search(place) as running:
        running.wait_for("brewing")
        running.press_ctrl_c()
        running.wait_for("Stopping: nothing more starts, 2 evaluations")
        (place / "go").touch()
        assert running.wait() == 130, running.text
        assert running.text.rstrip().endswith("Go on with: boshnas run --resume --out 'my run'\ninterrupted")
    found = trials(place)
    assert [trial.status for trial in found] == [Status.FINISHED] * 4
    after = gone_on(place)
    assert after[:4] == found
    assert are_whole(after)


@slow
@pytest.mark.parametrize("by_signal", [None, signal.SIGTERM, signal.SIGHUP])
def test_the_second_ctrl_c_or_a_signal_stops_at_once_and_nothing_is_lost(place: Path, by_signal: signal.Signals | None):
    with search(place, columns=20) as running:
        running.wait_for("brewing")
        running.wait_for("75 %")
        evaluators = [read_model(path, ProcessIdentity) for path in place.glob(f"my run/jobs/*/{PROCESS_FILE}")]
        if by_signal is not None:
            os.kill(running.pid, by_signal)
        else:
            running.press_ctrl_c()
            running.wait_for("Stopping:")
            running.press_ctrl_c()
        assert running.wait() == 130, running.text
        assert ("Stopping:" in running.text) == (by_signal is None)
        assert "Stopping at once:" in running.text
        assert "boshnas run --resume --out 'my run'" in running.text
    assert not any(psutil.pid_exists(process.pid) and process.is_alive for process in evaluators)
    found = trials(place)
    assert [trial.status for trial in found] == [Status.FINISHED] * 2 + [Status.RUNNING] * 2
    after = gone_on(place)
    assert [trial.id for trial in after[:4]] == [trial.id for trial in found]
    assert are_whole(after)


@slow
def test_a_resized_view_goes_on(place: Path):
    with search(place, columns=200) as running:
        running.wait_for("level 1, random")
        running.wait_for("brewing")
        for columns in (20, 1, 80):
            running.resize(columns)
            drawn = running.text.count("━")
            running.wait_for(lambda text, drawn=drawn: text.count("━") > drawn + 2)
        (place / "go").touch()
        assert running.wait() == 0, running.text
        assert "store: my run/store.db" in running.text
    assert are_whole(trials(place))


@slow
def test_ctrl_c_in_a_table_shows_what_is_done(tmp_path: Path):
    rng = random.Random(0)
    with (tmp_path / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "b", "y"])
        rows.writerows([rng.random(), rng.random(), rng.random()] for _ in range(3000))
    words = ("run", "--table", "table.csv", "--objective", "y", "--budget", "2500")
    with Terminal(tmp_path, *words) as running:
        running.wait_for("/2500")
        running.wait_for(lambda text: any(f" {number}/2500" in text for number in range(11, 200)))
        running.press_ctrl_c()
        assert running.wait() == 130, running.text
        assert "Interrupted after" in running.text
        assert "Best by y" in running.text


@slow
def test_ctrl_c_before_anything_runs_ends_at_once(place: Path):
    """While the libraries are imported."""
    with search(place) as running:
        while not any("torch" in each.path for each in psutil.Process(running.pid).memory_maps()):
            time.sleep(0.05)
        running.press_ctrl_c()
        assert running.wait() == 130, running.text
        assert running.text.endswith("interrupted\n")
        assert "Traceback" not in running.text
    assert not (place / "my run").exists()
