import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import waiting

from boshnas.errors import InputError
from boshnas.executors import LocalExecutor, exit_with_driver, visible_gpus
from boshnas.executors.base import EXECUTOR_FILE
from boshnas.executors.gpus import _listed
from boshnas.executors.identity import ProcessIdentity
from boshnas.executors.leftover import PROCESS_FILE, end_leftover
from boshnas.executors.local_settings import LocalSettings
from boshnas.executors.make import make_executor
from boshnas.executors.memory import num_oom_kills
from boshnas.executors.orphan import DRIVER_PID_VARIABLE, ORPHAN_EXIT_CODE
from boshnas.executors.outcome import LOG_FILE, LOG_TAIL_LINES, ended_result
from boshnas.job import JOB_FILE, RESULT_FILE, Job, Result, read_model, write_model
from boshnas.trial import Status

ROOT = Path(__file__).parents[2]
JOB = Job(number=0, id="arch0", architecture={}, seed=0, settings={})
RESULT = '{"number": 0, "id": "arch0", "status": "finished", "score": 1.0}'
# A worker which, with its child, ignores the polite signal; both ids end up in pids.json.
STUBBORN = """
import json, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import signal, time; signal.signal(15, 1); time.sleep(60)"])
import os
path = pathlib.Path(sys.argv[1]).parent / "pids.json"
path.with_suffix(".part").write_text(json.dumps([os.getpid(), child.pid]))
path.with_suffix(".part").rename(path)
"""


def command(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, "{job}"]


wait_until = partial(waiting.wait_until, limit_s=8.0)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def pids(folder: Path) -> list[int]:
    assert wait_until((folder / "pids.json").exists)
    content: list[int] = json.loads((folder / "pids.json").read_text())
    return content


def run(executor: LocalExecutor, folder: Path) -> Result:
    executor.submit(JOB, folder)
    results: list[Result] = []
    assert wait_until(lambda: bool(results.extend(executor.poll()) or results))
    return results[0]


def environment(folder: Path, name: str) -> str | None:
    content: dict[str, str] = json.loads((folder / "environment.json").read_text())
    return content.get(name)


WRITE_ENVIRONMENT = f"""
import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[1]).parent
(folder / "environment.json").write_text(json.dumps(dict(os.environ)))
(folder / "result.json").write_text({RESULT!r})
"""


def test_threads_and_the_drivers_process_are_told(tmp_path: Path):
    with LocalExecutor(command(WRITE_ENVIRONMENT), num_slots=1, num_threads=3) as executor:
        assert run(executor, tmp_path).status is Status.FINISHED
    assert environment(tmp_path, "OMP_NUM_THREADS") == "3"
    assert environment(tmp_path, "MKL_NUM_THREADS") == "3"
    assert environment(tmp_path, "TOKENIZERS_PARALLELISM") == "false"
    assert environment(tmp_path, DRIVER_PID_VARIABLE) == str(os.getpid())
    assert environment(tmp_path, "CUDA_VISIBLE_DEVICES") == os.environ.get("CUDA_VISIBLE_DEVICES")


def test_slots_share_the_cores_and_never_get_none(tmp_path: Path):
    with LocalExecutor(command(WRITE_ENVIRONMENT), num_slots=10_000) as executor:
        run(executor, tmp_path)
    assert environment(tmp_path, "OMP_NUM_THREADS") == "1"


def test_each_slot_has_its_gpu(tmp_path: Path):
    with LocalExecutor(command(WRITE_ENVIRONMENT), num_slots=2, gpus=["4", "7"]) as executor:
        for number in range(2):
            executor.submit(JOB.model_copy(update={"number": number}), tmp_path / str(number))
        assert wait_until(lambda: all((tmp_path / str(n) / RESULT_FILE).exists() for n in range(2)))
    assert [environment(tmp_path / str(number), "CUDA_VISIBLE_DEVICES") for number in range(2)] == ["4", "7"]


