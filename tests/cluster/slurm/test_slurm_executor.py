"""Searches and jobs on a real SLURM, and what may befall them."""

import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_fakes import FakeView

from boshnas.baselines import RandomSearcher
from boshnas.errors import InputError
from boshnas.executors import SlurmExecutor, SlurmSettings
from boshnas.executors.outcome import LOG_FILE
from boshnas.executors.slurm.run import ID_FILE
from boshnas.job import JOB_FILE, RESULT_FILE, STARTED_FILE, Job, Result, job_folder, write_model
from boshnas.loop import Loop
from boshnas.plan import Plan
from boshnas.pool import Pool
from boshnas.source import Candidate
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Status

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[3]
LIMIT_S = 180.0
# Waits until `go` is made in its folder, or for ever; then does as it is told.
WORKER = """
import json, os, pathlib, sys, time
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
folder = path.parent
(folder / "environment.json").write_text(json.dumps({"cwd": os.getcwd(), **os.environ}))
print("begun", flush=True)
while job["settings"]["waits"] and not (folder / "go").exists():
    time.sleep(0.05)
if "exit" in job["settings"]:
    sys.exit(job["settings"]["exit"])
result = {"number": job["number"], "id": job["id"], "status": "finished", "score": float(job["attempt"])}
(folder / "part").write_text(json.dumps(result))
(folder / "part").rename(folder / "result.json")
"""
FAST = SlurmSettings(max_in_flight=8, poll_seconds=0.2, grace_seconds=0.5)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    return [sys.executable, "-S", str(worker), "{job}"]


def make_job(number: int = 0, waits: bool = False, attempt: int = 1, **settings: Any) -> Job:
    return Job(
        number=number,
        id=f"arch{number}",
        attempt=attempt,
        architecture={},
        seed=0,
        settings={"waits": waits} | settings,
    )


def submit(executor: SlurmExecutor, run_folder: Path, *jobs: Job) -> list[Path]:
    folders = [job_folder(run_folder, job.number) for job in jobs]
    for job, folder in zip(jobs, folders, strict=True):
        executor.submit(job, folder)
    return folders


def poll_until(executor: SlurmExecutor, condition: Callable[[], bool], limit_s: float = LIMIT_S) -> list[Result]:
    """What ended until something came true, which must be in time."""
    results: list[Result] = []
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, results
        results += executor.poll()
        time.sleep(0.05)
    return results


def results_of(executor: SlurmExecutor, count: int, limit_s: float = LIMIT_S) -> list[Result]:
    results: list[Result] = []
    poll_until(executor, lambda: len(results) == count or bool(results.extend(executor.poll())), limit_s)
    return sorted(results, key=lambda result: result.number)


def started(folder: Path) -> bool:
    log = folder / LOG_FILE
    return (folder / STARTED_FILE).exists() and log.exists() and "begun" in log.read_text()


def slurm_id(folder: Path) -> str:
    return (folder / ID_FILE).read_text().strip()


def finished(number: int = 0, attempt: int = 1) -> Result:
    return Result(number=number, id=f"arch{number}", status=Status.FINISHED, score=float(attempt))


# Main path


