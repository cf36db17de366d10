"""What several folders of tests share."""

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import psutil
import pytest

# Its assertions tell values as those of a test file do.
pytest.register_assert_rewrite("executor_contract")


@pytest.fixture(scope="session")
def tiny_text() -> str:
    """File of a space so small that its encoders build in milliseconds: three operations, three levels."""
    return """
architecture:
  encoder_layers: [2, 4]
  hidden_size: [32, 64]
  num_heads: [2]
  operation_types: [sa, l, c]
  operation_parameters: {sa: [sdp], l: [dft], c: [5]}
  feed-forward_hidden: [64]
  number_of_feed-forward_stacks: [1, 2]
"""


def _missing(what: str) -> None:
    if os.environ.get("BOSHNAS_REQUIRE_CLUSTER") == "1":
        pytest.fail(what)
    pytest.skip(what)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """The address of a Ray cluster with four cores, a token and no GPU, which ends with the session."""
    if importlib.util.find_spec("ray") is None:
        _missing("Ray is not installed: pip install -c constraints.txt -e '.[ray]'")
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # the user's own is left alone
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    address = f"127.0.0.1:{_free_port()}"
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # sockets lie there: a longer path is refused
    options = f"--head --block --num-cpus 4 --num-gpus 0 --include-dashboard false --temp-dir {folder}".split()
    options += ["--port", address.partition(":")[2], "--object-store-memory", str(100 * 2**20)]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
    head = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not any(process.name() == "raylet" for process in psutil.Process(head.pid).children(recursive=True)):
            assert head.poll() is None, "ray start has ended"
            assert time.monotonic() < deadline, "ray start takes too long"
            time.sleep(0.1)
        yield address
    finally:
        processes = [*psutil.Process(head.pid).children(recursive=True), psutil.Process(head.pid)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)
        head.wait()
        del os.environ["RAY_AUTH_TOKEN"], os.environ["RAY_AUTH_MODE"]
        shutil.rmtree(folder, ignore_errors=True)
