"""Files that are torn, edited or made up: each is used or refused in one line, and what was there before stays.

More cases than the default: BOSHNAS_FUZZ_CASES, of each kind of file.
"""

import copy
import io
import json
import os
import sqlite3
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from boshnas.errors import InputError
from boshnas.executors.config import load_executor_config
from boshnas.executors.outcome import ended_result, remove_stale_result, written_result
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
from design_space.errors import InputError as SpaceError
from design_space.space import DesignSpace
from design_space.space_file import preset_names

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
    except (InputError, SpaceError) as error:
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
    said = used_or_refused(lambda: written_result(JOB, tmp_path))
    if said is None:
        assert result.status is not Status.FINISHED
        assert result.error
    else:
        assert result == said


def kept_stages() -> dict[str, Any]:
    """What an earlier attempt at the job left when it was pre-trained."""
    with TemporaryDirectory() as folder:
        Stages(JOB, Path(folder)).run("pretrain", lambda report: {"loss": 1.0})
        content: dict[str, Any] = json.loads(Path(folder, STAGES_FILE).read_bytes())
    return content


KEPT = kept_stages()


@fuzzed
@given(
    content=st.sampled_from(
        [
            as_json(Progress(stage="pretrain", step=3, num_steps=9)),
            as_json(Saved(stage="pretrain", step=3)),
            as_json(Folders(data="/data")),
        ]
    ).flatmap(json_like)
)
def test_what_lies_beside_a_job(content: bytes, tmp_path: Path):
    for name, kind in ((PROGRESS_FILE, Progress), (SAVED_FILE, Saved), (FOLDERS_FILE, Folders)):
        (tmp_path / name).write_bytes(content)
        found = used_or_refused(lambda name=name, kind=kind: read_model(tmp_path / name, kind))
        if found is not None:
            write_model(tmp_path / name, found)
            assert read_model(tmp_path / name, kind) == found


@fuzzed
@given(content=st.just(json.dumps(KEPT).encode()) | json_like(KEPT))
@example(content=json.dumps(KEPT).encode())
def test_what_stages_of_a_job_left(content: bytes, tmp_path: Path):
    path = tmp_path / STAGES_FILE
    path.write_bytes(content)
    kept = used_or_refused(lambda: read_model(path, Finished))
    is_kept = kept is not None and kept.job == KEPT["job"] and "pretrain" in kept.outcomes
    stages = Stages(JOB, tmp_path)
    assert stages.run("pretrain", lambda report: {"loss": 2.0}) == (
        kept.outcomes["pretrain"] if is_kept else {"loss": 2.0}
    )
    if not is_kept:
        assert read_model(path, Finished).outcomes["pretrain"] == {"loss": 2.0}
        assert read_model(path, Finished).job == KEPT["job"]


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


def yaml_like(valid: Any, whole: bytes) -> st.SearchStrategy[bytes]:
    """A valid document edited at some place or with a key more, its file damaged, or words that YAML cannot build."""
    edits = st.builds(edited, st.just(valid), st.sampled_from(places(valid)), values)
    more = st.builds(lambda key, new: {**valid, key: new}, st.text(max_size=8), values)
    documents = (edits | more).map(lambda value: yaml.safe_dump(value, allow_unicode=True).encode())
    words = st.sampled_from([b"1" * 5000, b"[[[", b"2026-13-45", b"0x", b"!!int a", b"? [a]: b", b"&a [*a]"])
    return documents | damaged(whole) | words | words.map(lambda word: whole + b"\nmore: " + word)


CONFIGS: dict[str, dict[str, Any]] = {
    "local": {"num_slots": 4, "gpus": ["0", "1"], "num_threads": 8, "time_limit_s": 36000, "memory_gib": 24},
    "slurm": {
        "partition": "gpu",
        "gres": "gpu:1",
        "time": "12:00:00",
        "cpus_per_task": 8,
        "mem": "64G",
        "max_in_flight": 16,
        "setup": ["module load cuda"],
        "extra": ["--signal=B:TERM@120"],
        "grace_seconds": 60.0,
    },
    "ray": {"address": "head:6379", "num_cpus": 8, "num_gpus": 1, "memory_gib": 32, "max_retries": 3},
}


@fuzzed
@given(data=st.data())
@pytest.mark.parametrize("name", list(CONFIGS))
def test_an_executors_config(data: st.DataObject, name: str, tmp_path: Path):
    whole = yaml.safe_dump(CONFIGS[name]).encode()
    path = tmp_path / "config.yaml"
    path.write_bytes(data.draw(yaml_like(CONFIGS[name], whole)))
    found = used_or_refused(lambda: load_executor_config(name, path))
    if found is not None:
        path.write_text(yaml.safe_dump(as_json(found)))
        assert load_executor_config(name, path) == found


SPACES = {name: (resources.files("design_space") / "spaces" / f"{name}.yaml").read_bytes() for name in preset_names()}


@fuzzed
@given(
    content=st.sampled_from(list(SPACES)).flatmap(lambda name: yaml_like(yaml.safe_load(SPACES[name]), SPACES[name]))
)
def test_a_space(content: bytes, tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    space = used_or_refused(lambda: DesignSpace.load(path))
    assert path.read_bytes() == content
    if space is not None:
        path.write_text(yaml.safe_dump(space.content.model_dump(mode="json", by_alias=True)))
        assert DesignSpace.load(path).content == space.content
