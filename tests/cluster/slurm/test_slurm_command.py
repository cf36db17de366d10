"""`python -m boshnas.run` and `python -m boshnas.doctor` on a real SLURM."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import waiting

from boshnas.doctor.__main__ import main as doctor
from boshnas.run import main
from boshnas.store import Store, place
from boshnas.trial import Status, Trial

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("slurm")]

ROOT = Path(__file__).parents[3]
EVALUATOR = """
import json, pathlib, sys, time
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
time.sleep(float(sys.argv[2]))
result = {"number": job["number"], "id": job["id"], "status": "finished", "score": float(sum(job["architecture"]["h"]))}
with open(path.parents[2] / "measured.txt", "a") as file:
    file.write(f"{job['number']}\\n")
path.with_name("part").write_text(json.dumps(result))
path.with_name("part").rename(path.with_name("result.json"))
"""


@pytest.fixture
def folder(tmp_path: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    (tmp_path / "evaluate.py").write_text(EVALUATOR)
    (tmp_path / "slurm.yaml").write_text("max_in_flight: 2\npoll_seconds: 0.2\ngrace_seconds: 1\n")
    return tmp_path


def words(seconds: float = 0.1) -> list[str]:
    evaluator = f"{sys.executable} -S evaluate.py {{job}} {seconds}"
    executor = ["--executor", "slurm", "--executor-config", "slurm.yaml"]
    return ["--space", "tiny.yaml", "--out", "run", "--budget", "5", "--evaluator", evaluator, *executor]


def trials(folder: Path) -> list[Trial]:
    with Store.open(place(folder / "run", None), read_only=True) as store:
        return store.trials()


wait_until = partial(waiting.wait_until, limit_s=60.0)


def test_a_search_goes_through_sbatch(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main([*words(), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["num_evaluated"], found["num_failed"]) == (5, 0)
    assert all((folder / "run" / "jobs" / f"{number:05d}" / "slurm_id").exists() for number in range(5))


def test_a_dry_run_asks_the_cluster_and_submits_nothing(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main([*words(), "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert "Asking the cluster for --executor slurm.\n" in captured.err
    assert "Executor: slurm, 2 evaluations at a time\n" in captured.out
    assert not (folder / "run").exists()


def test_a_search_killed_with_jobs_in_the_queue_evaluates_each_once(folder: Path, capsys: pytest.CaptureFixture[str]):
    driver = subprocess.Popen(
        [sys.executable, "-m", "boshnas.run", *words(seconds=6.0)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    assert wait_until(lambda: len(list(folder.glob("run/jobs/*/started"))) == 2)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert main(["--resume", "--out", "run", "--executor", "local"]) == 2
    assert "Go on with --executor slurm" in capsys.readouterr().err
    before = {path: path.read_text() for path in folder.glob("run/jobs/*/slurm_id")}
    assert main(["--resume", "--out", "run"]) == 0
    assert [trial.status for trial in trials(folder)] == [Status.FINISHED] * 5
    assert sorted((folder / "run" / "measured.txt").read_text().split()) == list("01234")
    assert {path: path.read_text() for path in before} == before


@pytest.mark.slow
def test_the_projects_own_worker_trains_on_a_node(folder: Path, capsys: pytest.CaptureFixture[str]):
    training = ["--tasks", "sst2", "--pretrain-steps", "2", "--finetune-steps", "2", "--budget", "2"]
    executor = ["--executor", "slurm", "--executor-config", "slurm.yaml"]
    assert main(["--space", "tiny.yaml", "--out", "run", *training, *executor, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["num_evaluated"] == 2
    assert Path(found["export_dir"], "config.json").is_file()


@pytest.mark.parametrize(
    ("config", "words_told"),
    [
        ("partition: nowhere", ["partition", "nowhere"]),
        ("partitoin: debug", ["'partition'", "partitoin is no setting"]),
        ("time: 1:30:00", ["time", "quotes"]),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_config_that_cannot_be_used_is_one_line_and_leaves_nothing(
    folder: Path, config: str, words_told: list[str], dry: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    (folder / "slurm.yaml").write_text(config)
    assert main([*words(), *dry]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert all(word in error for word in words_told)
    assert not (folder / "run").exists()


def test_the_doctor_submits_a_job(folder: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--executor", "slurm", "--executor-config", "slurm.yaml", "--out", "runs", "--submit", "--json"]
    doctor(options)
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["slurm job"]["status"] == "ok"
    assert checks["slurm partition"]["status"] == "ok"
    assert checks["slurm accounting"]["status"] == "warning"
