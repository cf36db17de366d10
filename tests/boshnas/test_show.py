"""`boshnas list` and `boshnas show`: both only read."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boshnas.executors import is_held, run_lock
from boshnas.executors.identity import ProcessIdentity
from boshnas.job import Result, job_folder
from boshnas.list import main as list_main
from boshnas.show import main as show_main
from boshnas.store import STORAGE_FILE, STORE_FILE, Store
from boshnas.trial import Attempt, Decision, Proposal, Status, Trial
from boshnas.writable import HELD_FILE, LOCK_FILE

IDENTITY = {
    "space": "/spaces/[red]tiny.yaml",
    "options": {"space": "tiny", "budget": 4, "seed": 3, "evaluator": None, "constraints": []},
    "versions": {"torch": "2.13.0"},
}


def made(number: int, **changes: Any) -> Trial:
    trial = Trial(
        number=number,
        proposal=Proposal(id=f"arch{number}", decision=Decision.RANDOM),
        level=1,
        architecture={"l": 2, "h": [32, 64]},
        parameters={},
        seed=3,
        params=4_000_000 + number,
    )
    return replace(trial, **changes)


def foreseen(number: int, mean: float) -> Trial:
    proposal = Proposal(id=f"arch{number}", decision=Decision.OPTIMISE, mean=mean, epistemic_std=3.0, aleatoric_std=4.0)
    return made(number, proposal=proposal, parent_id=f"arch{number - 1}", level=2)


def finish(store: Store, number: int, score: float | None, error: str | None = None) -> None:
    store.finish(
        Result(
            number=number,
            id=f"arch{number}",
            status=Status.CRASHED if score is None else Status.FINISHED,
            score=score,
            task_scores={} if score is None else {"co[la]": score},
            stage_seconds={"pretrain": 65.0},
            error=error,
        )
    )


def begin(folder: Path, identity: dict[str, Any] | None = None) -> Store:
    folder.mkdir(parents=True)
    return Store.create(folder / STORE_FILE, IDENTITY if identity is None else identity, {}, score_name="GLUE [score]")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two finished, one failed, one that was running when the search was interrupted."""
    folder = tmp_path / "runs" / "first"
    with begin(folder) as store:
        store.add(made(0))
        finish(store, 0, 60.0)
        store.add(foreseen(1, 65.0))
        store.add_attempt(1, Attempt(status=Status.KILLED, error="Killed.\nline\n\x1b[31mthe [end]"))
        finish(store, 1, 75.0)
        store.add(made(2))
        finish(store, 2, None, "ValueError: [/red] no\nTraceback\n  last line")
        store.add(made(3))
    job_folder(folder, 1).mkdir(parents=True)
    (job_folder(folder, 1) / "log.txt").write_text("log")
    return folder


