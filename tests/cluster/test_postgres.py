"""The store on a real PostgreSQL server: one driver, nothing lost or doubled when the server or the line goes."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from search_fakes import FakeView

from boshnas.baselines import RandomSearcher
from boshnas.errors import InputError
from boshnas.job import Job, Result
from boshnas.loop import Loop
from boshnas.plan import Plan
from boshnas.pool import Pool
from boshnas.run import main
from boshnas.source import Candidate
from boshnas.store import SCHEMA_NUMBER, Database, Store, UnavailableError
from boshnas.store.location import PostgresStudy
from boshnas.trial import Attempt, Decision, Proposal, Status, Trial

pytestmark = pytest.mark.cluster

PASSWORD = "pass {word} %41@/:#"
ENCODED = "pass%20%7Bword%7D%20%2541%40%2F%3A%23"
PROGRAMS = Path("/usr/lib/postgresql/15/bin")
SPACE = """
architecture:
  encoder_layers: [2]
  hidden_size: [32]
  num_heads: [2]
  operation_types: [sa, c]
  operation_parameters: {sa: [sdp], c: [5]}
  feed-forward_hidden: [64]
  number_of_feed-forward_stacks: [1, 2]
"""
RECIPE = """
max_steps: 2
per_device_train_batch_size: 4
max_seq_length: 16
learning_rate: 1.0e-3
warmup_steps: 1
vocab_size: 280
"""
TEXT = "\n".join(f"the {colour} cat sees a mat" for colour in ("red", "blue", "old") * 40)
CHOICES = {f"parameter_{index}": [1, 2, 3] for index in range(20)}


@dataclass
class Server:
    """A server of our own on a private port, run by an unprivileged user."""

    folder: Path
    port: int
    starting: list[threading.Thread] = field(default_factory=list)

    def control(self, *words: str) -> None:
        command = [str(PROGRAMS / "pg_ctl"), "-D", str(self.folder / "data"), "-w", *words]
        done = subprocess.run(as_postgres(command), capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.control("start", "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        self.control("stop", "-m", "immediate")

    def restart_later(self, seconds: float) -> None:
        """Stop as a crash does; be back after some time."""
        self.stop()

        def start() -> None:
            time.sleep(seconds)
            self.start()

        self.starting.append(threading.Thread(target=start))
        self.starting[-1].start()

    def end(self) -> None:
        for thread in self.starting:
            thread.join()
        with suppress(AssertionError):  # a test that failed may have left it stopped
            self.stop()
        shutil.rmtree(self.folder)

    def signal(self, number: int) -> None:
        """To the server and all its children."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def sql(self, text: str, database: str = "postgres") -> str:
        command = [str(PROGRAMS / "psql"), "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-At"]
        done = subprocess.run(
            as_postgres([*command, "-d", database, "-c", text]), capture_output=True, text=True, check=False, cwd="/"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def database(self, **changes: object) -> Database:
        given = {"host": "127.0.0.1", "port": self.port, "name": "runs", "user": "searcher", "password": PASSWORD}
        return Database(**(given | changes))  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"postgresql://searcher:{ENCODED}@127.0.0.1:{self.port}/runs"


def as_postgres(command: list[str]) -> list[str]:
    """The servers' programs refuse root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not (PROGRAMS / "initdb").exists():
        reason = f"PostgreSQL 15 is not installed in {PROGRAMS}: apt-get install -y postgresql"
        assert not os.environ.get("BOSHNAS_REQUIRE_CLUSTER"), reason
        pytest.skip(reason)
    folder = Path(subprocess.check_output(as_postgres(["mktemp", "-d"]), text=True, cwd="/").strip())
    server = Server(folder, free_port())
    initdb = [str(PROGRAMS / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "scram-sha-256"]
    initdb += ["--auth-local=trust", "--no-sync", "--locale=C.UTF-8"]
    subprocess.run(as_postgres(initdb), check=True, capture_output=True, cwd="/")
    server.start()
    try:
        server.sql(f"CREATE ROLE searcher LOGIN PASSWORD '{PASSWORD}'")
        server.sql("CREATE DATABASE runs OWNER searcher")
        yield server
    finally:
        server.end()


@pytest.fixture
def study(server: Server, request: pytest.FixtureRequest) -> PostgresStudy:
    return PostgresStudy(server.database(), f"{request.node.name[:60]} {time.time_ns()}")


@dataclass
class Told:
    """Keeps what the user is told."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def store(study: PostgresStudy, told: Told) -> Iterator[Store]:
    with Store.create(study, {"seed": 1}, CHOICES, on_wait=told) as store:
        yield store


def trial_of(number: int) -> Trial:
    return Trial(
        number=number,
        proposal=Proposal(id=f"arch{number}", decision=Decision.OPTIMISE, mean=0.1 + 0.2, epistemic_std=1e-17),
        level=1,
        architecture={"name": "ä\0", "h": [1, 2]},
        parameters=dict.fromkeys(CHOICES, 2),
        seed=2**40,
    )


def result_of(number: int) -> Result:
    return Result(number=number, id=f"arch{number}", status=Status.FINISHED, score=number / 3, details={"text": "\0"})


def evaluate(store: Store, number: int) -> None:
    store.add(trial_of(number))
    store.finish(result_of(number))


def stored(study: PostgresStudy) -> list[Trial]:
    with Store.open(study, read_only=True) as store:
        return store.trials()


# What is kept


def test_trials_come_back_exactly(study: PostgresStudy, store: Store):
    store.add(trial_of(0))
    attempted = store.add_attempt(0, Attempt(status=Status.OUT_OF_MEMORY, error="one\ntwo"))
    assert stored(study) == [attempted]
    store.finish(result_of(0))
    store.add(trial_of(1))
    failed = store.finish(Result(number=1, id="arch1", status=Status.DIVERGED, error="nan"))
    store.add(trial_of(2))
    assert store.trials()[0].score == 0.0
    assert store.trials()[1:] == [failed, trial_of(2)]
    assert stored(study) == store.trials()
    store.close()
    with Store.open(study) as again:
        assert again.trials() == store.trials()
        assert again.identity == {"seed": 1}
        again.finish(result_of(2))
    assert [trial.status.value for trial in stored(study)] == ["finished", "diverged", "finished"]


def test_plain_optuna_reads_the_study(server: Server, study: PostgresStudy, store: Store):
    for number in range(3):
        evaluate(store, number)
    url = server.url.replace("postgresql://", "postgresql+psycopg://").replace("%7B", "{{").replace("%7D", "}}")
    read = optuna.load_study(study_name=study.name, storage=url)
    assert read.best_trial.number == 2
    assert read.best_params == dict.fromkeys(CHOICES, 2)
    assert read.trials[1].user_attrs["architecture_id"] == "arch1"
    assert 0 <= read.trials[1].duration.total_seconds() < 60
    assert read.user_attrs["schema_number"] == SCHEMA_NUMBER


def test_runs_that_start_together_share_a_new_database(server: Server):
    server.sql("CREATE DATABASE together OWNER searcher")
    database = server.database(name="together")

    def begin(index: int) -> None:
        with Store.create(PostgresStudy(database, f"run {index}"), {"seed": index}, CHOICES) as store:
            evaluate(store, 0)
            evaluate(store, 1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(begin, range(4)))
    for index in range(4):
        assert [trial.number for trial in stored(PostgresStudy(database, f"run {index}"))] == [0, 1]


# One driver


def test_a_second_driver_is_refused_and_a_reader_is_not(study: PostgresStudy, store: Store):
    evaluate(store, 0)
    with pytest.raises(InputError, match=f"one search at a time, got one that process {os.getpid()} on host"):
        Store.open(study)
    assert len(stored(study)) == 1
    evaluate(store, 1)
    store.close()
    with Store.open(study) as second:
        evaluate(second, 2)
        with pytest.raises(InputError, match="one search at a time"):
            store.add(trial_of(2))
    assert len(stored(study)) == 3


def test_a_reader_changes_nothing(study: PostgresStudy, store: Store):
    store.add(trial_of(0))
    with Store.open(study, read_only=True) as reader:
        with pytest.raises(ValueError, match="must be open for writing"):
            reader.finish(result_of(0))
        with pytest.raises(UnavailableError, match="read-only"):
            reader._storage.set_trial_user_attr(reader._database_ids[0], "name", 1)
    assert stored(study) == [trial_of(0)]


def test_a_connection_that_was_cut_is_replaced_in_silence(
    server: Server, study: PostgresStudy, store: Store, told: Told
):
    evaluate(store, 0)
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'searcher'")
    evaluate(store, 1)
    assert told.lines == []
    assert [trial.number for trial in stored(study)] == [0, 1]
    with pytest.raises(InputError, match="one search at a time"):
        Store.open(study)


# The server or the line is away


def assert_waited_once(told: Told) -> None:
    assert len(told.lines) == 2, told.lines
    assert "waiting for the store: " in told.lines[0]
    assert "the store is back after " in told.lines[1]
    assert PASSWORD not in " ".join(told.lines)


def test_a_server_that_is_restarted_loses_and_doubles_nothing(
    server: Server, study: PostgresStudy, store: Store, told: Told
):
    evaluate(store, 0)
    store.add(trial_of(1))
    server.restart_later(5)
    store.finish(result_of(1))
    assert_waited_once(told)
    evaluate(store, 2)
    assert [trial.status for trial in stored(study)] == [Status.FINISHED] * 3
    assert stored(study) == store.trials()
    with pytest.raises(InputError, match="one search at a time"):
        Store.open(study)


def test_a_server_that_stays_away_is_told_and_the_run_goes_on_later(server: Server, study: PostgresStudy, told: Told):
    store = Store.create(study, {}, CHOICES, on_wait=told, max_wait_s=1)
    evaluate(store, 0)
    server.stop()
    try:
        with pytest.raises(
            UnavailableError, match=r"must come back within 1 s, got: connection .* what has finished is kept"
        ):
            store.add(trial_of(1))
        assert len(store.trials()) == 1
        store.close()
        with pytest.raises(InputError, match="must be a server that answers, got: connection failed: .*refused"):
            Store.open(study)
    finally:
        server.start()
    with Store.open(study) as again:
        evaluate(again, 1)
    assert len(stored(study)) == 2


def test_a_server_that_is_stopped_for_a_while_is_waited_for(server: Server, study: PostgresStudy, store: Store):
    evaluate(store, 0)
    server.signal(signal.SIGSTOP)
    timer = threading.Timer(5, server.signal, [signal.SIGCONT])
    timer.start()
    evaluate(store, 1)
    timer.join()
    assert [trial.number for trial in stored(study)] == [0, 1]


@dataclass
class Line:
    """Carries bytes between a driver and the server, until it is cut."""

    server_port: int
    cuts_at: bytes | None = None
    keeps_server_side: bool = False
    is_away: bool = False
    num_cuts: int = 0
    sockets: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                if self.is_away:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.server_port))
                self.sockets += [near, far]
                threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                is_last = to_server and self.cuts_at is not None and self.cuts_at in data
                if is_last:
                    self.cuts_at = None
                    self.num_cuts += 1
                    source.shutdown(socket.SHUT_RDWR)  # the answer never arrives
                target.sendall(data)
                if is_last:
                    time.sleep(0.5)
        if not (to_server and self.keeps_server_side):
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        for end in self.sockets[::2]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        for end in self.sockets:
            end.close()


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    with closing(Line(server.port)) as line:
        yield line


