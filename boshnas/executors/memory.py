"""Memory of processes of this machine."""

import re
from pathlib import Path

import psutil

_OWN_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
_MACHINE = Path("/proc/vmstat")
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def process_bytes(pid: int) -> int:
    """Resident memory of its own of a process and all that it started; 0 where it is gone."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(map(_resident, family))


def num_oom_kills() -> int:
    """How many processes the kernel has killed so far as memory ran out: in this container, or else on the machine."""
    for path in (_own_events(), _MACHINE):
        try:
            found = _COUNT.search(path.read_text())
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def _own_events() -> Path:
    try:
        name = _OWN_GROUP.read_text().rpartition("::")[2].strip()
    except OSError:
        name = "/"
    return _GROUPS / name.lstrip("/") / "memory.events"


def _resident(process: psutil.Process) -> int:
    try:
        info = process.memory_info()
        return int(info.rss - getattr(info, "shared", 0))  # pages of files, that processes have in common
    except psutil.Error:
        return 0