@pytest.mark.parametrize(("gpus", "value"), [((), ""), (None, "5")])
def test_an_empty_list_of_gpus_hides_them_and_none_leaves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: tuple[str, ...] | None, value: str
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    made = make_executor(LocalSettings(gpus=gpus), command(WRITE_ENVIRONMENT), tmp_path, num_parallel=1, gpus=[])
    assert isinstance(made, LocalExecutor)
    with made as executor:
        run(executor, tmp_path)
    assert environment(tmp_path, "CUDA_VISIBLE_DEVICES") == value


def test_a_job_of_another_kind_of_executor_is_not_started_again(tmp_path: Path):
    (tmp_path / EXECUTOR_FILE).write_text("slurm\n")
    with LocalExecutor(command(WRITE_ENVIRONMENT), num_slots=1) as executor:
        with pytest.raises(InputError, match="got one of 'slurm'. Go on with --executor slurm, or delete"):
            executor.submit(JOB, tmp_path)
        assert not (tmp_path / JOB_FILE).exists()
        write_model(tmp_path / JOB_FILE, JOB)
        (tmp_path / RESULT_FILE).write_text(RESULT)
        assert run(executor, tmp_path).status is Status.FINISHED
    assert not (tmp_path / EXECUTOR_FILE).exists()


def test_jobs_of_this_machine_may_go_on_anywhere(tmp_path: Path):
    with LocalExecutor(command("import time; time.sleep(60)"), num_slots=1) as executor:
        executor.submit(JOB, tmp_path)
        assert not (tmp_path / EXECUTOR_FILE).exists()
        left = read_model(tmp_path / PROCESS_FILE, ProcessIdentity)
        assert left.is_alive
        end_leftover(tmp_path)
        assert wait_until(lambda: gone(left.pid))


@pytest.mark.parametrize("method", ["exists", "read_bytes"])
def test_a_hiccup_of_the_disk_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str):
    with LocalExecutor(command(WRITE_ENVIRONMENT), num_slots=1) as executor:
        executor.submit(JOB, tmp_path)
        assert wait_until((tmp_path / RESULT_FILE).exists)
        real = getattr(Path, method)
        hiccups = iter([errno.ESTALE, errno.EIO])

        def look(path: Path, *args: object, **kwargs: object) -> object:
            if path.name == RESULT_FILE and (number := next(hiccups, None)) is not None:
                raise OSError(number, os.strerror(number))
            return real(path, *args, **kwargs)

        monkeypatch.setattr(Path, method, look)
        results: list[Result] = []
        assert wait_until(lambda: bool(results.extend(executor.poll()) or results))
        assert results[0].status is Status.FINISHED
        assert next(hiccups, None) is None


