"""How many GPUs a cluster is asked for by each evaluation."""

from pydantic import BaseModel

from boshnas.executors.ray.settings import RaySettings
from boshnas.executors.slurm import SlurmSettings

_GPU_WORDS = ("--gpus", "--gpus-per-node", "--gpus-per-task")  # of sbatch; a job is one task on one node


def asked_gpus(settings: BaseModel) -> float:
    """GPUs of one evaluation, by the settings of a cluster's executor; may be a fraction of one."""
    if isinstance(settings, RaySettings):
        return settings.num_gpus
    assert isinstance(settings, SlurmSettings)
    return _slurm_gpus(settings)


def _slurm_gpus(settings: SlurmSettings) -> int:
    """GPUs of one job, by its gres (`gpu`, `gpu:a100:2`) and its further words (`--gpus=2`, `--tres-per-task=…`)."""
    asked = [settings.gres or ""]
    for word in settings.extra:
        name, _, value = word.partition("=")
        if name in _GPU_WORDS:
            asked.append(",".join(f"gpu:{part}" for part in value.split(",")))
        elif name == "--tres-per-task":
            asked.append(value.replace("=", ":").replace("gres:", "gres/"))  # SLURM writes both
    return max(sum(map(_num_gpus, resources.split(","))) for resources in asked)


def _num_gpus(resource: str) -> int:
    """Of one generic resource: 0 where it is another than GPUs, 1 where no number is told."""
    kind, *rest = resource.removeprefix("gres/").partition("(")[0].split(":")
    if kind != "gpu":
        return 0
    return int(rest[-1]) if rest and rest[-1].isdecimal() else 1