@pytest.fixture
def far_store(server: Server, line: Line, study: PostgresStudy, told: Told) -> Iterator[Store]:
    """A store behind the line."""
    far = replace(study, database=server.database(port=line.port))
    with Store.create(far, {}, CHOICES, on_wait=told) as store:
        yield store


@pytest.mark.parametrize("keeps_server_side", [False, True])
def test_a_line_that_is_lost_for_a_while_loses_and_doubles_nothing(
    line: Line, far_store: Store, study: PostgresStudy, told: Told, keeps_server_side: bool
):
    line.keeps_server_side = keeps_server_side  # then the lost connection holds the lock until it is ended
    evaluate(far_store, 0)
    line.is_away = True
    line.cut()

    def come_back() -> None:
        line.is_away = False

    threading.Timer(5, come_back).start()
    evaluate(far_store, 1)
    assert_waited_once(told)
    assert stored(study) == far_store.trials()


@pytest.mark.parametrize("step", ["add", "finish", "attempt"])
def test_a_commit_whose_answer_is_lost_counts_once(line: Line, far_store: Store, study: PostgresStudy, step: str):
    evaluate(far_store, 0)
    steps: dict[str, Callable[[], object]] = {
        "add": lambda: far_store.add(trial_of(1)),
        "attempt": lambda: far_store.add_attempt(1, Attempt(status=Status.CRASHED, error="bug")),
        "finish": lambda: far_store.finish(result_of(1)),
    }
    for name, do in steps.items():
        if name == step:
            line.cuts_at = b"COMMIT"
        do()
    assert line.num_cuts == 1
    evaluate(far_store, 2)
    trials = stored(study)
    assert trials == far_store.trials()
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert [len(trial.attempts) for trial in trials] == [0, 1, 0]