def test_a_disk_that_stays_unreadable_costs_the_evaluation_and_not_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def look(path: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with LocalExecutor(command("import time; time.sleep(60)"), num_slots=1) as executor:
        executor.submit(JOB, tmp_path)
        monkeypatch.setattr("boshnas.executors.local.ended_result", lambda job, folder, returncode: look(folder))
        monkeypatch.setattr("boshnas.executors.base.MAX_UNREADABLE_S", 0.0)
        executor._running[JOB.number].process.kill()
        results: list[Result] = []
        assert wait_until(lambda: bool(results.extend(executor.poll()) or results))
        assert results[0].status is Status.CRASHED
        assert "could not be read for an hour (Input/output error)" in str(results[0].error)
        assert executor.poll() == []


def test_both_streams_go_to_the_log(tmp_path: Path):
    code = "import os; os.write(1, b'to out\\n'); os.write(2, b'to err\\n'); os._exit(5)"
    with LocalExecutor(command(code), num_slots=1) as executor:
        result = run(executor, tmp_path)
    assert (tmp_path / LOG_FILE).read_text() == "to out\nto err\n"
    assert result.error == "to err (return code 5)\nto out\nto err"


def test_the_time_limit_ends_a_worker_and_its_children(tmp_path: Path):
    with LocalExecutor(command(STUBBORN + "\ntime.sleep(60)"), num_slots=1, timeout_s=1.0, grace_s=0.5) as executor:
        result = run(executor, tmp_path)
    assert result.status is Status.TIMED_OUT
    assert "after 1 seconds, the time limit" in (result.error or "")
    assert wait_until(lambda: all(map(gone, pids(tmp_path))))


def test_a_worker_within_its_memory_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("boshnas.executors.local._MEMORY_INTERVAL_S", 0.0)
    write = f"pathlib.Path(sys.argv[1]).with_name('result.json').write_text({RESULT!r})"
    code = f"import pathlib, sys, time; time.sleep(0.3); {write}"
    with LocalExecutor(command(code), num_slots=1, memory_bytes=200_000_000) as executor:
        assert run(executor, tmp_path).status is Status.FINISHED


def test_a_worker_that_reported_and_then_hangs_has_its_result(tmp_path: Path):
    code = (
        "import pathlib, sys, time\n"
        f"pathlib.Path(sys.argv[1]).with_name('result.json').write_text({RESULT!r})\ntime.sleep(60)"
    )
    with LocalExecutor(command(code), num_slots=1, timeout_s=1.0, grace_s=0.5) as executor:
        assert run(executor, tmp_path).status is Status.FINISHED


def test_what_a_worker_leaves_behind_is_ended(tmp_path: Path):
    with LocalExecutor(command(STUBBORN + "\nos._exit(1)"), num_slots=1) as executor:
        assert run(executor, tmp_path).status is Status.CRASHED
    assert wait_until(lambda: all(map(gone, pids(tmp_path))))


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_cancel_and_close_end_a_worker_that_ignores_the_polite_signal(tmp_path: Path, how: str):
    executor = LocalExecutor(command(STUBBORN + "\ntime.sleep(60)"), num_slots=1, grace_s=0.3)
    executor.submit(JOB, tmp_path)
    running = pids(tmp_path)
    if how == "cancel":
        executor.cancel(0)
    executor.close()
    assert wait_until(lambda: all(map(gone, running)))


def test_close_lets_a_worker_end_politely(tmp_path: Path):
    code = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1]).parent
