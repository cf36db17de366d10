"""The SLURM executor without SLURM: its commands are stand-ins that say what a test wants."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from boshnas.errors import InputError
from boshnas.executors import SlurmExecutor, SlurmSettings
from boshnas.executors.outcome import LOG_FILE
from boshnas.executors.slurm import commands
from boshnas.executors.slurm.queue import Queue
from boshnas.executors.slurm.run import ID_FILE, SlurmRun, batches
from boshnas.executors.slurm.script import name_prefix
from boshnas.executors.slurm.settings import time_seconds
from boshnas.executors.slurm.states import Entry, returncode
from boshnas.job import RESULT_FILE, STARTED_FILE, Job, Result, write_model
from boshnas.trial import Status

PROGRAMS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo")
QUICK = SlurmSettings(poll_seconds=1e-9, grace_seconds=0.0)


class Fake:
    """Stand-ins for SLURM's commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in PROGRAMS:
            path = folder / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                f"#!/bin/sh\ncd {folder}\nprintf '%s\\n' \"$*\" >>{name}.log\ncat {name}.err >&2\ncat {name}.out\n"
                f"[ ! -s {name}.err ]\n"
            )
            path.chmod(0o755)
            self.say(name)
        self.say("sbatch", "12")
        self.say("sinfo", "main*|1-00:00:00\ncheap|infinite\n")
        self.say("scontrol", "MaxArraySize            = 1001\nAccountingStorageType   = accounting_storage/none\n")

    def say(self, name: str, output: str = "", error: str = "") -> None:
        (self.folder / f"{name}.out").write_text(output)
        (self.folder / f"{name}.err").write_text(error)

    def asked(self, name: str) -> list[str]:
        log = self.folder / f"{name}.log"
        return log.read_text().splitlines() if log.exists() else []

    def queue(self, *lines: str) -> None:
        """`ID|STATE|REASON|CODE`, each followed by the name of the first job of the run."""
        prefix = name_prefix(self.folder)
        self.say("squeue", "".join(f"{line}|{prefix}{0}-1\n" for line in lines))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return fake


@pytest.fixture
def executor(fake: Fake) -> Iterator[SlurmExecutor]:
    with SlurmExecutor(["true", "{job}"], QUICK, fake.folder) as executor:
        yield executor
        fake.queue()


def make_job(number: int = 0, attempt: int = 1) -> Job:
    return Job(number=number, id=f"arch{number}", attempt=attempt, architecture={}, seed=0, settings={})


def submit(executor: SlurmExecutor, fake: Fake) -> Path:
    """The folder of a job that sbatch has taken as job 12."""
    executor.submit(make_job(), fake.folder / "0")
    assert executor.poll() == []
    return fake.folder / "0"


def outcome(executor: SlurmExecutor, num_polls: int = 20) -> Result:
    for _ in range(num_polls):
        if results := executor.poll():
            return results[0]
    raise AssertionError("no result")


# States


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("TIMEOUT", Status.TIMED_OUT),
        ("DEADLINE", Status.TIMED_OUT),
        ("OUT_OF_MEMORY", Status.OUT_OF_MEMORY),
        ("NODE_FAIL", Status.NODE_FAILED),
        ("BOOT_FAIL", Status.NODE_FAILED),
        ("PREEMPTED", Status.PREEMPTED),
        ("CANCELLED", Status.CANCELLED),
        ("REVOKED", Status.CANCELLED),
    ],
)
def test_every_end_has_its_status(fake: Fake, executor: SlurmExecutor, state: str, status: Status):
    submit(executor, fake)
    (fake.folder / "0" / LOG_FILE).write_text("last words\n")
    fake.queue(f"12|{state}|None|9")
    result = outcome(executor)
    assert (result.status, result.score) == (status, None)
    assert re.fullmatch(rf"SLURM job 12: .+ \({state}, reason None\)\.\nlast words", result.error or "")


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("12|COMPLETED|None|0", Status.CRASHED, "left no result.json"),
        ("12|FAILED|NonZeroExitCode|256", Status.CRASHED, "return code 1"),
        ("12|FAILED|NonZeroExitCode|1:0", Status.CRASHED, "return code 1"),
        ("12|FAILED|NonZeroExitCode|512", Status.BAD_INPUT, "return code 2"),
        ("12|FAILED|None|9", Status.KILLED, "SIGKILL"),
        ("12|FAILED|None|0:9", Status.KILLED, "SIGKILL"),
    ],
)
def test_the_exit_code_says_more_where_there_is_one(
    fake: Fake, executor: SlurmExecutor, line: str, status: Status, words: str
):
    submit(executor, fake)
    (fake.folder / "0" / LOG_FILE).touch()
    fake.queue(line)
    result = outcome(executor)
    assert result.status is status
    assert words in (result.error or "")


