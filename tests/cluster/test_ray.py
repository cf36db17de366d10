"""Evaluations through a real Ray: what is killed, what never fits, and a search that goes on."""

import importlib.metadata
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import waiting
from packaging.version import Version
from search_fakes import FakeView

from boshnas.baselines import RandomSearcher
from boshnas.errors import InputError
from boshnas.executors.ray.cluster import connect, node_resources
from boshnas.executors.ray.executor import RayExecutor
from boshnas.executors.ray.settings import RaySettings
from boshnas.job import RESULT_FILE, STARTED_FILE, Job, Result
from boshnas.loop import Loop
from boshnas.plan import Plan
from boshnas.pool import Pool
from boshnas.source import Candidate
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Status, Trial

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
# Notes each start with its process ids, then waits for a file "go" beside its job.json before it reports.
WORKER = """
import json, os, pathlib, signal, subprocess, sys, time
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
ignore = "import signal, time; signal.signal(15, 1); time.sleep(120)"
child = subprocess.Popen([sys.executable, "-S", "-c", ignore])
with (path.parent / "starts").open("a") as file:
    file.write(f"{os.environ['BOSHNAS_DRIVER_PID']} {os.getpid()} {child.pid}\\n")
print("begins", flush=True)
while not (path.parent / "go").exists():
    time.sleep(0.05)
result = {"number": job["number"], "id": job["id"], "status": "finished", "score": job["seed"] / 2}
(path.parent / "part").write_text(json.dumps(result))
(path.parent / "part").rename(path.parent / "result.json")
"""


@pytest.fixture(autouse=True)
def left_alone() -> Iterator[None]:
    """Every test leaves this process without a connection: Ray would make one by itself where it is asked anything."""
    yield
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        sys.modules["ray"].shutdown()
        pytest.fail("the connection to Ray is still there")


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    return [sys.executable, "-S", str(worker), "{job}"]


@pytest.fixture
def settings(ray_cluster: str) -> RaySettings:
    return RaySettings(address=ray_cluster, max_retries=1, max_in_flight=2)


@pytest.fixture
def executor(command: list[str], settings: RaySettings, tmp_path: Path) -> Iterator[RayExecutor]:
    with RayExecutor(command, settings, tmp_path, grace_s=1.0) as executor:
        yield executor


def make_job(number: int = 0, seed: int = 7) -> Job:
    return Job(number=number, id=f"arch{number}", architecture={}, seed=seed, settings={})


wait_until = partial(waiting.wait_until, limit_s=40.0)


def starts(folder: Path, count: int = 1) -> list[list[int]]:
    """Process ids of each start: the Ray worker, the worker and its child."""

    def read() -> list[list[int]]:
        path = folder / "starts"
        return [list(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []

    assert wait_until(lambda: len(read()) >= count)
    return read()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def next_result(executor: RayExecutor) -> Result:
    results: list[Result] = []
    assert wait_until(lambda: bool(results.extend(executor.poll()) or results))
    assert len(results) == 1
    return results[0]


def finished(number: int = 0) -> Result:
    return Result(number=number, id=f"arch{number}", status=Status.FINISHED, score=3.5)


def test_a_killed_worker_is_a_result_and_leaves_no_process(executor: RayExecutor, tmp_path: Path):
    executor.submit(make_job(), tmp_path / "0")
    ((_, worker, child),) = starts(tmp_path / "0")
    assert (tmp_path / "0" / STARTED_FILE).exists()
    os.kill(worker, signal.SIGKILL)
    result = next_result(executor)
    assert result.status is Status.KILLED
    assert (result.error or "").startswith("The worker was killed by SIGKILL")
    assert (result.error or "").endswith("begins")
    assert wait_until(lambda: gone(child))


def test_a_killed_ray_worker_takes_its_job_along_and_is_replaced_by_ray(executor: RayExecutor, tmp_path: Path):
    executor.submit(make_job(), tmp_path / "0")
    ((ray_worker, worker, child),) = starts(tmp_path / "0")
    os.kill(ray_worker, signal.SIGKILL)
    assert wait_until(lambda: gone(worker) and gone(child))
    starts(tmp_path / "0", 2)
    (tmp_path / "0" / "go").touch()
    assert next_result(executor) == finished()
    assert len(starts(tmp_path / "0")) == 2
    assert executor.poll() == []


def test_a_ray_worker_that_is_killed_too_often_is_a_result(executor: RayExecutor, tmp_path: Path):
    executor.submit(make_job(), tmp_path / "0")
    for count in (1, 2):
        os.kill(starts(tmp_path / "0", count)[-1][0], signal.SIGKILL)
    result = next_result(executor)
    assert result.status is Status.KILLED
    assert (result.error or "").startswith("Ray could not run the worker to its end: ")


def test_a_result_written_before_the_ray_worker_died_counts(executor: RayExecutor, tmp_path: Path):
    executor.submit(make_job(), tmp_path / "0")
    ((ray_worker, worker, _),) = starts(tmp_path / "0")
    os.kill(worker, signal.SIGSTOP)
    (tmp_path / "0" / RESULT_FILE).write_text(finished().model_dump_json())
    os.kill(ray_worker, signal.SIGKILL)
    assert next_result(executor) == finished()
    assert len(starts(tmp_path / "0")) == 1


def test_a_program_that_is_not_there_is_bad_input(settings: RaySettings, tmp_path: Path):
    with RayExecutor(["/no/such/program", "{job}"], settings, tmp_path) as executor:
        executor.submit(make_job(), tmp_path / "0")
        result = next_result(executor)
    assert result.status is Status.BAD_INPUT
    assert "/no/such/program cannot be started" in (result.error or "")


def test_a_dead_keeper_is_told_and_replaced(executor: RayExecutor, tmp_path: Path):
    executor.submit(make_job(0), tmp_path / "0")
    ((ray_worker, worker, child),) = starts(tmp_path / "0")
    raylet = psutil.Process(ray_worker).ppid()
    (keeper,) = [p for p in psutil.Process(raylet).children() if p.name().startswith("ray::Keeper")]
    keeper.kill()
    result = next_result(executor)
    assert result.status is Status.NODE_FAILED
    assert "the keeper of this run died" in (result.error or "")
    assert wait_until(lambda: gone(worker) and gone(child))
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "go").touch()
    executor.submit(make_job(1), tmp_path / "1")
    assert next_result(executor) == finished(1)


@pytest.fixture
def large_node(settings: RaySettings) -> Iterator[psutil.Process]:
    """A second node, with eight cores."""
    options = f"--address {settings.address} --block --num-cpus 8 --num-gpus 0 --object-store-memory {100 * 2**20}"
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options.split()]

    def is_up() -> bool:
        ray = connect(settings)
        try:
            return any(node["CPU"] == 8 for node in node_resources(ray))
        finally:
            ray.shutdown()

    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        node = psutil.Process(process.pid)
        try:
            assert wait_until(is_up)
            yield node
        finally:
            for child in [*node.children(recursive=True), node]:
                child.kill()
    assert wait_until(lambda: not is_up())