signal.signal(signal.SIGTERM, lambda *_: ((folder / "saved").touch(), sys.exit(0)))
(folder / "ready").touch()
time.sleep(60)
"""
    with LocalExecutor(command(code), num_slots=1) as executor:
        executor.submit(JOB, tmp_path)
        assert wait_until((tmp_path / "ready").exists)
    assert (tmp_path / "saved").exists()


def test_a_worker_does_not_outlive_a_killed_driver(tmp_path: Path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os, pathlib, sys, time\nfrom boshnas.executors.orphan import exit_with_driver\nexit_with_driver()\n"
        "path = pathlib.Path(sys.argv[1]).parent\n(path / 'part').write_text(f'[{os.getpid()}]')\n"
        "(path / 'part').rename(path / 'pids.json')\ntime.sleep(60)\n"
    )
    driver_code = (
        "import sys, time, pathlib\nfrom boshnas.executors import LocalExecutor\nfrom boshnas.job import Job\n"
        f"executor = LocalExecutor([sys.executable, {str(worker)!r}, {'{job}'!r}], num_slots=1)\n"
        "job = Job(number=0, id='a', architecture={}, seed=0, settings={})\n"
        f"executor.submit(job, pathlib.Path({str(tmp_path)!r}))\ntime.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", driver_code], env=environment) as driver:
        (worker_pid,) = pids(tmp_path)
        driver.send_signal(signal.SIGKILL)
    assert wait_until(lambda: gone(worker_pid), limit_s=3.0)


def test_a_worker_whose_driver_is_gone_already_ends_at_once():
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as dead:
        pass
    code = "import time; from boshnas.executors.orphan import exit_with_driver as e; e(); time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": str(ROOT), DRIVER_PID_VARIABLE: str(dead.pid)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=8).returncode == ORPHAN_EXIT_CODE


def test_a_worker_started_by_hand_is_not_watched(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(DRIVER_PID_VARIABLE, raising=False)
    before = threading.enumerate()
    exit_with_driver()
    assert threading.enumerate() == before


def test_the_result_of_another_job_is_refused(tmp_path: Path):
    write_model(tmp_path / RESULT_FILE, Result(number=1, id="arch0", status=Status.FINISHED, score=1.0))
    result = ended_result(JOB, tmp_path, 0)
    assert result.status is Status.CRASHED
    assert "number and id must be those of the job, (0, 'arch0'), got (1, 'arch0')" in (result.error or "")


def test_a_finished_result_without_a_score_is_refused(tmp_path: Path):
    write_model(tmp_path / RESULT_FILE, Result(number=0, id="arch0", status=Status.FINISHED))
    assert "score must be there if and only if" in (ended_result(JOB, tmp_path, 0).error or "")


def test_a_workers_own_account_of_its_failure_is_kept(tmp_path: Path):
    told = Result(number=0, id="arch0", status=Status.OUT_OF_MEMORY, error="CUDA out of memory")
    write_model(tmp_path / RESULT_FILE, told)
    assert ended_result(JOB, tmp_path, 1) == told


def test_only_the_end_of_a_long_log_is_told(tmp_path: Path):
    (tmp_path / LOG_FILE).write_bytes(b"\xff" + b"".join(b"line %d\n" % number for number in range(10_000)))
    lines = (ended_result(JOB, tmp_path, 1).error or "").splitlines()
    assert len(lines) == 1 + LOG_TAIL_LINES
    assert lines[-1] == "line 9999"


@pytest.mark.parametrize(
    ("returncode", "status", "words"),
    [(-11, Status.CRASHED, "SIGSEGV"), (137, Status.KILLED, "SIGKILL"), (-9, Status.KILLED, "memory")],
)
def test_signals_are_named(tmp_path: Path, returncode: int, status: Status, words: str):
    result = ended_result(JOB, tmp_path, returncode)
    assert result.status is status
    assert words in (result.error or "")


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", "The worker ended with return code 1."),
        (" \n\n", "The worker ended with return code 1."),
        ("Traceback:\n  KeyError: 'x'  \n\n", "KeyError: 'x' (return code 1)"),
        ("50 %\r100 %\rno room", "no room (return code 1)"),
        ("x" * 999, "x" * 200 + "… (return code 1)"),
    ],
)
def test_the_reason_is_what_a_worker_said_last(tmp_path: Path, log: str, line: str):
    (tmp_path / LOG_FILE).write_text(log)
    assert (ended_result(JOB, tmp_path, 1).error or "").split("\n")[0] == line


@pytest.mark.parametrize(("returncode", "status"), [(228, Status.DISK_FULL), (28, Status.CRASHED)])
def test_no_room_has_a_code_of_its_own(tmp_path: Path, returncode: int, status: Status):
    assert ended_result(JOB, tmp_path, returncode).status is status


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_slots": 0}, "num_slots must be positive, got 0"),
        ({"num_slots": 1, "timeout_s": -1.0}, "timeout_s must be positive, got -1.0"),
        ({"num_slots": 1, "num_threads": 0}, "num_threads must be positive, got 0"),
        ({"num_slots": 1, "memory_bytes": 0}, "memory_bytes must be positive, got 0"),
    ],
)
def test_refuses_wrong_numbers(arguments: dict[str, float], message: str):
    with pytest.raises(InputError, match=message):
        LocalExecutor(["true", "{job}"], **arguments)  # type: ignore[arg-type]


def test_refuses_a_command_that_is_none(tmp_path: Path):
    with pytest.raises(InputError, match="command must be a program and its arguments with {job} among them, got ''"):
        LocalExecutor([], num_slots=1)
    with (
        LocalExecutor(["/no/such/program", "{job}"], num_slots=1) as executor,
        pytest.raises(
            InputError, match="--evaluator: must begin with a program that can be started, got '/no/such/program'"
        ),
    ):
        executor.submit(JOB, tmp_path)
    assert (tmp_path / JOB_FILE).exists()


@pytest.mark.parametrize(("value", "gpus"), [("", []), ("0, 2", ["0", "2"]), ("1,-1,2", ["1"]), ("GPU-a", ["GPU-a"])])
def test_visible_gpus_are_those_of_the_environment(value: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == gpus


def test_no_driver_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []


def test_the_drivers_listing_is_read():
    listing = (
        "GPU 0: NVIDIA A100 (UUID: GPU-a)\n  MIG 1g.5gb Device 0: (UUID: MIG-1)\n"
        "  MIG 1g.5gb Device 1: (UUID: MIG-2)\nGPU 1: NVIDIA A100 (UUID: GPU-b)\n"
    )
    assert _listed(listing) == ["MIG-1", "MIG-2", "1"]


def test_a_time_limit_asks_first_so_that_the_worker_can_leave_a_checkpoint(tmp_path: Path):
    code = (
        "import pathlib, signal, sys, time\n"
        "def save(*_):\n    pathlib.Path(sys.argv[1]).with_name('saved').touch(); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, save)\ntime.sleep(60)"
    )
    with LocalExecutor(command(code), num_slots=1, timeout_s=1.0) as executor:
        result = run(executor, tmp_path)
    assert result.status is Status.TIMED_OUT
    assert (tmp_path / "saved").exists()


def test_a_worker_over_its_memory_is_ended_with_all_that_it_started(tmp_path: Path):
    child = "import time; held = bytearray(300_000_000); time.sleep(60)"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-S', '-c', {child!r}])"
    with LocalExecutor(command(code), num_slots=1, memory_bytes=200_000_000) as executor:
        result = run(executor, tmp_path)
    assert result.status is Status.OUT_OF_MEMORY
    assert "held more than 0.186 GiB, the limit" in (result.error or "")


def test_a_kill_while_memory_ran_out_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    counts = iter([4, 5])
    monkeypatch.setattr("boshnas.executors.local.num_oom_kills", lambda: next(counts))
    with LocalExecutor(command("import os; os.kill(os.getpid(), 9)"), num_slots=1) as executor:
        result = run(executor, tmp_path)
    assert result.status is Status.OUT_OF_MEMORY


@pytest.mark.parametrize("text", ["low 0\noom 3\noom_kill 2\n", "oom_kill 2"])
def test_oom_kills_are_counted_in_the_own_group_first(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "memory.events").write_text(text)
    (tmp_path / "cgroup").write_text("0::/own\n")
    (tmp_path / "vmstat").write_text("oom_kill 70\n")
    monkeypatch.setattr("boshnas.executors.memory._OWN_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr("boshnas.executors.memory._GROUPS", tmp_path)
    monkeypatch.setattr("boshnas.executors.memory._MACHINE", tmp_path / "vmstat")
    assert num_oom_kills() == 2
    (tmp_path / "own" / "memory.events").unlink()
    assert num_oom_kills() == 70
    (tmp_path / "vmstat").unlink()
    assert num_oom_kills() == 0


def test_a_worker_left_by_a_killed_search_is_ended_before_the_job_starts_again(tmp_path: Path):
    left = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], start_new_session=True)
    write_model(tmp_path / PROCESS_FILE, ProcessIdentity.of(left.pid))
    with LocalExecutor(command("raise SystemExit(3)"), num_slots=1) as executor:
        assert run(executor, tmp_path).status is Status.CRASHED
    assert left.poll() is not None


def test_another_process_that_has_the_id_now_is_left_alone(tmp_path: Path):
    other = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], start_new_session=True)
    identity = ProcessIdentity.of(other.pid)
    try:
        for changed in ({"begun": identity.begun - 5}, {"boot": "another"}, {"host": "another"}):
            write_model(tmp_path / PROCESS_FILE, identity.model_copy(update=changed))
            with LocalExecutor(command(""), num_slots=1) as executor:
                run(executor, tmp_path)
            assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_jump_of_the_date_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with LocalExecutor(command(WRITE_ENVIRONMENT), num_slots=1, timeout_s=30.0) as executor:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 400 * 86_400)
        assert run(executor, tmp_path).status is Status.FINISHED
