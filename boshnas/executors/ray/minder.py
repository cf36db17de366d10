"""Runs a worker as a child and ends, with its whole process group, as soon as the process that started it is gone.

The text of this file is sent to a node and run there by `python -c`: it imports the standard library alone.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

EXIT_BAD_INPUT = 2


def main(words: Sequence[str]) -> int:
    """Run a command; its exit code, or the end by the signal that ended it.

    Standard input must be a pipe whose other end the caller holds and never writes to: it is at its end when the caller
    has ended, however that was.
    """
    # The polite signal is meant for the worker, of the same group. A handler, other than SIG_IGN, is not inherited.
    signal.signal(signal.SIGTERM, lambda *_: None)
    # A dying Ray worker kills its own children, this process too: the one that watches must be a child's child.
    if os.fork() == 0:
        _end_with_caller()
    try:
        worker = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    except OSError as error:
        sys.stderr.write(f"{words[0]} cannot be started on {os.uname().nodename}: {error.strerror}\n")
        return EXIT_BAD_INPUT
    returncode = worker.wait()
    return returncode if returncode >= 0 else _end_by(-returncode)


def _end_with_caller() -> NoReturn:
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)
    raise AssertionError  # not reached: this process is of that group


def _end_by(number: int) -> int:
    """End this process by a signal, so that the caller sees how the worker ended; leave no second core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # not reached: what ended the worker ends this


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
