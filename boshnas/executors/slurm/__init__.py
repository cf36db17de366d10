"""Evaluations as jobs of a SLURM cluster."""

from boshnas.executors.slurm.executor import SlurmExecutor
from boshnas.executors.slurm.settings import SlurmSettings

__all__ = ["SlurmExecutor", "SlurmSettings"]
