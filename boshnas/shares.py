"""What evaluations take of this machine: its GPUs, and how many run at a time."""

from collections.abc import Sequence

from pydantic import BaseModel

from boshnas.errors import InputError
from boshnas.executors import num_cores, visible_gpus
from boshnas.executors.gpus import absent_gpus
from boshnas.executors.local_settings import LocalSettings

MAX_PARALLEL = 4


def own_gpus(executor: BaseModel) -> Sequence[str]:
    """GPUs of this machine that evaluations may use; none where a cluster runs them.

    Raises:
        InputError: If the settings name one that is not there.
    """
    if not isinstance(executor, LocalSettings):
        return []
    if executor.gpus is None:
        return visible_gpus()
    if absent := absent_gpus(executor.gpus):
        raise InputError(
            f"--executor-config: gpus must be of this machine, got {absent[0]!r}, which `nvidia-smi -L` does not list. "
            "Correct it, or leave gpus out for all there are."
        )
    return executor.gpus


def usual_parallel(executor: BaseModel, num_gpus: int) -> int | None:
    """Evaluations at a time, where nobody says."""
    if isinstance(executor, LocalSettings):
        return executor.num_slots or num_gpus or min(MAX_PARALLEL, num_cores())
    limit: int | None = getattr(executor, "max_in_flight")  # noqa: B009  (of each cluster's settings)
    return limit


def sharing(parallel: int, num_gpus: int) -> list[str]:
    """More at a time than this machine has of GPUs or cores: allowed and probably not meant."""
    if num_gpus and parallel > num_gpus:
        return [f"--parallel {parallel}: this machine has {num_gpus} GPUs; {parallel} evaluations share them."]
    if not num_gpus and parallel > num_cores():
        return [f"--parallel {parallel}: this machine has {num_cores()} cores; {parallel} evaluations share them."]
    return []
