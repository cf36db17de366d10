"""The most memory that a piece of work takes."""

from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


class PeakMemory:
    """Measures from the moment when it is made.

    Args:
        device: A GPU's own allocator counts; else the resident set of the process, where it is Linux's.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before: int | None = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
        else:
            self._before = _resident("VmRSS") if _reset() else None

    def num_bytes(self) -> int | None:
        """The greatest value since then above what there was; None where the system does not tell."""
        if self._before is None:
            return None
        is_cuda = self._device.type == "cuda"
        most = torch.cuda.max_memory_allocated(self._device) if is_cuda else _resident("VmHWM")
        return max(0, most - self._before)


def _reset() -> bool:
    """Forget the greatest resident set; whether that could be done."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _resident(name: str) -> int:
    """A field of the process's status in bytes; it is given in KiB."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