def test_a_driver_that_lost_its_line_stops_where_another_has_taken_over(
    line: Line, far_store: Store, study: PostgresStudy
):
    evaluate(far_store, 0)
    line.is_away = True
    line.cut()
    time.sleep(0.5)
    with Store.open(study) as second:
        evaluate(second, 1)
        line.is_away = False
        with pytest.raises(InputError, match="one search at a time"):
            far_store.add(trial_of(1))
    assert [trial.number for trial in stored(study)] == [0, 1]


@dataclass
class Executor:
    """Ends a job at the next poll; at the third poll the server goes away."""

    server: Server
    num_slots: int = 2
    num_polls: int = 0
    jobs: list[Job] = field(default_factory=list)

    def submit(self, job: Job, folder: Path) -> int:
        self.jobs.append(job)
        return job.number

    def poll(self) -> list[Result]:
        self.num_polls += 1
        if self.num_polls == 3:
            self.server.restart_later(30)
        ended, self.jobs = self.jobs, []
        return [Result(number=job.number, id=job.id, status=Status.FINISHED, score=float(job.number)) for job in ended]

    def cancel(self, handle: int) -> None: ...

    def close(self) -> None: ...


class Source:
    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def open_level(self, level: int, scores: object) -> list[str]:
        return self.ids

    def describe(self, id_: str) -> Candidate:
        return Candidate(architecture={"name": id_}, parameters={"parameter_0": 1})

    def parent(self, id_: str, trained: object) -> None:
        return None


