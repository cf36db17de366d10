"""A Ray cluster, or Ray on this machine."""

import importlib.metadata
import importlib.util
from collections.abc import Iterator

from packaging.requirements import Requirement

from boshnas.doctor.checks import Check, failure, ok
from boshnas.doctor.machine import PACKAGE
from boshnas.errors import InputError
from boshnas.executors.ray.cluster import OPTION, connect, node_resources, num_fitting
from boshnas.executors.ray.settings import RaySettings

_INSTALL = "Install it: pip install -c constraints.txt -e '.[ray]'"


def check_ray(settings: RaySettings) -> Iterator[Check]:
    """Whether Ray is there in a version that is wanted, can be reached, and has room for an evaluation."""
    if importlib.util.find_spec("ray") is None:
        yield failure("ray", "the package ray is not installed", _INSTALL)
        return
    version = importlib.metadata.version("ray")
    wanted = _wanted()
    if wanted is not None and not wanted.specifier.contains(version, prereleases=True):
        yield failure("ray", f"{version}, {wanted.specifier} is wanted", _INSTALL)
        return
    yield ok("ray", version)
    try:
        ray = connect(settings)
    except InputError as error:
        yield failure("ray cluster", *_halves(error))
        return
    try:
        nodes = node_resources(ray)
        num_cpus, num_gpus = (sum(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU"))
        where = "started here, and ended again" if settings.address is None else settings.address
        size = f"nodes {len(nodes)}, cores {num_cpus:g}, GPUs {num_gpus:g}"
        yield ok("ray cluster", f"{where}: {size}")
        yield ok("ray resources", f"{num_fitting(settings, nodes)} evaluations at a time fit")
    except InputError as error:
        yield failure("ray resources", *_halves(error))
    finally:
        ray.shutdown()


def _halves(error: InputError) -> tuple[str, str]:
    """What is wrong, and the way out: the last sentence of every refusal."""
    message, _, remedy = str(error).removeprefix(f"{OPTION}: ").partition(". ")
    return message, remedy or "Check the executor's settings."


def _wanted() -> Requirement | None:
    try:
        requirements = map(Requirement, importlib.metadata.requires(PACKAGE) or [])
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((requirement for requirement in requirements if requirement.name == "ray"), None)
