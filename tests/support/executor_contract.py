"""What every executor does, whatever machine it runs on."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from boshnas.executors import Executor
from boshnas.job import JOB_FILE, RESULT_FILE, Job, Result, read_model, write_model
from boshnas.trial import Status

WORKER = """
import json, os, pathlib, sys, time
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
action = job["settings"]["action"]
if action == "hang":
    time.sleep(60)
if action == "die":
    os.kill(os.getpid(), 9)
if action == "raise":
    raise ValueError("no such task")
if action == "garbage":
    (path.parent / "result.json").write_text("{")
if action == "score":
    result = {"number": job["number"], "id": job["id"], "status": "finished", "score": job["seed"] / 2}
    (path.parent / "result.json").write_text(json.dumps(result))
"""
NUM_SLOTS = 2


def make_job(number: int = 0, action: str = "score") -> Job:
    return Job(number=number, id=f"arch{number}", architecture={"l": 2}, seed=7, settings={"action": action})


def wait_for(executor: Executor, count: int, limit_s: float) -> list[Result]:
    results: list[Result] = []
    deadline = time.monotonic() + limit_s
    while len(results) < count and time.monotonic() < deadline:
        results += executor.poll()
        time.sleep(0.02)
    return results


class ExecutorContract:
    """To be derived from, with `make`, for each kind of executor."""

    limit_s = 8.0

    def make(self, command: Sequence[str], run_folder: Path, request: pytest.FixtureRequest) -> Executor:
        """An executor of `NUM_SLOTS` slots for a command."""
        raise NotImplementedError

    @pytest.fixture
    def executor(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Executor]:
        worker = tmp_path / "worker.py"
        worker.write_text(WORKER)
        with self.make([sys.executable, "-S", str(worker), "{job}"], tmp_path, request) as executor:
            yield executor

    def test_a_result_comes_back_once(self, executor: Executor, tmp_path: Path):
        executor.submit(make_job(), tmp_path / "0")
        assert wait_for(executor, 1, self.limit_s) == [Result(number=0, id="arch0", status=Status.FINISHED, score=3.5)]
        assert executor.poll() == []
        assert read_model(tmp_path / "0" / JOB_FILE, Job) == make_job()

    def test_jobs_run_side_by_side_and_slots_are_used_again(self, executor: Executor, tmp_path: Path):
        assert executor.num_slots == NUM_SLOTS
        results = []
        for first in (0, 2):
            for number in (first, first + 1):
                executor.submit(make_job(number), tmp_path / str(number))
            results += wait_for(executor, 2, self.limit_s)
        assert sorted(result.number for result in results) == [0, 1, 2, 3]

    @pytest.mark.parametrize(
        ("action", "status", "words"),
        [
            ("raise", Status.CRASHED, ["return code 1", "ValueError: no such task"]),
            ("die", Status.KILLED, ["SIGKILL", "memory"]),
            ("garbage", Status.CRASHED, ["result.json", "must be JSON"]),
            ("nothing", Status.CRASHED, ["left no result.json"]),
        ],
    )
    def test_a_failure_is_a_result_that_says_why(
        self, executor: Executor, tmp_path: Path, action: str, status: Status, words: list[str]
    ):
        executor.submit(make_job(action=action), tmp_path / "0")
        (result,) = wait_for(executor, 1, self.limit_s)
        assert (result.number, result.id, result.status, result.score) == (0, "arch0", status, None)
        assert all(word in (result.error or "") for word in words)

    def test_poll_does_not_wait(self, executor: Executor, tmp_path: Path):
        executor.submit(make_job(action="hang"), tmp_path / "0")
        started = time.monotonic()
        assert executor.poll() == []
        assert time.monotonic() - started < 0.5

    def test_a_cancelled_job_frees_its_slot_and_is_not_returned(self, executor: Executor, tmp_path: Path):
        handles = [executor.submit(make_job(number, "hang"), tmp_path / str(number)) for number in range(NUM_SLOTS)]
        executor.cancel(handles[0])
        executor.cancel(handles[0])
        executor.submit(make_job(9), tmp_path / "9")
        assert [result.number for result in wait_for(executor, 1, self.limit_s)] == [9]

    def test_more_jobs_than_slots_is_the_callers_bug(self, executor: Executor, tmp_path: Path):
        for number in range(NUM_SLOTS):
            executor.submit(make_job(number, "hang"), tmp_path / str(number))
        with pytest.raises(RuntimeError, match="all 2 slots are taken"):
            executor.submit(make_job(9), tmp_path / "9")

    def test_the_same_number_twice_is_the_callers_bug(self, executor: Executor, tmp_path: Path):
        executor.submit(make_job(0, "hang"), tmp_path / "0")
        with pytest.raises(RuntimeError, match="job 0 is already running"):
            executor.submit(make_job(0, "hang"), tmp_path / "0")

    def test_a_result_that_is_there_already_is_taken(self, executor: Executor, tmp_path: Path):
        job, result = make_job(action="raise"), Result(number=0, id="arch0", status=Status.FINISHED, score=1.0)
        write_model(tmp_path / JOB_FILE, job)
        write_model(tmp_path / RESULT_FILE, result)
        executor.submit(job, tmp_path)
        assert wait_for(executor, 1, self.limit_s) == [result]

    @pytest.mark.parametrize("stale", ["other id", "other job", "garbage", "folder"])
    def test_a_stale_result_is_not_taken(self, executor: Executor, tmp_path: Path, stale: str):
        job = make_job()
        write_model(tmp_path / JOB_FILE, job.model_copy(update={"seed": 1}) if stale == "other job" else job)
        id_ = "arch5" if stale == "other id" else "arch0"
        write_model(tmp_path / RESULT_FILE, Result(number=0, id=id_, status=Status.FINISHED, score=1.0))
        if stale == "garbage":
            (tmp_path / RESULT_FILE).write_text("[]")
        if stale == "folder":
            (tmp_path / RESULT_FILE).unlink()
            (tmp_path / RESULT_FILE / "in it").mkdir(parents=True)
        executor.submit(job, tmp_path)
        assert [result.score for result in wait_for(executor, 1, self.limit_s)] == [3.5]

    def test_close_ends_what_runs_and_may_be_called_again(self, executor: Executor, tmp_path: Path):
        executor.submit(make_job(action="hang"), tmp_path / "0")
        executor.close()
        executor.close()
        assert executor.poll() == []
        with pytest.raises(RuntimeError, match="closed"):
            executor.submit(make_job(1), tmp_path / "1")
