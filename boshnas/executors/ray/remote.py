"""What runs inside a Ray cluster.

It is sent there by value, so that Ray's own Python on the nodes need not find this package; all else that is sent is
plain values. The keeper is an actor that no search process owns: the tasks that it starts outlive a search that is
killed, and the resumed one finds it by its name.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

import ray

_WAIT_S = 0.2


class Order(TypedDict):
    """What a task is told.

    Attributes:
        words: The worker's command.
        folder: Of the job.
        cwd: Where the command runs, where the node has that folder.
        environment: Added to that of the Ray worker.
        pid_variable: Of the environment, for the Ray worker's process id.
        minder: Text of minder.py.
        result_file: Name, in the folder.
        started_file: Likewise.
        log_file: Likewise.
        grace_s: Between the polite and the final signal, in seconds.
    """

    words: list[str]
    folder: str
    cwd: str
    environment: dict[str, str]
    pid_variable: str
    minder: str
    result_file: str
    started_file: str
    log_file: str
    grace_s: float


def run_worker(order: Order) -> int:
    """Run the worker's command to its end; its return code, or minus the signal that ended it."""
    folder = Path(order["folder"])
    if (folder / order["result_file"]).exists():
        return 0  # Ray runs this task again, and the process before had done all but say so
    with (folder / order["log_file"]).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", order["minder"], *order["words"]],
            stdin=subprocess.PIPE,  # held open by this process, and so closed when it is killed
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=order["cwd"] if os.path.isdir(order["cwd"]) else None,
            env=os.environ | order["environment"] | {order["pid_variable"]: str(os.getpid())},
            start_new_session=True,
        )
    try:
        (folder / order["started_file"]).touch()
        return _wait(process)
    except KeyboardInterrupt:  # how Ray cancels politely
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(order["grace_s"])
        raise
    finally:
        _signal_group(process, signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """In short waits, between which a cancellation comes through."""
    while True:
        try:
            return process.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            continue


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # all gone


class Keeper:
    """Owns the tasks of one run, by the folder of their job."""

    def __init__(self) -> None:
        self._jobs: dict[str, str] = {}
        self._tasks: dict[str, Any] = {}

    def submit(self, job: str, order: Order, options: dict[str, Any]) -> None:
        """Start a task.

        Args:
            job: As JSON.
            order: What the task is told.
            options: Of Ray: resources, retries.
        """
        self._jobs[order["folder"]] = job
        self._tasks[order["folder"]] = ray.remote(run_worker).options(**options).remote(order)

    def jobs(self) -> dict[str, str]:
        """All that are kept, as JSON, by their folder."""
        return self._jobs

    def ended(self, forget: list[str]) -> dict[str, int | tuple[list[str], str]]:
        """What became of those that have ended, by their folder, without waiting.

        Args:
            forget: Folders whose outcome has been dealt with.

        Returns:
            A return code, or names of an exception's types, the narrowest first, and what it says.
        """
        for folder in forget:
            self._jobs.pop(folder, None)
            self._tasks.pop(folder, None)
        folders = {task: folder for folder, task in self._tasks.items()}
        if not folders:
            return {}
        done, _ = ray.wait(list(folders), num_returns=len(folders), timeout=0)
        return {folders[task]: _outcome(task) for task in done}

    def end(self, folders: list[str], is_polite: bool) -> None:
        """Cancel tasks; they end soon after."""
        for folder in folders:
            if folder in self._tasks:
                ray.cancel(self._tasks[folder], force=not is_polite)


def _outcome(task: Any) -> int | tuple[list[str], str]:
    try:
        returncode: int = ray.get(task)
        return returncode
    except Exception as error:
        said = str(getattr(error, "cause", None) or error).strip() or type(error).__name__
        return [kind.__name__ for kind in type(error).__mro__], said.splitlines()[0]
