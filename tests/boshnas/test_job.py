import json
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from boshnas.errors import InputError
from boshnas.job import (
    RESULT_FILE,
    SCHEMA_NUMBER,
    STARTED_FILE,
    Job,
    Parent,
    Progress,
    Result,
    read_model,
    wall_seconds,
    write_model,
)
from boshnas.trial import Status

JOB = Job(
    number=3,
    id="abc",
    architecture={"l": 2, "o": ["sa", "l"]},
    seed=5,
    parent=Parent(id="def", checkpoint="/x", overlap=0.8),
    settings={"tasks": ["cola"], "rate": 1e-5},
    memory_bytes=123_456,
)
RESULT = Result(number=3, id="abc", status=Status.FINISHED, score=1 / 3, details={"loss": None})


@pytest.mark.parametrize("model", [JOB, RESULT, Progress(stage="pretrain", step=1, num_steps=9)])
def test_comes_back_exactly(tmp_path: Path, model: Job | Result | Progress):
    write_model(tmp_path / "file.json", model)
    assert read_model(tmp_path / "file.json", type(model)) == model
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def test_refuses_an_absent_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"job\.json: cannot be read: No such file"):
        read_model(tmp_path / "job.json", Job)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "extra: must not be there, it is not known"),
        ({"number": "x"}, "number: must be a whole number"),
        ({"settings": {"rates": [1.0, float("inf")]}}, r"settings\.rates: must be finite, got inf"),
        ({"architecture": {"l": float("nan")}}, r"architecture\.l: must be finite, got nan"),
        ({"memory_bytes": 0}, "memory_bytes: must be above 0"),
        (
            {"parent": {"id": "d", "checkpoint": "/x", "overlap": 2}},
            r"parent\.overlap: must be at most 1, got 2\. Correct",
        ),
    ],
)
def test_refuses_a_wrong_field_by_name(tmp_path: Path, change: dict[str, object], message: str):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(JOB.model_dump(mode="json") | change))
    with pytest.raises(InputError, match=message) as caught:
        read_model(path, Job)
    assert "\n" not in str(caught.value)


def test_refuses_half_a_file(tmp_path: Path):
    (tmp_path / "job.json").write_text(JOB.model_dump_json()[:40])
    with pytest.raises(InputError, match=r"content: must be JSON \("):
        read_model(tmp_path / "job.json", Job)


def test_refuses_a_newer_schema(tmp_path: Path):
    write_model(tmp_path / "job.json", JOB.model_copy(update={"schema_number": SCHEMA_NUMBER + 1}))
    with pytest.raises(InputError, match=r"schema_number must be at most 2, got 3\. .* install the same"):
        read_model(tmp_path / "job.json", Job)


@pytest.mark.parametrize(("score", "rule"), [(100.5, "at most 100"), (-101, "at least -100"), (7e3, "at most 100")])
def test_a_task_score_is_in_points(tmp_path: Path, score: float, rule: str):
    path = tmp_path / "result.json"
    good = Result(number=0, id="a", status=Status.FINISHED, score=1e9, task_scores={"low": -12.5, "high": 100.0})
    write_model(path, good)
    assert read_model(path, Result) == good
    path.write_text(json.dumps(good.model_dump(mode="json") | {"task_scores": {"sst2": score}}))
    with pytest.raises(InputError, match=rf"task_scores\.sst2: must be {rule}, got {score:g}"):
        read_model(path, Result)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_is_finite(score: float):
    with pytest.raises(ValidationError, match="finite number"):
        Result(number=0, id="a", status=Status.FINISHED, score=score)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e308])
def test_the_seconds_of_a_stage_are_those_of_a_clock(tmp_path: Path, seconds: float):
    content = {"number": 0, "id": "a", "status": "finished", "score": 1.0, "stage_seconds": {"train": seconds}}
    (tmp_path / "result.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"stage_seconds\.train"):
        read_model(tmp_path / "result.json", Result)


@pytest.mark.parametrize("step", [-1, 10**400], ids=["negative", "large"])
def test_a_step_is_one_that_can_be_drawn(tmp_path: Path, step: int):
    (tmp_path / "progress.json").write_text(json.dumps({"stage": "train", "step": step, "num_steps": 1}))
    with pytest.raises(InputError, match="step"):
        read_model(tmp_path / "progress.json", Progress)


def test_what_is_no_number_among_the_details_is_null_for_all_who_read_them(tmp_path: Path):
    (tmp_path / "result.json").write_text(
        '{"number": 0, "id": "a", "status": "finished", "score": 70.0, '
        '"details": {"loss": NaN, "losses": [1.0, Infinity], "by_task": {"cola": -Infinity}}}'
    )
    details = read_model(tmp_path / "result.json", Result).details
    assert details == {"loss": None, "losses": [1.0, None], "by_task": {"cola": None}}


def test_a_job_took_from_its_begin_to_its_result(tmp_path: Path):
    assert wall_seconds(tmp_path) is None
    for name, at_s in ((STARTED_FILE, 1000.0), (RESULT_FILE, 1090.0)):
        assert wall_seconds(tmp_path) is None
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at_s, at_s))
    assert wall_seconds(tmp_path) == 90.0
    os.utime(tmp_path / RESULT_FILE, (0.0, 0.0))  # of a disk whose clock was put back
    assert wall_seconds(tmp_path) == 0.0