def test_a_dead_node_is_told(
    command: list[str],
    settings: RaySettings,
    tmp_path: Path,
    large_node: psutil.Process,
    capfd: pytest.CaptureFixture[str],
):
    large = settings.model_copy(update={"num_cpus": 6, "max_retries": 0})
    with RayExecutor(command, large, tmp_path) as executor:
        executor.submit(make_job(), tmp_path / "0")
        ((_, worker, child),) = starts(tmp_path / "0")
        next(process for process in large_node.children() if process.name() == "raylet").kill()
        result = next_result(executor)
    assert result.status is Status.NODE_FAILED
    assert "keeper" not in (result.error or "")
    assert wait_until(lambda: gone(worker) and gone(child))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_cancel_and_close_end_all_processes(executor: RayExecutor, tmp_path: Path, how: str):
    executor.submit(make_job(), tmp_path / "0")
    ((_, worker, child),) = starts(tmp_path / "0")
    if how == "cancel":
        executor.cancel(0)
    else:
        executor.close()
    assert wait_until(lambda: gone(worker) and gone(child), limit_s=5.0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"num_gpus": 1}, "num_gpus must be what some node of the cluster has, got 1. The largest has 0: ask for less"),
        ({"num_cpus": 4.5}, "num_cpus must be what some node of the cluster has, got 4.5. The largest has 4: ask"),
        ({"memory_gib": 1e6}, r"memory_gib must be what some node of the cluster has, got 1e\+06. The largest has"),
    ],
)
def test_what_never_fits_is_refused(
    command: list[str], settings: RaySettings, tmp_path: Path, asked: dict[str, float], message: str
):
    with pytest.raises(InputError, match=message):
        RayExecutor(command, settings.model_copy(update=asked), tmp_path)


def test_by_default_as_many_run_as_fit(command: list[str], ray_cluster: str, tmp_path: Path):
    with RayExecutor(command, RaySettings(address=ray_cluster, num_cpus=1.5), tmp_path) as executor:
        assert executor.num_slots == 2


def test_a_second_connection_of_one_process_is_refused(
    executor: RayExecutor, command: list[str], settings: RaySettings, tmp_path: Path
):
    with pytest.raises(InputError, match="Ray must not be in use by this process"):
        RayExecutor(command, settings, tmp_path)