def test_a_job_without_a_log_never_began(fake: Fake, executor: SlurmExecutor):
    submit(executor, fake)
    fake.queue("12|FAILED|None|256")
    result = outcome(executor)
    assert result.status is Status.NODE_FAILED
    assert f"does not see {fake.folder / '0'}" in (result.error or "")


@pytest.mark.parametrize(("has_started", "status"), [(True, Status.KILLED), (False, Status.CANCELLED)])
def test_a_job_that_slurm_no_longer_knows(fake: Fake, executor: SlurmExecutor, has_started: bool, status: Status):
    submit(executor, fake)
    fake.queue("12|RUNNING|None|0" if has_started else "12|PENDING|Priority|0")
    assert executor.poll() == []
    assert (fake.folder / "0" / STARTED_FILE).exists() is has_started
    fake.queue()
    assert outcome(executor).status is status


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "NODE_FAIL", "CANCELLED"])
def test_a_whole_result_counts_whatever_slurm_says(fake: Fake, executor: SlurmExecutor, state: str):
    submit(executor, fake)
    fake.queue(f"12|{state}|None|0")
    result = Result(number=0, id="arch0", status=Status.FINISHED, score=1.0)
    write_model(fake.folder / "0" / RESULT_FILE, result)
    assert outcome(executor) == result
    fake.queue()


def test_a_result_that_is_being_written_is_waited_for(fake: Fake, executor: SlurmExecutor):
    submit(executor, fake)
    fake.queue("12|RUNNING|None|0")
    path = fake.folder / "0" / RESULT_FILE
    path.write_text('{"number": 0, "id": "ar')
    assert [executor.poll() for _ in range(3)] == [[], [], []]
    path.write_text('{"number": 0, "id": "arch0", "status": "finished", "score": 1.0}')
    assert outcome(executor).score == 1.0


def test_a_hiccup_of_the_disk_is_no_end(fake: Fake, executor: SlurmExecutor, monkeypatch: pytest.MonkeyPatch):
    submit(executor, fake)
    fake.queue("12|RUNNING|None|0")
    real = Path.exists

    def exists(path: Path) -> bool:
        if path.name == RESULT_FILE:
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", exists)
        assert executor.poll() == []
    result = Result(number=0, id="arch0", status=Status.FINISHED, score=1.0)
    write_model(fake.folder / "0" / RESULT_FILE, result)
    assert outcome(executor) == result
    fake.queue()


def test_a_result_may_come_late(fake: Fake):
    settings = QUICK.model_copy(update={"grace_seconds": 60.0})
    with SlurmExecutor(["true", "{job}"], settings, fake.folder) as executor:
        submit(executor, fake)
        fake.queue("12|COMPLETED|None|0")
        assert [executor.poll() for _ in range(5)] == [[]] * 5
        fake.queue()  # by now SLURM has forgotten it
        assert [executor.poll() for _ in range(5)] == [[]] * 5
        result = Result(number=0, id="arch0", status=Status.FINISHED, score=1.0)
        write_model(fake.folder / "0" / RESULT_FILE, result)
        assert outcome(executor) == result