class Source:
    """A pool of which all may be proposed at once."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids

    def open_level(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        return self._ids

    def describe(self, id_: str) -> Candidate:
        return Candidate(architecture={"name": id_}, parameters={"name": id_})

    def parent(self, id_: str, trained: Sequence[str]) -> tuple[str, float] | None:
        return None


def test_a_search_goes_through_sbatch(slurm: Any, tmp_path: Path, command: list[str]):
    ids = [f"arch{row}" for row in range(12)]
    pool = Pool(ids, np.random.default_rng(0).uniform(size=(12, 2)))
    plan = Plan(
        level_budgets=(6,),
        baselines=(),
        seed=0,
        settings={"waits": False},
        synchronous=False,
        deadline=None,
        max_failures=0,
    )
    with (
        Store.create(tmp_path / STORE_FILE, {}, {"name": ids}) as store,
        SlurmExecutor(command, FAST.model_copy(update={"max_in_flight": 3}), tmp_path) as executor,
    ):
        searcher = RandomSearcher(pool, seed=0)
        assert Loop(plan, store, searcher, Source(ids), executor, tmp_path, FakeView()).run() is None
        trials = store.trials()
    assert [(trial.status, trial.score) for trial in trials] == [(Status.FINISHED, 1.0)] * 6
    assert all(slurm.show(slurm_id(job_folder(tmp_path, number)))["JobState"] == "COMPLETED" for number in range(6))


def test_submissions_between_two_polls_are_one_array(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        folders = submit(executor, tmp_path, make_job(3), make_job(5), make_job(4), make_job(6, attempt=2))
        assert results_of(executor, 4) == [finished(3), finished(4), finished(5), finished(6, attempt=2)]
    base = slurm_id(folders[0]).removesuffix("_0")
    assert base.isdecimal()
    assert [slurm_id(folder) for folder in folders[:3]] == [f"{base}_0", f"{base}_2", f"{base}_1"]
    assert slurm_id(folders[3]).isdecimal()
    assert [path.exists() for path in map(Path, (ROOT / "slurm-1.out", tmp_path / "slurm-1.out"))] == [False, False]


@pytest.mark.parametrize("count", [1, 2])
def test_paths_may_hold_anything(slurm: Any, tmp_path: Path, command: list[str], count: int):
    run_folder = tmp_path / "a \"quoted\" 'run' %j $HOME \\n"
    with SlurmExecutor(command, FAST, run_folder) as executor:
        folders = submit(executor, run_folder, *map(make_job, range(count)))
        assert results_of(executor, count) == [finished(number) for number in range(count)]
    assert [(folder / LOG_FILE).read_text() for folder in folders] == ["begun\n"] * count


def test_the_environment_is_handed_on_without_secrets(
    slurm: Any, tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BOSHNAS_STORAGE", "postgresql://user:secret@host/db")
    monkeypatch.setenv("BOSHNAS_DRIVER_PID", "1")
    monkeypatch.setenv("SBATCH_ARRAY_INX", "0-3")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1")
    monkeypatch.setenv("SLURM_JOB_ID", "1")  # the search itself runs as a job
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    monkeypatch.setenv("OF_MINE", "several\nlines")
    settings = FAST.model_copy(update={"cpus_per_task": 2, "setup": ["export GREETING='hello world'", "cd /"]})
    with SlurmExecutor(command, settings, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job())
        results_of(executor, 1)
    environment = json.loads((folder / "environment.json").read_text())
    assert "BOSHNAS_STORAGE" not in environment
    assert "BOSHNAS_DRIVER_PID" not in environment
    assert "SLURM_MEM_PER_NODE" not in environment
    assert environment.get("CUDA_VISIBLE_DEVICES") != "5"
    assert environment["OF_MINE"] == "several\nlines"
    assert (environment["OMP_NUM_THREADS"], environment["TOKENIZERS_PARALLELISM"]) == ("2", "false")
    assert (environment["GREETING"], environment["cwd"]) == ("hello world", "/")
    assert b"user:secret" not in b"".join(path.read_bytes() for path in slurm.folder.glob("state/**/environment"))


def test_a_line_of_setup_that_fails_fails_the_job(slurm: Any, tmp_path: Path, command: list[str]):
    settings = FAST.model_copy(update={"setup": ["true", "source /no/such/venv"]})
    with SlurmExecutor(command, settings, tmp_path) as executor:
        submit(executor, tmp_path, make_job())
        (result,) = results_of(executor, 1)
    assert result.status is Status.CRASHED
    assert "This line of setup failed: source /no/such/venv" in (result.error or "")


def test_a_folder_that_the_node_does_not_see_is_told(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        folders = submit(executor, tmp_path, make_job(0))
        folders[0].rename(tmp_path / "elsewhere")
        executor._unsent[0].folder = tmp_path / "elsewhere"  # where this machine sees it
        (result,) = results_of(executor, 1)
    assert result.status is Status.NODE_FAILED
    assert "must lie on a disk that all nodes share" in (result.error or "")


# What befalls a job


def test_a_job_cancelled_from_outside_is_told(slurm: Any, tmp_path: Path, command: list[str]):
    settings = FAST.model_copy(update={"cpus_per_task": 2})
    with SlurmExecutor(command, settings, tmp_path) as executor:
        folders = submit(executor, tmp_path, *(make_job(number, waits=True) for number in range(2)))
        poll_until(executor, lambda: started(folders[0]))
        for folder in reversed(folders):  # a waiting task of an array leaves no trace in SLURM
            slurm.run("scancel", slurm_id(folder))
        results = results_of(executor, 2)
    assert [result.status for result in results] == [Status.CANCELLED, Status.CANCELLED]
    assert f"SLURM job {slurm_id(folders[0])}: somebody cancelled it (CANCELLED" in (results[0].error or "")
    assert "begun" in (results[0].error or "")


def test_a_job_over_its_time_is_told(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST.model_copy(update={"time": "0:30"}), tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(waits=True))
        poll_until(executor, lambda: started(folder))
        assert slurm.show(slurm_id(folder))["TimeLimit"] == "00:01:00"
        slurm.run("scontrol", "update", f"jobid={slurm_id(folder)}", "TimeLimit=0")
        (result,) = results_of(executor, 1, limit_s=120)
    assert result.status is Status.TIMED_OUT
    assert "its time limit, `time` in the executor's config, was over (TIMEOUT, reason TimeLimit)" in (
        result.error or ""
    )


def test_a_node_that_is_lost_fails_a_job_that_may_not_be_requeued(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST.model_copy(update={"requeue": False}), tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(waits=True))
        poll_until(executor, lambda: started(folder))
        slurm.run("scontrol", "update", f"nodename={slurm.host}", "state=down", "reason=test")
        (result,) = results_of(executor, 1)
    assert result.status is Status.NODE_FAILED
    assert "its node failed (NODE_FAIL" in (result.error or "")


def test_a_node_that_is_lost_puts_a_job_back_into_the_queue(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(waits=True))
        poll_until(executor, lambda: started(folder))
        first = slurm_id(folder)
        slurm.run("scontrol", "update", f"nodename={slurm.host}", "state=down", "reason=test")
        assert poll_until(executor, lambda: not (folder / STARTED_FILE).exists()) == []
        slurm.revive_node()
        time.sleep(2)  # SLURM starts no job within the second in which it took it back
        slurm.run("scontrol", "update", f"jobid={first}", "StartTime=now")
        (folder / "go").touch()
        assert results_of(executor, 1) == [finished()]
    assert slurm_id(folder) == first
    assert (folder / LOG_FILE).read_text() == "begun\nbegun\n"


def test_a_drained_node_lets_its_job_end_and_others_wait(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(0, waits=True))
        poll_until(executor, lambda: started(folder))
        slurm.run("scontrol", "update", f"nodename={slurm.host}", "state=drain", "reason=test")
        (other,) = submit(executor, tmp_path, make_job(1))
        poll_until(executor, lambda: (other / ID_FILE).exists())
        (folder / "go").touch()
        assert results_of(executor, 1) == [finished(0)]
        end = time.monotonic() + 3
        assert poll_until(executor, lambda: time.monotonic() > end) == []
        slurm.revive_node()
        assert results_of(executor, 1) == [finished(1)]


def test_preemption_puts_a_job_back_into_the_queue(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST.model_copy(update={"cpus_per_task": 2}), tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(waits=True))
        poll_until(executor, lambda: started(folder))
        first = slurm_id(folder)
        slurm.run("sbatch", "--partition=urgent", "--output=/dev/null", "--ntasks=2", "--wrap", "sleep 1")
        assert poll_until(executor, lambda: not (folder / STARTED_FILE).exists()) == []
        assert slurm.show(first)["JobState"] == "PENDING"
        slurm.run("scontrol", "update", f"jobid={first}", "StartTime=now")  # else SLURM waits for two minutes
        (folder / "go").touch()
        assert results_of(executor, 1) == [finished()]
    assert (folder / LOG_FILE).read_text() == "begun\nbegun\n"


def test_preemption_that_ends_a_job_is_told(slurm: Any, tmp_path: Path, command: list[str]):
    settings = FAST.model_copy(update={"cpus_per_task": 2, "partition": "cheap"})
    with SlurmExecutor(command, settings, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(waits=True))
        poll_until(executor, lambda: started(folder))
        slurm.run("sbatch", "--partition=urgent", "--output=/dev/null", "--ntasks=2", "--wrap", "sleep 1")
        (result,) = results_of(executor, 1)
    assert result.status is Status.PREEMPTED


def test_a_held_job_is_waited_for(slurm: Any, tmp_path: Path, command: list[str], caplog: pytest.LogCaptureFixture):
    with SlurmExecutor(command, FAST.model_copy(update={"extra": ["--hold"]}), tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job())
        poll_until(executor, lambda: "is held (JobHeldUser)" in caplog.text)
        slurm.run("scontrol", "release", slurm_id(folder))
        assert results_of(executor, 1) == [finished()]
    assert caplog.text.count("is held") == 1


def test_another_attempt_after_a_failure_is_a_new_job(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(exit=3))
        (result,) = results_of(executor, 1)
        assert "return code 3" in (result.error or "")
        first = slurm_id(folder)
        submit(executor, tmp_path, make_job(attempt=2))
        assert results_of(executor, 1) == [finished(attempt=2)]
    assert slurm_id(folder) != first
    assert (folder / LOG_FILE).read_text() == "begun\n"


def test_a_job_with_a_result_that_does_not_end_is_ended(
    slurm: Any, tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("boshnas.executors.slurm.executor._LINGER_S", 0.5)
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(waits=True))
        poll_until(executor, lambda: started(folder))
        write_model(folder / RESULT_FILE, finished())
        assert results_of(executor, 1) == [finished()]
        assert poll_until(executor, lambda: not slurm.queue()) == []


# The search or SLURM itself ends


@contextmanager
def drive(tmp_path: Path, command: list[str], count: int, dies_at_id: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A search in a process of its own, killed at the end.

    It may kill itself between sbatch and the file with SLURM's id.
    """
    code = f"""
import os, pathlib, sys, time
from boshnas.executors import SlurmExecutor, SlurmSettings
from boshnas.executors.slurm import executor as module
from boshnas.job import Job, job_folder
if {dies_at_id}:
    module.write_whole = lambda path, content: os.kill(os.getpid(), 9)
run_folder = pathlib.Path({str(tmp_path)!r})
executor = SlurmExecutor({command!r}, SlurmSettings(poll_seconds=0.2), run_folder)
for number in range({count}):
    job = Job(number=number, id=f"arch{{number}}", architecture={{}}, seed=0, settings={{"waits": True}})
    executor.submit(job, job_folder(run_folder, number))
while True:
    executor.poll()
    time.sleep(0.05)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as driver:
        try:
            yield driver
        finally:
            driver.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def names(slurm: Any) -> list[str]:
    return [line.split()[0] for line in slurm.queue()]


@pytest.mark.parametrize("dies_at_id", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_jobs_of_a_killed_search_are_taken_over(
    slurm: Any, tmp_path: Path, command: list[str], count: int, dies_at_id: bool
):
    folders = [job_folder(tmp_path, number) for number in range(count)]
    with drive(tmp_path, command, count, dies_at_id) as driver:
        if not dies_at_id:
            wait_until(lambda: all(map(started, folders)))
        else:
            driver.wait(LIMIT_S)
    wait_until(lambda: all(map(started, folders)))
    assert (folders[0] / ID_FILE).exists() is not dies_at_id
    before = names(slurm)
    assert len(before) == count
    # With fewer slots, so that the second can be claimed only when the first has ended.
    with SlurmExecutor(command, FAST.model_copy(update={"max_in_flight": 1}), tmp_path) as executor:
        for number, folder in enumerate(folders):
            submit(executor, tmp_path, make_job(number, waits=True))
            end = time.monotonic() + 1
            assert poll_until(executor, lambda: time.monotonic() > end) == []  # noqa: B023
            assert slurm_id(folder) in before
            (folder / "go").touch()
            assert results_of(executor, 1) == [finished(number)]
    assert [(folder / LOG_FILE).read_text() for folder in folders] == ["begun\n"] * count


def test_orphans_are_ended(slurm: Any, tmp_path: Path, command: list[str], caplog: pytest.LogCaptureFixture):
    with drive(tmp_path, command, 2, dies_at_id=False):
        folders = [job_folder(tmp_path, number) for number in range(2)]
        wait_until(lambda: all(map(started, folders)))
    first, second = map(slurm_id, folders)
    write_model(folders[1] / JOB_FILE, make_job(1, attempt=2, waits=True))  # the second has failed since
    other = slurm.run("sbatch", "--parsable", "--job-name=not-ours", "--output=/dev/null", "--wrap", "sleep 60")
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        poll_until(executor, lambda: second not in names(slurm))
        assert first in names(slurm)  # it may be claimed yet
        submit(executor, tmp_path, make_job(0, waits=True, attempt=2))
        assert first not in names(slurm)  # now it cannot
        (folders[0] / "go").touch()
        assert results_of(executor, 1) == [finished(0, attempt=2)]
        poll_until(executor, lambda: len(slurm.queue()) == 1)
        assert names(slurm) == [other.stdout.strip()]
    assert caplog.text.count("left in SLURM are ended") == 1


def test_jobs_of_a_closed_search_are_begun_anew(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(waits=True))
        poll_until(executor, lambda: started(folder))
        first = slurm_id(folder)
    assert slurm.queue() == []
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        submit(executor, tmp_path, make_job(waits=True))
        (folder / "go").touch()
        assert results_of(executor, 1) == [finished()]
    assert slurm_id(folder) != first


def test_a_closed_search_may_leave_its_jobs_to_the_next(slurm: Any, tmp_path: Path, command: list[str]):
    settings = FAST.model_copy(update={"cancel_on_exit": False})
    with SlurmExecutor(command, settings, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(waits=True))
        poll_until(executor, lambda: started(folder))
        first = slurm_id(folder)
    assert names(slurm) == [first]
    with SlurmExecutor(command, settings, tmp_path) as executor:
        submit(executor, tmp_path, make_job(waits=True))
        (folder / "go").touch()
        assert results_of(executor, 1) == [finished()]
    assert slurm_id(folder) == first


def test_close_lets_a_worker_end_politely(slurm: Any, tmp_path: Path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import pathlib, signal, sys, time\nfolder = pathlib.Path(sys.argv[1]).parent\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), (folder / 'saved').touch(), sys.exit(0)))\n"
        "print('begun', flush=True)\ntime.sleep(60)\n"
    )
    with SlurmExecutor([sys.executable, str(worker), "{job}"], FAST, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job())
        poll_until(executor, lambda: started(folder))
    assert (folder / "saved").exists()


@pytest.mark.parametrize("how", ["stop_controller", "kill_controller"])
def test_a_controller_that_restarts_is_waited_for(
    slurm: Any, tmp_path: Path, command: list[str], how: str, caplog: pytest.LogCaptureFixture
):
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        (folder,) = submit(executor, tmp_path, make_job(0, waits=True))
        poll_until(executor, lambda: started(folder))
        time.sleep(6)  # SLURM saves its jobs every five seconds
        getattr(slurm, how)()
        try:
            assert poll_until(executor, lambda: "SLURM does not answer" in caplog.text) == []
            (other,) = submit(executor, tmp_path, make_job(1))
            executor.poll()
            executor.poll()
            assert not (other / ID_FILE).exists()
        finally:
            slurm.start_controller()
        (folder / "go").touch()
        assert results_of(executor, 2) == [finished(0), finished(1)]
    assert caplog.text.count("SLURM does not answer") == 1
    assert (other / LOG_FILE).read_text() == "begun\n"


def test_a_job_that_sbatch_took_without_telling_is_not_submitted_twice(
    slurm: Any, tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
):
    real = subprocess.run(["which", "sbatch"], capture_output=True, text=True, check=True).stdout.strip()
    fake = tmp_path / "bin" / "sbatch"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\n{real} "$@"\necho "sbatch: error: Socket timed out on send/recv operation" >&2\nexit 1\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    with SlurmExecutor(command, FAST, tmp_path) as executor:
        folders = submit(executor, tmp_path, make_job(0, waits=True), make_job(1, waits=True))
        poll_until(executor, lambda: all(map(started, folders)))
        poll_until(executor, lambda: all((folder / ID_FILE).exists() for folder in folders))
        assert len(slurm.queue()) == 2
        for folder in folders:
            (folder / "go").touch()
        assert results_of(executor, 2) == [finished(0), finished(1)]


# Refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"partition": "gpu"}, "partition must be one of the cluster's, got 'gpu'. Choose of: cheap, main, urgent."),
        ({"partition": "main,gpu"}, "partition must be one of the cluster's, got 'gpu'"),
        ({"time": "2:00:01"}, "time must be at most 2:00:00, the limit of partition main, got '2:00:01'"),
        ({"time": "UNLIMITED"}, "time must be at most 2:00:00"),
    ],
)
def test_refuses_at_once_what_the_cluster_has_not(
    slurm: Any, tmp_path: Path, command: list[str], changes: dict[str, Any], message: str
):
    with pytest.raises(InputError, match=re.escape(message)):
        SlurmExecutor(command, FAST.model_copy(update=changes), tmp_path)


@pytest.mark.parametrize("changes", [{"mem": "64G"}, {"constraint": "a100"}, {"gres": "gpu:1"}, {"nodelist": "other"}])
def test_refuses_what_sbatch_refuses(slurm: Any, tmp_path: Path, command: list[str], changes: dict[str, Any]):
    with SlurmExecutor(command, FAST.model_copy(update=changes), tmp_path) as executor:
        submit(executor, tmp_path, make_job())
        with pytest.raises(InputError, match="config must be one that sbatch takes, got 'sbatch: error: .*Correct it"):
            executor.poll()


def test_refuses_to_wait_for_what_never_comes(slurm: Any, tmp_path: Path, command: list[str]):
    with SlurmExecutor(command, FAST.model_copy(update={"cpus_per_task": 9}), tmp_path) as executor:
        submit(executor, tmp_path, make_job())
        with pytest.raises(InputError, match="one that the cluster can run, got SLURM's reason 'PartitionConfig'"):
            poll_until(executor, lambda: False)
    assert slurm.queue() == []


def test_waits_where_the_cluster_changes_after_jobs_have_run(
    slurm: Any, tmp_path: Path, command: list[str], caplog: pytest.LogCaptureFixture
):
    settings = FAST.model_copy(update={"time": "1:00:00"})
    with SlurmExecutor(command, settings, tmp_path) as executor:
        submit(executor, tmp_path, make_job(0))
        results_of(executor, 1)
        slurm.run("scontrol", "update", "partitionname=main", "maxtime=10")
        submit(executor, tmp_path, make_job(1))
        poll_until(executor, lambda: "the cluster no longer allows: Partition" in caplog.text)
        slurm.run("scontrol", "update", "partitionname=main", "maxtime=2:00:00")
        assert results_of(executor, 1) == [finished(1)]


def test_refuses_a_cluster_that_does_not_answer(slurm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = tmp_path / "slurm.conf"
    config.write_text(re.sub("SlurmctldPort=.*", "SlurmctldPort=1", slurm.config.read_text()))
    monkeypatch.setenv("SLURM_CONF", str(config))
    with pytest.raises(InputError, match="SLURM must answer, got .*Unable to contact"):
        SlurmExecutor(["true", "{job}"], FAST, tmp_path)


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
