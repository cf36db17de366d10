"""The GPUs at hand, found without importing torch (seconds, and a CUDA context in the search process)."""

import os
import re
import subprocess

_QUERY_TIMEOUT_S = 30
_LINE = re.compile(r"^(?P<indent>\s*)(?:GPU (?P<index>\d+):|MIG ).*\(UUID: (?P<uuid>[^)]+)\)")


def visible_gpus() -> list[str]:
    """Return the GPUs this process may use, each as a value for CUDA_VISIBLE_DEVICES.

    CUDA_VISIBLE_DEVICES decides where it is set (empty: none); otherwise `nvidia-smi -L` is asked. A GPU cut into MIG
    instances is told by their UUIDs. Empty where there is neither.
    """
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    if value is not None:
        return _named(value)
    try:
        listing = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_QUERY_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return _listed(listing)


def _named(value: str) -> list[str]:
    """As CUDA reads it: what follows a negative number does not count."""
    gpus: list[str] = []
    for name in (part.strip() for part in value.split(",")):
        if not name or name.startswith("-"):
            break
        gpus.append(name)
    return gpus


def _listed(listing: str) -> list[str]:
    gpus: list[str] = []
    whole: str | None = None  # the GPU whose MIG instances may follow
    for match in filter(None, map(_LINE.match, listing.splitlines())):
        if match["index"] is not None:
            whole = match["index"]
            gpus.append(whole)
        else:
            if gpus and gpus[-1] == whole:
                gpus.pop()
            gpus.append(match["uuid"])
    return gpus
