"""A command in a pseudo-terminal, as a person sees and stops it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

LIMIT_S = 120.0
_STEERING = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class Terminal:
    """Runs `python -m boshnas WORDS` in a terminal of its own; what runs at the end is killed."""

    def __init__(self, cwd: Path, *words: str, columns: int = 80) -> None:
        self._written = b""
        self._code: int | None = None
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            try:
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test in the background ignores it
                signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and under nohup this
                _resize(0, columns)
                os.chdir(cwd)
                for name in ("COLUMNS", "LINES", "NO_COLOR"):
                    os.environ.pop(name, None)
                environment = os.environ | {"TERM": "xterm", "OMP_WAIT_POLICY": "PASSIVE"}
                os.execve(sys.executable, [sys.executable, "-m", "boshnas", *words], environment)
            finally:
                os._exit(127)

    @property
    def text(self) -> str:
        """All that was written, without what steers the terminal."""
        return _STEERING.sub("", self._written.decode(errors="replace")).replace("\r\n", "\n")

    def press_ctrl_c(self) -> None:
        os.write(self._terminal, b"\x03")

    def resize(self, columns: int) -> None:
        """As a window manager does; the terminal tells the command by SIGWINCH."""
        _resize(self._terminal, columns)

    def wait_for(self, found: str | Callable[[str], bool]) -> None:
        """Wait until a text was written, or a condition holds for all of it."""
        holds = found if callable(found) else lambda text: found in text
        deadline = time.monotonic() + LIMIT_S
        while not holds(self.text):
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text

    def wait(self) -> int:
        """Wait until the command ends; its exit code."""
        deadline = time.monotonic() + LIMIT_S
        while self._read():
            assert time.monotonic() < deadline, self.text
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code

    def _read(self) -> bool:
        """Read for a moment; whether the terminal is open."""
        if select.select([self._terminal], [], [], 0.1)[0]:
            try:
                new = os.read(self._terminal, 65536)
            except OSError:  # Linux says so that nobody writes any more
                return False
            self._written += new
            return bool(new)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)


def _resize(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