def test_a_job_that_slurm_begins_anew_within_the_grace_has_not_failed(fake: Fake, monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr("boshnas.executors.slurm.executor.time", SimpleNamespace(monotonic=lambda: now[0]))
    settings = QUICK.model_copy(update={"grace_seconds": 60.0})
    with SlurmExecutor(["true", "{job}"], settings, fake.folder) as executor:
        submit(executor, fake)
        for state in ("NODE_FAIL", "PENDING", "NODE_FAIL"):
            now[0] += 50.0
            fake.queue(f"12|{state}|None|0")
            assert executor.poll() == []
        now[0] += 60.0
        assert outcome(executor, num_polls=1).status is Status.NODE_FAILED


def test_a_deleted_job_folder_is_no_end_of_the_search(fake: Fake, executor: SlurmExecutor):
    submit(executor, fake)
    fake.queue("12|RUNNING|None|0")
    executor.poll()
    (fake.folder / "0").rename(fake.folder / "gone")
    executor.poll()
    fake.queue("12|PENDING|None|0")
    executor.poll()
    fake.queue("12|FAILED|None|256")
    assert outcome(executor).status is Status.NODE_FAILED


def test_a_job_that_is_put_back_into_the_queue_has_not_started(fake: Fake, executor: SlurmExecutor):
    submit(executor, fake)
    started = fake.folder / "0" / STARTED_FILE
    for state, expected in [("PENDING", False), ("RUNNING", True), ("REQUEUED", True), ("PENDING", False)]:
        fake.queue(f"12|{state}|None|0")
        assert executor.poll() == []
        assert started.exists() is expected


def test_a_job_whose_node_cannot_start_it_is_ended(fake: Fake, executor: SlurmExecutor):
    submit(executor, fake)
    fake.queue("12|PENDING|launch_failed_requeued_held|0")
    assert outcome(executor).status is Status.NODE_FAILED
    executor.poll()
    fake.queue()
    assert fake.asked("scancel") == ["--quiet 12"]


@pytest.mark.parametrize(
    "reason", ["ReqNodeNotAvail", "Priority", "AssocGrpGRES", "QOSMaxJobsPerUserLimit", "NodeDown"]
)
def test_what_may_pass_is_waited_for(fake: Fake, executor: SlurmExecutor, reason: str):
    submit(executor, fake)
    fake.queue(f"12|PENDING|{reason}|0")
    assert [executor.poll() for _ in range(5)] == [[]] * 5


@pytest.mark.parametrize(
    "reason", ["BadConstraints", "InvalidAccount", "InvalidQOS", "AssocMaxCpuPerJobLimit", "QOSMaxGRESPerJob"]
)
def test_what_never_passes_is_refused(fake: Fake, executor: SlurmExecutor, reason: str):
    submit(executor, fake)
    fake.queue(f"12|PENDING|{reason}|0")
    assert executor.poll() == []  # it may have been a moment's
    with pytest.raises(InputError, match=f"one that the cluster can run, got SLURM's reason '{reason}'"):
        executor.poll()
    fake.queue()


@pytest.mark.parametrize(
    ("text", "code"), [("0:0", 0), ("0", 0), ("256", 1), ("1:0", 1), ("0:15", -15), ("15", -15), ("139", -11)]
)
def test_exit_codes_are_read_in_both_forms(text: str, code: int):
    assert returncode(text) == code


# Commands


def test_squeues_lines_are_read(fake: Fake):
    fake.say(
        "squeue",
        "CLUSTER: one\n"
        "12_3|RUNNING|None|0|boshnas-abc-40-2\n13|FAILED|NonZeroExitCode|256|boshnas-abc-7-1\n"
        "14|RUNNING|None|0|boshnas-abd-7-1\n15|RUNNING|None|0|bash\n16_[4-9]|PENDING|None|0|boshnas-abc-7-1\n"
        "17|PENDING|None|0|boshnas-abc-7-x\n18|PENDING|a|b|c|boshnas-abc-7-1\n",
    )
    assert commands.squeue("boshnas-abc-") == {
        "12_3": Entry(id="12_3", number=43, attempt=2, state="RUNNING", reason="None", returncode=0),
        "13": Entry(id="13", number=7, attempt=1, state="FAILED", reason="NonZeroExitCode", returncode=1),
    }


def test_saccts_lines_are_read(fake: Fake):
    fake.say("sacct", "12|CANCELLED by 1000|0:15\n13_2|FAILED|3:0\n14|RUNNING|0:0\n")
    assert commands.sacct(["12", "13_2", "14"]) == {"12": ("CANCELLED", -15), "13_2": ("FAILED", 3)}
    assert fake.asked("sacct")[0].startswith("--jobs=12,13_2,14 ")


def test_the_accounting_is_asked_for_jobs_that_left_the_queue(fake: Fake):
    fake.say("scontrol", "MaxArraySize = 1001\nAccountingStorageType = accounting_storage/slurmdbd\n")
    with SlurmExecutor(["true", "{job}"], QUICK, fake.folder) as executor:
        submit(executor, fake)
        fake.queue("12|RUNNING|None|0")
        executor.poll()
        assert fake.asked("sacct") == []
        fake.queue()
        fake.say("sacct", "12|OUT_OF_MEMORY|0:125\n")
        assert outcome(executor).status is Status.OUT_OF_MEMORY


def test_a_silent_controller_is_told_once_and_no_failure(
    fake: Fake, executor: SlurmExecutor, caplog: pytest.LogCaptureFixture
):
    submit(executor, fake)
    fake.queue("12|RUNNING|None|0")
    executor.poll()
    fake.say("squeue", error="slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    assert [executor.poll() for _ in range(5)] == [[]] * 5
    assert len(fake.asked("squeue")) >= 6
    assert caplog.text.count("SLURM does not answer") == 1
    fake.queue("12|TIMEOUT|TimeLimit|15")
    assert outcome(executor).status is Status.TIMED_OUT


def test_nobody_is_asked_twice_within_the_interval_which_grows_to_a_minute(fake: Fake, monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("boshnas.executors.slurm.queue.time", SimpleNamespace(monotonic=lambda: now[0]))
    queue = Queue(name_prefix(fake.folder), 10.0)
    asked: list[float] = []

    def pass_time(seconds: int) -> None:
        for _ in range(seconds):
            if queue.refresh():
                asked.append(now[0])
            now[0] += 1.0

    pass_time(300)
    gaps = [after - before for before, after in zip(asked, asked[1:], strict=False)]
    assert gaps[:3] == [15.0, 23.0, 34.0]
    assert max(gaps) == gaps[-1] == 60.0
    fake.queue("12|RUNNING|None|0")
    asked.clear()
    pass_time(100)
    assert asked[1] - asked[0] == 10.0
    asked.clear()
    queue.hurry()
    pass_time(10)
    assert len(asked) == 1


# Submission


def test_what_sbatch_is_told(fake: Fake):
    settings = QUICK.model_copy(update={"gres": "gpu:1", "time": "1:00:00", "extra": ["--comment=mine"]})
    with SlurmExecutor(["true", "{job}"], settings, fake.folder) as executor:
        executor.submit(make_job(4, attempt=3), fake.folder / "4")
        executor.poll()
    (words,) = fake.asked("sbatch")
    assert words == (
        f"--parsable --job-name={name_prefix(fake.folder)}4-3 --export=ALL --output=/dev/null --requeue --gres=gpu:1 "
        "--time=1:00:00 --comment=mine"
    )
    assert (fake.folder / "4" / ID_FILE).read_text() == "12\n"


def test_arrays_stay_below_the_clusters_size_and_are_of_one_attempt():
    runs = [
        SlurmRun(job=make_job(number, attempt), folder=Path())
        for number, attempt in [(7, 1), (0, 1), (9, 2), (1001, 1), (1000, 1), (8, 2)]
    ]
    found = [[(run.job.number, run.job.attempt) for run in batch] for batch in batches(runs, 1001)]
    assert found == [[(0, 1), (7, 1), (1000, 1)], [(1001, 1)], [(8, 2), (9, 2)]]
    assert [len(batch) for batch in batches(runs, 1)] == [1] * 6


def test_a_limit_on_waiting_jobs_passes(fake: Fake, executor: SlurmExecutor, caplog: pytest.LogCaptureFixture):
    fake.say("sbatch", error="sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed")
    executor.submit(make_job(), fake.folder / "0")
    for _ in range(5):
        assert executor.poll() == []
    assert caplog.text.count("SLURM takes no job now") == 1
    fake.say("sbatch", "13;cluster")
    executor.poll()
    fake.queue("13|CANCELLED|None|0")
    assert "SLURM job 13: " in (outcome(executor).error or "")


def test_what_sbatch_took_without_telling_is_ended_with_the_search(fake: Fake):
    with SlurmExecutor(["true", "{job}"], QUICK, fake.folder) as executor:
        fake.say("sbatch", error="sbatch: error: Socket timed out on send/recv operation")
        executor.submit(make_job(), fake.folder / "0")
        executor.poll()
        fake.queue("12|RUNNING|None|0")
        (fake.folder / "bin" / "scancel").write_text(
            f"#!/bin/sh\ncd {fake.folder}\necho $* >scancel.log; : >squeue.out\n"
        )
    assert fake.asked("scancel") == ["--quiet 12"]


def test_a_job_cancelled_before_it_is_sent_is_never_sent(fake: Fake, executor: SlurmExecutor):
    executor.cancel(executor.submit(make_job(), fake.folder / "0"))
    assert executor.poll() == []
    assert fake.asked("sbatch") == fake.asked("scancel") == []


# Refusals


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"partitoin": "main"}, "Extra inputs are not permitted"),
        ({"partition": ""}, "at least 1 character"),
        ({"time": 5400}, "must stand in quotes"),
        ({"time": "two days"}, "as SLURM writes it"),
        ({"time": "0"}, "more than nothing"),
        ({"mem": "64 GB"}, "with K, M, G or T, .* for example 64G"),
        ({"cpus_per_task": 0}, "greater than 0"),
        ({"max_in_flight": 0}, "greater than 0"),
        ({"poll_seconds": 0}, "greater than 0"),
        ({"grace_seconds": -1}, "greater than or equal to 0"),
        ({"extra": ["script.sh"]}, "must be --name or --name=value"),
        ({"extra": ["-p", "gpu"]}, "must be --name or --name=value"),
        ({"extra": ["--partition=gpu"]}, "has a key of its own, partition"),
        ({"extra": ["--cpus=4"]}, "has a key of its own, cpus_per_task"),
        ({"extra": ["--array=0-3"]}, "is for the executor to say"),
        ({"extra": ["--job=mine"]}, "is for the executor to say"),
    ],
)
def test_refuses_settings(settings: dict[str, object], words: str):
    with pytest.raises(ValidationError, match=words):
        SlurmSettings.model_validate(settings)