def test_a_search_survives_a_restart_in_its_middle(
    server: Server, study: PostgresStudy, store: Store, told: Told, tmp_path: Path
):
    ids = [f"arch{row}" for row in range(12)]
    searcher = RandomSearcher(Pool(ids, np.eye(12)), None, seed=0, num_initial=2)
    plan = Plan(level_budgets=(8,), baselines=(), seed=0, settings={}, synchronous=False, deadline=None, max_failures=0)
    assert Loop(plan, store, searcher, Source(ids), Executor(server), tmp_path, FakeView()).run() is None
    assert_waited_once(told)
    trials = stored(study)
    assert trials == store.trials()
    assert [trial.number for trial in trials] == list(range(8))
    assert {trial.status for trial in trials} == {Status.FINISHED}
    assert len({trial.id for trial in trials}) == 8


# What is refused at the start


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"password": "secret-and-wrong"}, "password authentication failed"),
        ({"password": None}, "no password supplied"),
        ({"user": "nobody"}, "password authentication failed"),
        ({"name": "absent"}, 'database "absent" does not exist'),
        ({"port": 1}, "refused"),
        ({"host": "no.such.host.invalid"}, "failed to resolve host|could not translate host"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_at_once(server: Server, changes: dict[str, object], message: str):
    database = server.database(**changes)
    began = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        Store.create(PostgresStudy(database, "study"), {}, CHOICES)
    assert time.monotonic() - began < 10
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_database_without_the_study_gets_no_tables(server: Server):
    server.sql("CREATE DATABASE empty OWNER searcher")
    with pytest.raises(InputError, match="must hold the study 'mine', got one without it"):
        Store.open(PostgresStudy(server.database(name="empty"), "mine"))
    assert server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "empty") == "0"


def test_a_database_of_something_else_is_refused(server: Server):
    server.sql("CREATE DATABASE other OWNER searcher")
    server.sql("CREATE TABLE studies (name text); CREATE TABLE trials (x int); GRANT ALL ON studies TO public", "other")
    database = server.database(name="other")
    with pytest.raises(InputError, match="got one without it"):
        Store.open(PostgresStudy(database, "mine"))
    with pytest.raises(InputError, match="store must be possible to make, got: "):
        Store.create(PostgresStudy(database, "mine"), {}, CHOICES)


def test_a_role_that_may_not_make_tables_is_refused(server: Server):
    server.sql("CREATE DATABASE guarded")
    with pytest.raises(InputError, match="permission denied for schema public"):
        Store.create(PostgresStudy(server.database(name="guarded"), "mine"), {}, CHOICES)


