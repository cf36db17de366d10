"""What runs on a node: a script in the job's folder, and how its jobs are named."""

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from boshnas.executors.orphan import DRIVER_PID_VARIABLE
from boshnas.executors.outcome import LOG_FILE
from boshnas.executors.slurm.settings import SlurmSettings
from boshnas.executors.threads import thread_environment
from boshnas.job import STARTED_FILE

SCRIPT_FILE = "slurm.sh"
# The storage's URL may hold a password; a job outlives its driver.
_KEPT_HERE = frozenset({"BOSHNAS_STORAGE", DRIVER_PID_VARIABLE, "SBATCH_ARRAY_INX", "SBATCH_WAIT"})


def name_prefix(run_folder: Path) -> str:
    """How the names of all jobs of a run folder begin, on any machine that sees it under the same path."""
    return f"boshnas-{hashlib.sha256(os.fsencode(run_folder.resolve())).hexdigest()[:8]}-"


def job_script(words: Sequence[str], folder: Path, settings: SlurmSettings) -> str:
    """The script of one job.

    Bash gives way to the worker, which so gets the polite signal itself and has SLURM's KillWait to end.

    Args:
        words: The worker's command.
        folder: Of the job, an absolute path.
        settings: Threads and lines of setup.
    """
    threads = settings.cpus_per_task or '"${SLURM_CPUS_ON_NODE:-1}"'
    lines = [
        "#!/bin/bash",
        f"exec >>{shlex.quote(str(folder / LOG_FILE))} 2>&1 || exit 1",
        f": >{shlex.quote(str(folder / STARTED_FILE))}",
        *(f"export {name}={value}" for name, value in thread_environment(threads).items()),
    ]
    for line in settings.setup:
        complaint = shlex.quote(f"This line of setup failed: {line}")
        lines += [line, f"if [ $? -ne 0 ]; then echo {complaint}; exit 1; fi"]
    return "\n".join([*lines, f"exec {shlex.join(words)}", ""])


def array_script(folders: Mapping[int, Path]) -> str:
    """The script of an array of jobs, which are the scripts in these folders, by task."""
    cases = [
        f"{task}) [ -r {path} ] || exit 1; exec /bin/bash {path} ;;"
        for task, folder in folders.items()
        for path in [shlex.quote(str(folder / SCRIPT_FILE))]
    ]
    return "\n".join(["#!/bin/bash", 'case "$SLURM_ARRAY_TASK_ID" in', *cases, "esac", ""])


def environment() -> dict[str, str]:
    """What sbatch is given and hands on to the jobs.

    A search that is itself a job of SLURM must not hand on what SLURM says of that job.
    """
    dropped = _KEPT_HERE | ({"CUDA_VISIBLE_DEVICES"} if "SLURM_JOB_ID" in os.environ else set())
    return {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and (not name.startswith("SLURM_") or name in ("SLURM_CONF", "SLURM_CLUSTERS"))
    }
