"""The executor that settings ask for."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from boshnas.executors.base import Executor
from boshnas.executors.local import LocalExecutor
from boshnas.executors.local_settings import LocalSettings
from boshnas.executors.ray import cluster as ray_cluster
from boshnas.executors.ray.executor import RayExecutor
from boshnas.executors.ray.settings import RaySettings
from boshnas.executors.slurm import SlurmExecutor, SlurmSettings
from boshnas.executors.slurm import commands as slurm_commands

_GIB = 2**30


def check_executor(settings: BaseModel) -> None:
    """Refuse what `make_executor` would, and start nothing that stays.

    Args:
        settings: Of one of the executors.

    Raises:
        InputError: If the cluster cannot be reached, or cannot do what the settings ask for.
    """
    if isinstance(settings, SlurmSettings):
        slurm_commands.check_cluster(settings)
    elif isinstance(settings, RaySettings):
        ray_cluster.check_cluster(settings)


def make_executor(
    settings: BaseModel, command: Sequence[str], run_folder: Path, *, num_parallel: int | None, gpus: Sequence[str]
) -> Executor:
    """Make the executor of some settings.

    Args:
        settings: Of one of the executors.
        command: Of a worker, `{job}` among its words.
        run_folder: Of the search.
        num_parallel: Evaluations at a time; None: as the executor finds right.
        gpus: Of this machine, for workers that run here.

    Raises:
        InputError: If the machine or the cluster cannot do what the settings ask for.
    """
    limit = {} if num_parallel is None else {"max_in_flight": num_parallel}
    if isinstance(settings, SlurmSettings):
        return SlurmExecutor(command, settings.model_copy(update=limit), run_folder)
    if isinstance(settings, RaySettings):
        return RayExecutor(command, settings.model_copy(update=limit), run_folder)
    assert isinstance(settings, LocalSettings)
    return LocalExecutor(
        command,
        num_slots=num_parallel or 1,
        gpus=gpus or settings.gpus,  # an empty list that was asked for hides all
        num_threads=settings.num_threads,
        timeout_s=settings.time_limit_s,
        memory_bytes=None if settings.memory_gib is None else int(settings.memory_gib * _GIB),
    )
