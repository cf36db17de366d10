from pathlib import Path

import pytest

from boshnas.errors import InputError
from boshnas.executors import InProcessExecutor
from boshnas.job import Job, Result
from boshnas.trial import Status


def job(number: int = 0) -> Job:
    return Job(number=number, id=f"arch{number}", architecture={"l": number}, seed=1, settings={})


def score(job: Job, folder: Path) -> Result:
    return Result(number=job.number, id=job.id, status=Status.FINISHED, score=float(job.number))


def test_each_poll_runs_the_job_that_has_waited_longest(tmp_path: Path):
    executor = InProcessExecutor(score, num_slots=2)
    assert executor.poll() == []
    executor.submit(job(3), tmp_path)
    executor.submit(job(1), tmp_path)
    assert [[result.score for result in executor.poll()] for _ in range(3)] == [[3.0], [1.0], []]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no such task"), Status.CRASHED),
        (InputError("table: empty."), Status.BAD_INPUT),
        (MemoryError(), Status.OUT_OF_MEMORY),
        (FloatingPointError("nan"), Status.DIVERGED),
    ],
)
def test_what_is_raised_becomes_a_result(tmp_path: Path, error: Exception, status: Status):
    def fail(job: Job, folder: Path) -> Result:
        raise error

    executor = InProcessExecutor(fail)
    executor.submit(job(), tmp_path)
    (result,) = executor.poll()
    assert (result.number, result.id, result.status) == (0, "arch0", status)
    assert (result.error or "").startswith(f"{type(error).__name__}: {error}\nTraceback")


def test_a_cancelled_or_closed_job_is_not_run(tmp_path: Path):
    executor = InProcessExecutor(score, num_slots=2)
    executor.cancel(executor.submit(job(), tmp_path))
    executor.cancel(0)
    assert executor.poll() == []
    executor.submit(job(), tmp_path)
    executor.close()
    executor.close()
    assert executor.poll() == []
    with pytest.raises(RuntimeError, match="closed"):
        executor.submit(job(), tmp_path)


def test_misuse_is_told(tmp_path: Path):
    executor = InProcessExecutor(score)
    executor.submit(job(), tmp_path)
    with pytest.raises(RuntimeError, match="job 0 is already running"):
        executor.submit(job(), tmp_path)
    with pytest.raises(RuntimeError, match="all 1 slots are taken"):
        executor.submit(job(1), tmp_path)
    with pytest.raises(InputError, match="num_slots must be positive, got 0"):
        InProcessExecutor(score, num_slots=0)
