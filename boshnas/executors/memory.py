"""How much memory the processes of a session take."""

import os
from collections.abc import Collection
from pathlib import Path

PROC = Path("/proc")
# In /proc/PID/stat, counted after the name, which may hold anything in its brackets.
_SESSION_FIELD = 3


def session_bytes(sessions: Collection[int]) -> dict[int, int]:
    """Memory of all processes of some sessions; what they share with others counts nowhere.

    Args:
        sessions: Process ids of their leaders.

    Returns:
        Bytes in main memory, by session; empty where there is no /proc.
    """
    page = os.sysconf("SC_PAGE_SIZE")
    sums: dict[int, int] = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            session = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[_SESSION_FIELD])
            if session in sessions:
                _, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
                sums[session] = sums.get(session, 0) + (resident - shared) * page
        except (OSError, ValueError, IndexError):
            continue  # it has just ended
    return sums
