"""Files that are torn, edited or made up: each is used or refused in one line, and what was there before stays.

More cases than the default: BOSHNAS_FUZZ_CASES, of each kind of file.
"""

import copy
import io
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boshnas.errors import InputError
from boshnas.executors.outcome import ended_result, remove_stale_result
from boshnas.folders import FOLDERS_FILE, Folders
from boshnas.job import (
    JOB_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    SAVED_FILE,
    Job,
    Parent,
    Progress,
    Result,
    Saved,
    read_model,
    write_model,
)
from boshnas.stages import STAGES_FILE, Finished, Stages
from boshnas.store import STORE_FILE, Store, new_place, place
from boshnas.table import Table
from boshnas.trial import Decision, Proposal, Status, Trial

fuzzed = settings(
    max_examples=int(os.environ.get("BOSHNAS_FUZZ_CASES", "60")),
    deadline=None,
    derandomize="BOSHNAS_FUZZ_CASES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

JOB = Job(
    number=0,
    id="abc",
    architecture={"l": 2, "h": [128, 128]},
    seed=3,
    parent=Parent(id="def", checkpoint="jobs/00001/pretrained", overlap=0.9),
    settings={"tasks": ["cola"], "rate": 1e-4},
    memory_bytes=1000,
)
RESULT = Result(
    number=0,
    id="abc",
    status=Status.FINISHED,
    score=71.5,
    task_scores={"cola": 71.5},
    stage_seconds={"pretrain": 3.0},
    details={"loss": 2.5, "metrics": {"cola": {"matthews": 0.7}}},
)

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to all that a JSON value holds."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


def edited(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.deepcopy(value)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = new
    return changed


def json_like(valid: Any) -> st.SearchStrategy[bytes]:
    """A valid document edited at some place, with a key more, made up, torn, or with bytes overwritten."""
    whole = json.dumps(valid).encode()
    edits = st.builds(edited, st.just(valid), st.sampled_from(places(valid)), values)
    more = st.builds(lambda key, new: {**valid, key: new}, st.text(max_size=8), values)
    documents = (edits | more | values).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    return documents | damaged(whole)


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes of a file: its begin, with others written over it, or none of it."""
    torn = st.integers(0, len(whole)).map(lambda end: whole[:end])

    def overwrite(start: int, new: bytes) -> bytes:
        return whole[:start] + new + whole[start + len(new) :]

    return torn | st.builds(overwrite, st.integers(0, len(whole)), st.binary(max_size=40)) | st.binary(max_size=200)


def used_or_refused(use: Callable[[], Any]) -> Any:
    """What comes of it; None where it was refused as it should be."""
    try:
        return use()
    except InputError as error:
        line = str(error)
        assert line
        assert "\n" not in line
        assert len(line) < 2000
        return None


def as_json(model: Any) -> Any:
    return model.model_dump(mode="json")


@fuzzed
@given(content=json_like(as_json(JOB)))
def test_a_job(content: bytes, tmp_path: Path):
    path = tmp_path / JOB_FILE
    path.write_bytes(content)
    job = used_or_refused(lambda: read_model(path, Job))
    if job is not None:
        write_model(path, job)
        assert read_model(path, Job) == job
    # A job that is started anew takes no result of another for its own.
    write_model(tmp_path / RESULT_FILE, RESULT)
    assert remove_stale_result(JOB, tmp_path) == (job == JOB)
    assert (tmp_path / RESULT_FILE).exists() == (job == JOB)


@fuzzed
@given(content=json_like(as_json(RESULT)), returncode=st.sampled_from([0, 1, 2, -9, 137]))
def test_a_result(content: bytes, returncode: int, tmp_path: Path):
    (tmp_path / RESULT_FILE).write_bytes(content)
    result = ended_result(JOB, tmp_path, returncode)
    assert (result.number, result.id) == (0, "abc")
    assert result.status is not Status.RUNNING
    assert (result.score is not None) == (result.status is Status.FINISHED)
    assert result.status is Status.FINISHED or result.error or RESULT.id


@fuzzed
@given(
    content=st.sampled_from(
        [
            as_json(Progress(stage="pretrain", step=3, num_steps=9)),
            as_json(Saved(stage="pretrain", step=3)),
            as_json(Folders(data="/data")),
            as_json(Finished(job="0", outcomes={"pretrain": {"loss": 1.0}}, seconds={"pretrain": 2.0})),
        ]
    ).flatmap(json_like)
)
def test_what_lies_beside_a_job(content: bytes, tmp_path: Path):
    for name, kind in ((PROGRESS_FILE, Progress), (SAVED_FILE, Saved), (FOLDERS_FILE, Folders)):
        (tmp_path / name).write_bytes(content)
        used_or_refused(lambda name=name, kind=kind: read_model(tmp_path / name, kind))
    (tmp_path / STAGES_FILE).write_bytes(content)
    assert Stages(JOB, tmp_path).run("pretrain", lambda report: {"loss": 1}) is not None


@pytest.fixture(scope="module")
def store_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store of three trials."""
    folder = tmp_path_factory.mktemp("store")
    with Store.create(new_place(folder, None), {"space": "tiny"}, {"l": [2, 4]}) as store:
        for number in range(3):
            store.add(
                Trial(
                    number=number,
                    proposal=Proposal(id=f"a{number}", decision=Decision.RANDOM),
                    level=1,
                    architecture={"l": 2},
                    parameters={"l": 2},
                    seed=0,
                )
            )
        store.finish(Result(number=0, id="a0", status=Status.FINISHED, score=1.0))
    with sqlite3.connect(folder / STORE_FILE) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return (folder / STORE_FILE).read_bytes()


@fuzzed
@given(data=st.data())
def test_a_store(data: st.DataObject, store_bytes: bytes, tmp_path: Path):
    content = data.draw(damaged(store_bytes))
    path = tmp_path / STORE_FILE
    for leftover in tmp_path.iterdir():
        leftover.unlink()
    path.write_bytes(content)

    def read(read_only: bool) -> list[Trial]:
        with Store.open(place(tmp_path, None), read_only=read_only) as store:
            return store.trials()

    seen = used_or_refused(lambda: read(True))
    assert path.read_bytes() == content, "reading changed the file"
    kept = used_or_refused(lambda: read(False))
    if kept is None:
        assert path.read_bytes() == content, "a refused store was changed"
    else:
        assert seen == kept


TABLE = pd.DataFrame(
    {
        "op": ["sa", "l", "c", "sa", "l", "c"] * 3,
        "size": [128, 256, 128, 512, 128, 256] * 3,
        "accuracy": [70.0, 71.5, None, 72.25, 69.0, 74.5] * 3,
        "cost": [1.5, 2.0, 1.0, 3.0, 2.5, 2.0] * 3,
    }
)


def written(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "parquet":
        TABLE.to_parquet(buffer)
    elif kind in ("csv", "tsv"):
        TABLE.to_csv(buffer, index=False, sep="," if kind == "csv" else "\t")
    else:
        TABLE.to_json(buffer, orient="records", lines=kind == "jsonl")
    return buffer.getvalue()


KINDS = ("csv", "tsv", "json", "jsonl", "parquet")
WRITTEN = {kind: written(kind) for kind in KINDS}


@fuzzed
@given(kind_and_content=st.sampled_from(KINDS).flatmap(lambda kind: damaged(WRITTEN[kind]).map(lambda c: (kind, c))))
def test_a_table(kind_and_content: tuple[str, bytes], tmp_path: Path):
    kind, content = kind_and_content
    path = tmp_path / f"table.{kind}"
    path.write_bytes(content)
    table = used_or_refused(lambda: Table.read(str(path), "accuracy", cost="cost"))
    assert path.read_bytes() == content
    if table is not None:
        assert set(table.measured) | set(table.unmeasured) == set(table.candidates)
