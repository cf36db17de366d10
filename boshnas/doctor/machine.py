"""Python, packages, GPUs, precision, cores and memory of this machine."""

import importlib.metadata
import os
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from boshnas.doctor.checks import Check, ask, failure, ok, warning
from boshnas.version import VERSION

PACKAGE = "flexibert-boshnas"
_LITTLE_MEMORY_BYTES = 4 * 2**30
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def check_python() -> Iterator[Check]:
    """Python and the packages, against what this package asks for."""
    found = platform.python_version()
    try:
        wanted = importlib.metadata.metadata(PACKAGE)["Requires-Python"]
        requirements = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        yield warning(
            "packages",
            f"{PACKAGE} {VERSION} is not installed, Python {found} runs it from its sources",
            "Install it, that cluster nodes find it in every folder: pip install -c constraints.txt -e .",
        )
        return
    if SpecifierSet(wanted).contains(found, prereleases=True):
        yield ok("python", f"{found}, {PACKAGE} {VERSION}")
    else:
        yield failure("python", f"{found}, {wanted} is wanted", "Install such a Python and this package there.")
    yield check_packages([Requirement(line) for line in requirements])


def check_packages(requirements: list[Requirement]) -> Check:
    """Whether the packages are there in the versions that are asked for; those of extras do not count."""
    asked = [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]
    wrong: dict[str, str] = {}
    for requirement in asked:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong[f"{requirement.name}{requirement.specifier}"] = f"{requirement.name} is absent"
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            said = f"{requirement.name} is {version}, {requirement.specifier} is wanted"
            wrong[f"{requirement.name}{requirement.specifier}"] = said
    if not wrong:
        return ok("packages", f"all {len(asked)} are as wanted")
    words = " ".join(map(repr, wrong))
    return failure("packages", "; ".join(wrong.values()), f"Install them: pip install {words}")


def check_gpus() -> Iterator[Check]:
    """What the driver lists and what torch can use, and the numbers that are computed in."""
    is_listed, listing = ask(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"])
    listed = listing.splitlines() if is_listed else []
    import torch  # seconds

    with warnings.catch_warnings(record=True) as said:  # torch tells an old driver as a warning
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    yield _gpu_check(listed, count, torch.version.cuda, [str(entry.message) for entry in said])
    if count == 0:
        yield ok("precision", "float32, on the CPU")
        return
    from pretrain.arguments import bf16_supported  # seconds

    if bf16_supported():
        yield ok("precision", "bfloat16 with float32 weights")
    else:
        yield warning(
            "precision",
            "float32: this GPU does not compute in bfloat16",
            "Expect twice the memory and time, or use a GPU of 2020 or newer (A100, RTX 30).",
        )


def _gpu_check(listed: list[str], count: int, cuda: str | None, said: list[str]) -> Check:
    if count:
        return ok("gpus", f"{count} in use by torch (CUDA {cuda}): {'; '.join(listed) or 'nvidia-smi lists none'}")
    if not listed:
        return ok("gpus", "none: evaluations run on the CPU")
    names = "; ".join(listed)
    if cuda is None:
        return failure(
            "gpus",
            f"{names}: there, but torch was built without CUDA",
            "Install a torch with CUDA: https://pytorch.org/get-started/locally",
        )
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return warning(
            "gpus", f"{names}: there, but CUDA_VISIBLE_DEVICES hides them", "Unset CUDA_VISIBLE_DEVICES to use them."
        )
    old = next((line for line in said if "driver" in line and "old" in line), None)
    if old is not None:
        return failure(
            "gpus",
            f"{names}: the driver is too old for torch's CUDA {cuda}",
            "Update the NVIDIA driver, or install a torch for an older CUDA.",
        )
    reason = f" ({' '.join(said[0].split())[:200]})" if said else ""
    return failure(
        "gpus",
        f"{names}: there, but torch cannot use them{reason}",
        "Run nvidia-smi, and restart the machine if it fails.",
    )


def check_cores_and_memory() -> Iterator[Check]:
    """How much there is of both, as far as this process may use it."""
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield ok("cores", f"{num_cores}")
    memory = min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_cgroup_limits()])
    message = f"{memory / 2**30:.1f} GiB"
    if memory < _LITTLE_MEMORY_BYTES:
        yield warning("memory", message, "Run one evaluation at a time: --parallel 1.")
    else:
        yield ok("memory", message)


def _cgroup_limits() -> list[int]:
    limits = []
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # absent, or "max"
    return limits