def test_names_that_begin_like_others_are_free():
    words = ["--mem-per-gpu=8G", "--time-min=10", "--exclusive", "--wait-all-nodes=1", "--nodes=1", "--comment=a b"]
    assert SlurmSettings(extra=words, requeue=False).words() == ["--no-requeue", *words]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 5400), ("1:30", 90), ("1:00:00", 3600), ("2-12", 216_000), ("1-0:30", 88_200), ("1-00:00:01", 86_401)],
)
def test_times_are_read_in_all_forms(text: str, seconds: float):
    assert time_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "1:2:3:4", "-5", "1.5", "1h", "1-"])
def test_refuses_other_times(text: str):
    with pytest.raises(ValueError, match="must be as SLURM writes it"):
        time_seconds(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"partition": "gpu"}, "partition must be one of the cluster's, got 'gpu'. Choose of: cheap, main."),
        ({"time": "1-00:00:01"}, "time must be at most 1-00:00:00, the limit of partition main, got '1-00:00:01'"),
        ({"time": "2-00:00:00", "partition": "main"}, "time must be at most"),
    ],
)
def test_refuses_what_the_cluster_has_not(fake: Fake, settings: dict[str, str], message: str):
    with pytest.raises(InputError, match=re.escape(message)):
        SlurmExecutor(["true", "{job}"], QUICK.model_copy(update=settings), fake.folder)


