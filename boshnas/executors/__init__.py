"""Where evaluations run: one contract, one file for each kind of machine."""

from boshnas.executors.base import Executor
from boshnas.executors.gpus import visible_gpus
from boshnas.executors.inprocess import InProcessExecutor
from boshnas.executors.local import LocalExecutor, num_cores
from boshnas.executors.lock import is_held, run_lock
from boshnas.executors.orphan import exit_with_driver
from boshnas.executors.slurm import SlurmExecutor, SlurmSettings

__all__ = [
    "Executor",
    "InProcessExecutor",
    "LocalExecutor",
    "SlurmExecutor",
    "SlurmSettings",
    "exit_with_driver",
    "is_held",
    "num_cores",
    "run_lock",
    "visible_gpus",
]
