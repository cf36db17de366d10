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
from boshnas.executors.lock import LOCK_FILE

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
        assert f'"pid": {os.getpid()}}}' in (tmp_path / LOCK_FILE).read_text()


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