def test_schemas_are_read_migrated_or_refused(study: PostgresStudy, store: Store, caplog: pytest.LogCaptureFixture):
    evaluate(store, 0)
    kept = store.trials()

    def set_schema(number: int) -> None:
        store._storage.set_study_user_attr(store._tables._study_id, "schema_number", number)
        store.close()

    def schema() -> object:
        return store._storage.get_study_user_attrs(store._tables._study_id)["schema_number"]

    set_schema(1)
    assert stored(study) == kept
    assert schema() == 1
    store.close()
    with Store.open(study) as again:
        assert again.trials() == kept
    assert "store of schema 1 is of schema 2 now" in caplog.text
    assert schema() == SCHEMA_NUMBER
    set_schema(SCHEMA_NUMBER + 1)
    with pytest.raises(InputError, match="schema_number of the store must be at most 2, got 3"):
        Store.open(study)


# The command


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_a_search_of_the_command_keeps_the_secret(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "run"
    words = ("boshnas.run", "--out", str(folder))
    given = {"space": ("tiny.yaml", SPACE), "recipe": ("recipe.yaml", RECIPE), "corpus": ("text.txt", TEXT)}
    small = ["--budget", "1", "--surrogate", "random", "--finetune-steps", "2", "--tasks", "sst2", "--parallel", "1"]
    for option, (name, text) in given.items():
        (tmp_path / name).write_text(text)
        small += [f"--{option}", str(tmp_path / name)]
    first = command(*words, *small, "--json", BOSHNAS_STORAGE=server.url)
    assert first.returncode == 0, first.stderr
    summary = json.loads(first.stdout.splitlines()[-1])
    assert summary["store"].startswith(f"postgresql://127.0.0.1:{server.port}/runs study boshnas-run-")
    assert not (folder / "store.db").exists()
    assert json.loads((folder / "storage.json").read_text())["user"] == "searcher"

    assert main([*words[1:], "--resume"]) == 2
    assert "whose URL must be given. Set BOSHNAS_STORAGE" in capsys.readouterr().err
    url_file = tmp_path / "url"
    url_file.write_text(server.url + "\n")
    url_file.chmod(0o600)
    again = command(*words, "--resume", "--budget", "2", "--storage", str(url_file), "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout.splitlines()[-1])["num_evaluated"] == 2
    exported = command("boshnas.export", str(folder), "--to", str(tmp_path / "model"), BOSHNAS_STORAGE=server.url)
    assert exported.returncode == 0, exported.stderr
    url_file.write_text(server.url.replace("/runs", "/postgres"))
    assert main([*words[1:], "--resume", "--storage", str(url_file)]) == 2
    refusal = capsys.readouterr().err
    assert "has its store in postgresql://127.0.0.1" in refusal

    listed = command("boshnas", "list", str(tmp_path), "--json", BOSHNAS_STORAGE=server.url)
    assert [(one["state"], one["num_finished"]) for one in json.loads(listed.stdout)["runs"]] == [("finished", 2)]
    shown = command("boshnas", "show", str(folder), "--number", "1", BOSHNAS_STORAGE=server.url)
    assert shown.returncode == 0, shown.stderr

    told = refusal + "".join(part.stdout + part.stderr for part in (first, again, exported, listed, shown))
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    kept = server.sql("SELECT string_agg(value_json, ' ') FROM study_user_attributes", "runs")
    for secret in (PASSWORD, ENCODED):
        assert secret not in told
        assert secret not in kept
        assert secret.encode() not in written


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (ENCODED, "hidden-and-wrong", "password authentication failed"),
        ("/runs", "/absent", 'database "absent" does not exist'),
        ("127.0.0.1", "127.0.0.2", "refused"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_the_command_refuses_a_database_in_one_line(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    old: str,
    new: str,
    expected: str,
    dry: tuple[str, ...],
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("BOSHNAS_STORAGE", server.url.replace(old, new))
    assert main(["--space", "flexibert_mini", "--out", str(tmp_path / "run"), *dry]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("BOSHNAS_STORAGE: ")
    assert expected in captured.err
    assert "hidden" not in captured.err + caplog.text
    assert PASSWORD not in captured.err + caplog.text
    assert "BOSHNAS_STORAGE" not in os.environ
    assert not (tmp_path / "run").exists()
