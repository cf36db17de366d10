"""What the Ray executor does without Ray: settings, refusals, and the process between Ray and the worker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from boshnas.errors import InputError
from boshnas.executors.ray import minder
from boshnas.executors.ray.cluster import connect, num_fitting
from boshnas.executors.ray.executor import RayExecutor
from boshnas.executors.ray.settings import RaySettings

GIB = 2**30
NODES: list[Mapping[str, float]] = [{"CPU": 8, "memory": 16 * GIB}, {"CPU": 4, "GPU": 2, "memory": 8 * GIB}]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"num_gpus": 1.5}, "must be a fraction of one GPU or a whole number"),
        ({"num_gpus": -1}, "greater than or equal to 0"),
        ({"num_cpus": 0}, "greater than 0"),
        ({"num_cpus": float("inf")}, "finite"),
        ({"max_in_flight": 0}, "greater than 0"),
        ({"max_retries": -1}, "greater than or equal to 0"),
        ({"address": "ray://head:10001"}, "must be 'auto' or HOST:PORT"),
        ({"addresses": "auto"}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_refused(asked: dict[str, object], message: str):
    with pytest.raises(ValidationError, match=message):
        RaySettings.model_validate(asked)


@pytest.mark.parametrize(
    ("asked", "count"),
    [({}, 12), ({"num_cpus": 3}, 3), ({"num_gpus": 0.5}, 4), ({"memory_gib": 5}, 4), ({"num_cpus": 8}, 1)],
)
def test_how_many_fit_on_the_nodes(asked: dict[str, float], count: int):
    assert num_fitting(RaySettings.model_validate(asked), NODES) == count


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"num_cpus": 9}, "--executor ray: num_cpus must be .*, got 9. The largest has 8: ask for less"),
        ({"num_gpus": 4}, "num_gpus must be .*, got 4. The largest has 2"),
        ({"memory_gib": 16.5}, "memory_gib must be .*, got 16.5. The largest has 16"),
        ({"num_gpus": 1, "num_cpus": 8}, "must fit on one node together, got 8, 1 and 0, which no node has"),
    ],
)
def test_what_fits_on_no_node_is_refused(asked: dict[str, float], message: str):
    with pytest.raises(InputError, match=message):
        num_fitting(RaySettings.model_validate(asked), NODES)


def test_without_ray_the_command_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"Install it: pip install -c constraints.txt -e '\.\[ray\]'"):
        RayExecutor(["true", "{job}"], RaySettings(), tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no.such.host.invalid:6379", "127.0.0.1:99999"])
def test_where_nothing_listens_is_told_at_once(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: "there")
    monkeypatch.setattr("boshnas.executors.ray.cluster._probe", lambda *_: pytest.fail("asked all the same"))
    with pytest.raises(InputError, match=f"can be joined from this machine, got '{address}': "):
        connect(RaySettings(address=address))


def start_minder(*words: str) -> subprocess.Popen[bytes]:
    code = Path(minder.__file__).read_text()
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def end(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes, int]:
    """What it wrote and its return code; its pipe is held open until then."""
    assert process.stdout is not None
    assert process.stderr is not None
    returncode = process.wait(timeout=10)
    os.killpg(process.pid, signal.SIGKILL)  # the one that watches, as the executor's task ends it
    return process.stdout.read(), process.stderr.read(), returncode


@pytest.mark.parametrize(
    ("code", "returncode"),
    [
        ("", 0),
        ("raise SystemExit(5)", 5),
        *((f"import os; os.kill(os.getpid(), {number})", -number) for number in (6, 9, 11, 15)),
    ],
)
def test_the_minder_ends_as_its_worker_does(code: str, returncode: int):
    assert end(start_minder(*python(code)))[2] == returncode


def test_the_minder_says_what_cannot_be_started():
    _, said, returncode = end(start_minder("/no/such/program"))
    assert returncode == 2
    assert b"/no/such/program cannot be started on" in said


def test_a_polite_signal_to_the_group_is_for_the_worker():
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print(1, flush=True); time.sleep(60)"
    process = start_minder(*python(code))
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    os.killpg(process.pid, signal.SIGTERM)
    assert end(process)[2] == 7


@pytest.mark.parametrize("is_minder_killed", [False, True])
def test_the_whole_group_ends_with_the_caller(is_minder_killed: bool):
    child = "import signal, time; signal.signal(15, 1); print(1, flush=True); time.sleep(60)"
    code = f"import os, subprocess, sys; print(os.getpid(), flush=True); subprocess.run({python(child)!r})"
    process = start_minder(*python(code))
    assert process.stdout is not None
    assert process.stdin is not None
    worker = psutil.Process(int(process.stdout.readline()))
    assert process.stdout.readline() == b"1\n"
    family = [worker, *worker.children()]
    assert len(family) == 2
    if is_minder_killed:
        process.kill()
    process.stdin.close()
    process.wait(timeout=10)
    deadline = time.monotonic() + 10
    while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
