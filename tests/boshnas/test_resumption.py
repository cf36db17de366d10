from dataclasses import replace
from pathlib import Path

import pytest
from search_fakes import ended_trial

from boshnas.executors.base import EXECUTOR_FILE
from boshnas.job import JOB_FILE, RESULT_FILE, SAVED_FILE, Job, Result, job_folder, write_model
from boshnas.resumption import found
from boshnas.trial import Attempt, Status, Trial


def running(number: int, num_attempts: int = 0) -> Trial:
    attempts = (Attempt(status=Status.CRASHED, error="boom"),) * num_attempts
    return replace(ended_trial(number, None), status=Status.RUNNING, attempts=attempts)


def left(run: Path, number: int, *, result: bool = False, attempt: int = 1) -> Path:
    """The folder of a job that was under way."""
    folder = job_folder(run, number)
    folder.mkdir(parents=True)
    job = Job(number=number, id=f"a{number}", attempt=attempt, architecture={}, seed=0, settings={})
    write_model(folder / JOB_FILE, job)
    if result:
        told = Result(number=number, id=f"a{number}", status=Status.FINISHED, score=1.0)
        write_model(folder / RESULT_FILE, told)
    return folder


def test_a_search_that_begun_nothing_says_so(tmp_path: Path):
    assert found(tmp_path, []) == "Resumed: nothing was evaluated before."


def test_each_evaluation_is_told_by_what_becomes_of_it(tmp_path: Path):
    left(tmp_path, 3, result=True)
    (left(tmp_path, 4) / EXECUTOR_FILE).write_text("slurm\n")
    (left(tmp_path, 5) / SAVED_FILE).write_text("{}")
    left(tmp_path, 6)
    trials = [ended_trial(0, 1.0), ended_trial(1, 2.0), ended_trial(2, None), *map(running, range(3, 8))]
    assert found(tmp_path, trials) == (
        "Resumed with 8 evaluations: 2 finished, 1 failed, 1 ended meanwhile, to be taken in from disk, "
        "1 to be looked for in the cluster, 1 to go on from a checkpoint, 2 to begin again."
    )


def test_the_result_of_an_earlier_attempt_is_not_taken_in(tmp_path: Path):
    left(tmp_path, 0, result=True)
    assert found(tmp_path, [running(0, num_attempts=1)]) == "Resumed with 1 evaluation: 1 to begin again."


@pytest.mark.parametrize("name", [JOB_FILE, RESULT_FILE])
def test_what_cannot_be_read_is_not_taken_in(tmp_path: Path, name: str):
    (left(tmp_path, 0, result=True) / name).write_text("{")
    assert found(tmp_path, [running(0)]) == "Resumed with 1 evaluation: 1 to begin again."