@pytest.mark.parametrize(
    "settings", [{"partition": "cheap", "time": "9-0"}, {"partition": "main,cheap", "time": "9-0"}, {"qos": "long"}]
)
def test_a_time_within_any_of_the_limits_is_taken(fake: Fake, settings: dict[str, str]):
    SlurmExecutor(["true", "{job}"], QUICK.model_copy(update={"time": "2-0"} | settings), fake.folder).close()


def test_refuses_no_partition_where_there_is_no_default(fake: Fake):
    fake.say("sinfo", "main|infinite\n")
    with pytest.raises(InputError, match="partition must be given, .* Choose of: main"):
        SlurmExecutor(["true", "{job}"], QUICK, fake.folder)


def test_refuses_a_machine_without_slurm(fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="sbatch must be on PATH, got none"):
        SlurmExecutor(["true", "{job}"], QUICK, tmp_path)


@pytest.mark.parametrize(
    "message",
    ["Required partition not available (inactive or drain)", "Required node not available", "I/O error writing script"],
)
def test_a_refusal_after_a_job_was_taken_is_waited_for(
    fake: Fake, executor: SlurmExecutor, caplog: pytest.LogCaptureFixture, message: str
):
    submit(executor, fake)
    fake.queue("12|PENDING|Priority|0")
    fake.say("sbatch", error=f"sbatch: error: Batch job submission failed: {message}")
    executor.submit(make_job(1), fake.folder / "1")
    for _ in range(5):
        assert executor.poll() == []
    assert caplog.text.count("SLURM takes no job now") == 1
    fake.say("sbatch", "13")
    executor.poll()
    assert (fake.folder / "1" / ID_FILE).read_text() == "13\n"
    fake.queue()


def test_refuses_what_sbatch_refuses(fake: Fake, executor: SlurmExecutor):
    fake.say("sbatch", error="sbatch: error: invalid account\nsbatch: error: Batch job submission failed")
    executor.submit(make_job(), fake.folder / "0")
    with pytest.raises(InputError, match="got 'sbatch: error: invalid account sbatch: error: Batch") as caught:
        executor.poll()
    assert "\n" not in str(caught.value)


def test_a_terminals_ctrl_c_does_not_reach_slurms_commands():
    told = commands._run([sys.executable, "-S", "-c", "import os; print(os.getsid(0))"])
    assert int(told) != os.getsid(0)
