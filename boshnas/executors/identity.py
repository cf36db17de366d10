"""Which process it is: an id is used again after a process has gone, and after a reboot."""

import os
import socket
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ProcessIdentity(BaseModel):
    """A process, on whatever host, for as long as that is not booted again.

    Attributes:
        host: Its name.
        pid: Process id.
        boot: Of the host, since it was started; empty where it does not say.
        begun: When the process began, by a clock that only goes forward; 0 where it was gone already.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    pid: int
    boot: str
    begun: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process of this host that has an id now."""
        return cls(host=socket.gethostname(), pid=pid, boot=_boot(), begun=_begun(pid))

    @classmethod
    def own(cls) -> Self:
        """This process."""
        return cls.of(os.getpid())

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this host: only then can it be asked for."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; False also for one of another host."""
        return self.is_here and self.begun > 0 and self == self.of(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on host {self.host}"


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _begun(pid: int) -> float:
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return 0.0
        # In ticks since the boot: psutil's own figure moves with the date.
        return float(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except FileNotFoundError:
        return _created(pid)
    except (psutil.Error, OSError):
        return 0.0


def _created(pid: int) -> float:
    """Where there is no /proc."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0