def test_the_wrong_token_is_told(
    command: list[str], settings: RaySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if Version(importlib.metadata.version("ray")) < Version("2.52"):
        pytest.skip("this Ray knows no tokens")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with pytest.raises(InputError, match="wants another token. Set RAY_AUTH_TOKEN"):
        RayExecutor(command, settings, tmp_path)


DRIVER = """
import json, pathlib, sys, time
from boshnas.executors.ray.executor import RayExecutor
from boshnas.executors.ray.settings import RaySettings
from boshnas.job import Job
folder, command, settings, num_jobs = pathlib.Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
executor = RayExecutor(command, RaySettings(**settings), folder)
for number in range(num_jobs):
    job = Job(number=number, id=f"arch{number}", architecture={}, seed=7, settings={})
    executor.submit(job, folder / str(number))
while True:
    executor.poll()
    time.sleep(0.1)
"""


@contextmanager
def driver_of(
    folder: Path, command: list[str], settings: RaySettings, num_jobs: int, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A search process that finds out by itself that the cluster wants a token; it is killed at the end."""
    words = [str(folder), json.dumps(command), settings.model_dump_json(), str(num_jobs)]
    inherited = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *words], env=inherited | {"PYTHONPATH": path} | environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_jobs_of_a_killed_driver_are_found_again(command: list[str], settings: RaySettings, tmp_path: Path):
    with driver_of(tmp_path, command, settings, 2):
        for number in (0, 1):
            starts(tmp_path / str(number))
    (tmp_path / "1" / "go").touch()
    assert wait_until((tmp_path / "1" / RESULT_FILE).exists)
    with RayExecutor(command, settings, tmp_path) as executor:
        for number in (0, 1):
            executor.submit(make_job(number), tmp_path / str(number))
        assert next_result(executor) == finished(1)
        (tmp_path / "0" / "go").touch()
        assert next_result(executor) == finished(0)
    assert [len(starts(tmp_path / str(number))) for number in (0, 1)] == [1, 1]


def test_another_job_in_the_folder_ends_the_one_that_was_left(
    command: list[str], settings: RaySettings, tmp_path: Path
):
    with driver_of(tmp_path, command, settings, 2):
        left = [pid for number in (0, 1) for pid in starts(tmp_path / str(number))[0][1:]]
    with RayExecutor(command, settings, tmp_path, grace_s=1.0) as executor:
        executor.submit(make_job(0, seed=9), tmp_path / "0")
        (tmp_path / "0" / "go").touch()
        assert next_result(executor).score == 4.5
    assert wait_until(lambda: all(map(gone, left)))  # the other was not asked for again: ended by close


def test_a_local_ray_is_on_loopback_knows_no_store_and_ends_with_the_driver(command: list[str], tmp_path: Path):
    command[2:3] = ["-c", f"import os; print(os.environ.get('BOSHNAS_STORAGE'))\n{WORKER}"]
    settings = RaySettings(num_cpus=1, max_in_flight=1)
    with driver_of(tmp_path, command, settings, 1, BOSHNAS_STORAGE="secret") as driver:
        ((ray_worker, worker, child),) = starts(tmp_path / "0")
        family = psutil.Process(driver.pid).children(recursive=True)
        listening = [
            connection.laddr.ip
            for process in family
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        environments = [process.environ() for process in family]
        # Ray's agents end a minute later, by themselves.
        agents = [process for process in family if "agent" in " ".join(process.cmdline()).lower()]
        own = [worker, child, *(process.pid for process in family if process not in agents)]
    assert listening
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert ray_worker in own
    assert not any("BOSHNAS_STORAGE" in environment for environment in environments)
    assert (tmp_path / "0" / "log.txt").read_text().startswith("None\n")
    assert wait_until(lambda: all(map(gone, own)))


ROWS = {f"arch{row}": point for row, point in enumerate(np.random.default_rng(7).uniform(size=(8, 2)))}


class Source:
    """Eight architectures of one level."""

    def open_level(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        return list(ROWS)

    def describe(self, id_: str) -> Candidate:
        return Candidate(architecture={}, parameters={"name": id_})

    def parent(self, id_: str, trained: Sequence[str]) -> tuple[str, float] | None:
        return None


class View(FakeView):
    """Lets every evaluation end at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def started(self, trial: Trial) -> None:
        (self._folder / "jobs" / f"{trial.number:05d}" / "go").touch()


def test_a_search_goes_through_ray(executor: RayExecutor, tmp_path: Path):
    plan = Plan(level_budgets=(5,), baselines=(), seed=7, settings={}, synchronous=False, deadline=None, max_failures=0)
    searcher = RandomSearcher(Pool(list(ROWS), np.array(list(ROWS.values()))), None, seed=5, num_initial=3)
    with Store.create(tmp_path / STORE_FILE, {}, {"name": list(ROWS)}) as store:
        assert Loop(plan, store, searcher, Source(), executor, tmp_path, View(tmp_path)).run() is None
        trials = store.trials()
    assert [(trial.number, trial.status, trial.score) for trial in trials] == [
        (number, Status.FINISHED, 3.5) for number in range(5)
    ]
    assert len({trial.id for trial in trials}) == 5
    assert all(len(starts(tmp_path / "jobs" / f"{number:05d}")) == 1 for number in range(5))