def content(folder: Path) -> dict[str, str]:
    """Every file with its digest, and every folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert list_main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    runs: list[dict[str, Any]] = json.loads(captured.out)["runs"]
    return runs


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert show_main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def text(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert show_main(words) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    return captured.out


def refused(capsys: pytest.CaptureFixture[str], main: Any, *words: str) -> str:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


# Whether a search holds a folder


def test_a_folder_is_held_while_a_process_has_its_lock(run: Path):
    assert not is_held(run)
    with run_lock(run):
        assert is_held(run)
    assert not is_held(run)  # though this process lives on
    assert (run / LOCK_FILE).exists()


def test_a_lock_of_a_process_that_is_gone_holds_nothing(run: Path):
    gone = ProcessIdentity(host=ProcessIdentity.own().host, pid=1, boot="another", begun=1.0)
    (run / LOCK_FILE).write_text(gone.model_dump_json())
    assert not is_held(run)


def test_on_a_disk_without_locks_the_held_file_tells(run: Path):
    (run / HELD_FILE).write_text(ProcessIdentity.own().model_dump_json())
    assert is_held(run)
    elsewhere = ProcessIdentity(host="another", pid=1, boot="", begun=1.0)
    (run / HELD_FILE).write_text(elsewhere.model_dump_json())
    assert is_held(run)
    os.utime(run / HELD_FILE, (1.0, 1.0))
    assert not is_held(run)


# boshnas list


def test_list_tells_how_far_each_run_is_newest_first(run: Path, capsys: pytest.CaptureFixture[str]):
    with begin(run.parent / "second") as store:
        for number in range(4):
            store.add(made(number))
            finish(store, number, 50.0 + number)
    begin(run.parent / "third").close()
    (run.parent / "no run").mkdir()
    (run.parent / "file").touch()
    with run_lock(run):
        second, first, third = listed(capsys, str(run.parent))
    assert first | {"begun": None} == {
        "name": "first",
        "folder": str(run),
        "state": "running",
        "space": "[red]tiny.yaml",
        "score_name": "GLUE [score]",
        "budget": 4,
        "num_finished": 2,
        "num_failed": 1,
        "num_running": 1,
        "best_id": "arch1",
        "best_score": 75.0,
        "begun": None,
        "error": None,
    }
    assert (second["name"], second["state"], second["best_id"]) == ("second", "finished", "arch3")
    assert second["begun"] >= first["begun"]
    assert (third["name"], third["state"], third["begun"], third["best_id"]) == ("third", "interrupted", None, None)
    assert [entry["state"] for entry in listed(capsys, str(run))] == ["interrupted"]


def test_baselines_are_no_part_of_the_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with begin(tmp_path / "run") as store:
        store.add(made(0, proposal=Proposal(id="arch0", decision=Decision.BASELINE), level=0))
        finish(store, 0, 99.0)
    (entry,) = listed(capsys, str(tmp_path))
    assert (entry["num_finished"], entry["best_id"], entry["state"]) == (0, None, "interrupted")


def test_a_search_that_was_given_more_budget_later_is_not_beyond_it(run: Path, capsys: pytest.CaptureFixture[str]):
    with Store.open(run / STORE_FILE) as store:
        finish(store, 3, 1.0)
        store.add(made(4))
        finish(store, 4, 1.0)
    (entry,) = listed(capsys, str(run))
    assert (entry["state"], entry["budget"]) == ("finished", 5)


def test_list_in_text_escapes_what_users_wrote(run: Path, capsys: pytest.CaptureFixture[str]):
    assert list_main([str(run.parent)]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "run",
        "state",
        "done",
        "failed",
        "running",
        "best",
        "score",
        "architecture",
        "space",
        "begun",
    ]
    assert row.split()[:-2] == [
        "first",
        "interrupted",
        "3",
        "of",
        "4",
        "1",
        "0",
        "75.00",
        "GLUE",
        "[score]",
        "arch1",
        "[red]tiny.yaml",
    ]


def test_no_runs_are_no_error_but_no_folder_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert list_main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"No run in {tmp_path}. Begin one: boshnas run --space flexibert_mini\n"
    assert listed(capsys, str(tmp_path)) == []
    line = refused(capsys, list_main, str(tmp_path / "absent"))
    assert line.startswith("FOLDER: must be a folder of runs, got ")


def spoil_header(path: Path) -> None:
    path.write_bytes(b"no database")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def of_tomorrow(path: Path) -> None:
    set_schema(path, "99")


def set_schema(path: Path, number: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE study_user_attributes SET value_json = ? WHERE key = 'schema_number'", (number,))


@pytest.mark.parametrize("spoil", [spoil_header, cut, empty, of_tomorrow])
def test_a_run_that_cannot_be_read_says_why_and_hides_no_other(
    run: Path, capsys: pytest.CaptureFixture[str], spoil: Any
):
    begin(run.parent / "other").close()
    spoil(run / STORE_FILE)
    entries = {entry["name"]: entry for entry in listed(capsys, str(run.parent))}
    assert entries["first"]["state"] == "unreadable"
    assert STORE_FILE in entries["first"]["error"]
    assert entries["other"]["error"] is None
    assert list_main([str(run.parent)]) == 0
    assert "first: cannot be read: " in capsys.readouterr().out
    assert STORE_FILE in refused(capsys, show_main, str(run))


def test_a_run_in_a_database_asks_for_it(run: Path, capsys: pytest.CaptureFixture[str]):
    (run / STORE_FILE).unlink()
    kept = {"host": "h", "port": 5432, "database": "d", "user": None, "study": "s"}
    (run / STORAGE_FILE).write_text(json.dumps(kept))
    (entry,) = listed(capsys, str(run.parent))
    assert "its store lies in postgresql://h:5432/d, whose URL must be given" in entry["error"]
    assert "whose URL must be given" in refused(capsys, show_main, str(run))


def test_a_database_given_for_others_does_not_hinder_a_file(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (run.parent / "url").write_text("postgresql://a@127.0.0.1:1/d")
    (run.parent / "url").chmod(0o600)
    (entry,) = listed(capsys, str(run.parent), "--storage", str(run.parent / "url"))
    assert entry["error"] is None


# boshnas show


def test_show_tells_settings_counts_and_the_best(run: Path, capsys: pytest.CaptureFixture[str]):
    found = shown(capsys, str(run), "--top", "1")
    assert found["settings"] == {"space": "tiny", "budget": 4, "seed": 3}
    assert found["versions"] == {"torch": "2.13.0"}
    assert found["by_status"] == {"finished": 2, "crashed": 1, "unfinished": 1}
    assert found["by_level"] == [
        {"level": 1, "num_evaluated": 1, "num_failed": 1, "best": {"id": "arch0", "score": 60.0}},
        {"level": 2, "num_evaluated": 1, "num_failed": 0, "best": {"id": "arch1", "score": 75.0}},
    ]
    assert [entry["id"] for entry in found["top"]] == ["arch1"]
    assert found["surrogate"] is None
    with run_lock(run):
        assert shown(capsys, str(run))["by_status"] == {"finished": 2, "crashed": 1, "running": 1}


def test_show_in_text(run: Path, capsys: pytest.CaptureFixture[str]):
    lines = text(capsys, str(run)).splitlines()
    assert lines[0].startswith("first: interrupted, 3 of 4 evaluations, begun 2")
    assert lines[1:] == [
        "settings: space tiny, budget 4, seed 3",
        "versions: torch 2.13.0",
        "status: finished 2, crashed 1, unfinished 1",
        "level 1: 1 evaluated, 1 failed, best 60.00 (arch0)",
        "level 2: 1 evaluated, best 75.00 (arch1)",
        "best: 75.00 GLUE [score] (arch1)",
        *lines[-3:],
    ]
    assert lines[-3].split() == ["number", "architecture", "GLUE", "[score]", "params", "level", "why", "co[la]"]
    assert lines[-2].split() == ["1", "arch1", "75.00", "4,000,001", "2", "optimise", "75.0"]


def test_show_tells_everything_of_an_architecture(run: Path, capsys: pytest.CaptureFixture[str]):
    found = shown(capsys, str(run), "--id", "arch1")
    assert found == shown(capsys, str(run), "--number", "1")
    assert found["model_dict"] == {"l": 2, "h": [32, 64]}
    assert found["belief"] == {
        "mean": 65.0,
        "epistemic_std": 3.0,
        "aleatoric_std": 4.0,
        "measured": 75.0,
        "error": 10.0,
        "num_std": 2.0,
    }
    assert found["parents"] == [{"id": "arch0", "number": 0, "score": 60.0}]
    assert found["stage_seconds"] == {"pretrain": 65.0}
    assert found["attempts"] == [{"status": "killed", "error": ["Killed.", "line", "\\x1b[31mthe [end]"]}]
    assert (found["log"], found["has_log"]) == (str(run / "jobs" / "00001" / "log.txt"), True)
    assert found["tasks"] == {"co[la]": 75.0}
    lines = text(capsys, str(run), "--id", "arch1").splitlines()
    assert "foreseen: 65.0000 ± 3.0000 epistemic ± 4.0000 aleatoric; measured 75.0000, +10.0000, 2.0 standard " in (
        " ".join(lines)
    )
    assert "weights: arch0 (60.00)" in lines
    assert "attempt 1: killed: Killed." in lines
    assert "    \\x1b[31mthe [end]" in lines
    assert f"log: {run}/jobs/00001/log.txt" in lines


def test_show_tells_why_an_evaluation_failed(run: Path, capsys: pytest.CaptureFixture[str]):
    lines = text(capsys, str(run), "--number", "2").splitlines()
    place = lines.index("error: ValueError: [/red] no")
    assert lines[place + 1 : place + 3] == ["    Traceback", "      last line"]
    assert lines[-1].endswith("00002/log.txt (not there)")


def test_an_architecture_evaluated_twice_is_told_by_what_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    same = Proposal(id="arch0", decision=Decision.REPLICATE)
    with begin(tmp_path / "run") as store:
        store.add(made(0))
        finish(store, 0, 60.0)
        store.add(made(1, proposal=same))
        store.finish(Result(number=1, id="arch0", status=Status.CRASHED, error="no"))
    found = shown(capsys, str(tmp_path / "run"), "--id", "arch0")
    assert (found["number"], found["also_evaluated_as"]) == (0, [1])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--id", "arch9"), "--id: must be an architecture that was proposed in "),
        (("--id", "arhc1"), "Did you mean 'arch1'?"),
        (("--number", "4"), "--number: must be from 0 to 3, got 4."),
        (("--number", "-1"), "--number: must be from 0 to 3, got -1."),
        (("--id", "arch1", "--number", "1"), "--number: must not be given with --id."),
        (("--top", "0"), "--top: must be at least 1, got 0."),
        (("--id", "arch1", "--top", "3"), "--top: must not be given with --id or --number"),
    ],
)
def test_show_refuses(run: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str):
    assert expected in refused(capsys, show_main, str(run), *words)


def test_a_run_without_evaluations(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    begin(tmp_path / "run", {}).close()
    lines = text(capsys, str(tmp_path / "run")).splitlines()
    assert lines[0] == "run: interrupted, 0 evaluations, begun not yet"
    assert lines[-2:] == ["status: no evaluation yet", "best: no score yet"]
    assert "there is none yet" in refused(capsys, show_main, str(tmp_path / "run"), "--number", "0")


def test_a_run_with_failures_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with begin(tmp_path / "run") as store:
        store.add(made(0))
        finish(store, 0, None)
    lines = text(capsys, str(tmp_path / "run")).splitlines()
    assert lines[-3:] == ["status: crashed 1", "level 1: 0 evaluated, 1 failed", "best: no score yet"]
    assert "error" not in text(capsys, str(tmp_path / "run"), "--number", "0")


def test_no_run_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "store must be a file, got nothing" in refused(capsys, show_main, str(tmp_path))


# Nothing is changed


def test_a_run_is_only_read(run: Path, capsys: pytest.CaptureFixture[str]):
    set_schema(run / STORE_FILE, "1")
    before = content(run.parent)
    listed(capsys, str(run.parent))
    shown(capsys, str(run))
    shown(capsys, str(run), "--number", "1")
    assert content(run.parent) == before


def test_a_run_that_runs_is_read_beside_its_writer(run: Path, capsys: pytest.CaptureFixture[str]):
    with Store.open(run / STORE_FILE) as store:
        finish(store, 3, 80.0)
        assert shown(capsys, str(run))["best_id"] == "arch3"
        store.add(made(4))  # the writer is not disturbed
    assert not list(run.glob(f"{STORE_FILE}-*"))


def test_a_run_whose_search_was_killed_keeps_what_its_log_holds(run: Path, capsys: pytest.CaptureFixture[str]):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom boshnas.store import Store\n"
        "from boshnas.job import Result\nstore = Store.open(Path(sys.argv[1]))\n"
        "store.finish(Result(number=3, id='arch3', status='finished', score=80.0))\nos._exit(9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(run / STORE_FILE)], check=False)
    assert killed.returncode == 9
    assert (run / f"{STORE_FILE}-wal").stat().st_size
    assert shown(capsys, str(run))["best_id"] == "arch3"
    with Store.open(run / STORE_FILE, read_only=True) as store:
        assert store.trials()[3].score == 80.0
