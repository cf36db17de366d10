import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from boshnas.errors import InputError
from boshnas.executors import run_lock
from boshnas.executors.identity import ProcessIdentity
from boshnas.executors.lock import HELD_FILE, LOCK_FILE, STALE_SECONDS
from boshnas.job import read_model, write_model

ROOT = Path(__file__).parents[2]


def test_a_second_search_is_refused_by_host_and_process(tmp_path: Path):
    holder = re.escape(f"process {os.getpid()} on host {socket.gethostname()}")
    message = f"one search at a time, got one that {holder} holds"
    with run_lock(tmp_path), pytest.raises(InputError, match=message), run_lock(tmp_path):
        pass


def test_the_lock_is_free_again_afterwards_even_after_an_error(tmp_path: Path):
    with pytest.raises(KeyError), run_lock(tmp_path):
        raise KeyError
    with run_lock(tmp_path):
        pass


def test_a_dead_process_holds_nothing(tmp_path: Path):
    code = (
        "import pathlib, sys, time\nfrom boshnas.executors.lock import run_lock\n"
        "with run_lock(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=f"process {holder.pid} on host"), run_lock(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
    with run_lock(tmp_path):
        assert read_model(tmp_path / LOCK_FILE, ProcessIdentity) == ProcessIdentity.own()


def test_children_do_not_hold_the_lock(tmp_path: Path):
    with run_lock(tmp_path):
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(30)"], close_fds=False)
    try:
        time.sleep(0.1)
        with run_lock(tmp_path):
            assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_an_unreadable_holder_is_still_refused(tmp_path: Path):
    with run_lock(tmp_path):
        (tmp_path / LOCK_FILE).write_text("")
        with pytest.raises(InputError, match="another process holds"), run_lock(tmp_path):
            pass


def test_refuses_an_absent_folder(tmp_path: Path):
    with pytest.raises(InputError, match="run folder must exist and be writable"), run_lock(tmp_path / "absent"):
        pass


# A disk that cannot lock


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("boshnas.executors.lock.fcntl.flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_file_says_who_holds_the_folder(tmp_path: Path):
    holder = re.escape(f"process {os.getpid()} on host {socket.gethostname()}")
    with run_lock(tmp_path):
        assert read_model(tmp_path / HELD_FILE, ProcessIdentity) == ProcessIdentity.own()
        with pytest.raises(InputError, match=f"got one that {holder} holds"), run_lock(tmp_path):
            pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("change", [{"begun": 1.0}, {"boot": "of last week"}], ids=["process gone", "host rebooted"])
def test_without_locks_a_holder_that_is_gone_is_taken_over_from(
    tmp_path: Path, change: dict[str, object], caplog: pytest.LogCaptureFixture
):
    write_model(tmp_path / HELD_FILE, ProcessIdentity.own().model_copy(update=change))
    with run_lock(tmp_path):
        assert read_model(tmp_path / HELD_FILE, ProcessIdentity) == ProcessIdentity.own()
    assert "which is gone: taken over" in caplog.text


@pytest.mark.usefixtures("no_locks")
def test_without_locks_another_host_holds_the_folder_as_long_as_it_says_so(tmp_path: Path):
    path = tmp_path / HELD_FILE
    write_model(path, ProcessIdentity.own().model_copy(update={"host": "node7"}))
    with pytest.raises(InputError, match=r"process \d+ on host node7 holds"), run_lock(tmp_path):
        pass
    long_ago = path.stat().st_mtime - STALE_SECONDS - 10
    os.utime(path, (long_ago, long_ago))
    with run_lock(tmp_path):
        pass


@pytest.mark.usefixtures("no_locks")
def test_without_locks_who_takes_over_first_keeps_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / HELD_FILE
    write_model(path, ProcessIdentity.own().model_copy(update={"begun": 1.0}))
    first = ProcessIdentity.own().model_copy(update={"host": "node7"})
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", real)
        write_model(path, first)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(InputError, match="on host node7 holds"), run_lock(tmp_path):
        pass
    assert read_model(path, ProcessIdentity) == first


@pytest.mark.usefixtures("no_locks")
def test_without_locks_anothers_file_is_left_alone(tmp_path: Path):
    other = ProcessIdentity.own().model_copy(update={"host": "node7"})
    with run_lock(tmp_path):
        write_model(tmp_path / HELD_FILE, other)
    assert read_model(tmp_path / HELD_FILE, ProcessIdentity) == other


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_holder_goes_on_saying_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("boshnas.executors.lock.TOUCH_SECONDS", 0.01)
    with run_lock(tmp_path):
        os.utime(tmp_path / HELD_FILE, (1.0, 1.0))
        deadline = time.monotonic() + 5
        while (tmp_path / HELD_FILE).stat().st_mtime == 1.0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / HELD_FILE).stat().st_mtime > 1.0
