"""The GPUs at hand, found without importing torch (seconds, and a CUDA context in the search process)."""

import os
import re
import subprocess
from collections.abc import Sequence

_QUERY_TIMEOUT_S = 30
_LINE = re.compile(r"^(?P<indent>\s*)(?:GPU (?P<index>\d+):|MIG ).*\(UUID: (?P<uuid>[^)]+)\)")


def visible_gpus() -> list[str]:
    """Return the GPUs this process may use, each as a value for CUDA_VISIBLE_DEVICES.

    CUDA_VISIBLE_DEVICES decides where it is set (empty: none); otherwise `nvidia-smi -L` is asked. A GPU cut into MIG
    instances is told by their UUIDs. Empty where there is neither.
    """
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return _named(value) if value is not None else _listed(_listing())


def absent_gpus(values: Sequence[str]) -> list[str]:
    """Those of some values for CUDA_VISIBLE_DEVICES that name a GPU which this machine does not have.

    A name is an index, or a UUID or its beginning; one that CUDA_VISIBLE_DEVICES itself holds is believed.
    """
    matches = list(filter(None, map(_LINE.match, _listing().splitlines())))
    indices = {match["index"] for match in matches} | {*_named(os.environ.get("CUDA_VISIBLE_DEVICES", ""))}
    uuids = [match["uuid"] for match in matches]

    def is_there(name: str) -> bool:
        return name in indices or (not name.isdecimal() and any(uuid.startswith(name) for uuid in uuids))

    return [value for value in values if not all(map(is_there, _named(value)))]


def _listing() -> str:
    """The GPUs as the driver lists them; empty where it does not."""
    try:
        return subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_QUERY_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


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
