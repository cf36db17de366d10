"""What a resumed search finds of the one before."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from boshnas.errors import InputError
from boshnas.executors.base import EXECUTOR_FILE
from boshnas.executors.outcome import written_result
from boshnas.job import JOB_FILE, SAVED_FILE, Job, job_folder, read_model
from boshnas.trial import Status, Trial
from boshnas.wording import counted

_FINISHED, _FAILED = "finished", "failed"
_RESULT = "ended meanwhile, to be taken in from disk"
_CLUSTER = "to be looked for in the cluster"
_CHECKPOINT = "to go on from a checkpoint"
_ANEW = "to begin again"


def found(folder: Path, trials: Sequence[Trial]) -> str:
    """How far a search is that is to go on, in one line.

    Args:
        folder: Of the run; nothing of it has been started again.
        trials: Of its store.
    """
    if not trials:
        return "Resumed: nothing was evaluated before."
    counts = Counter(_state(job_folder(folder, trial.number), trial) for trial in trials)
    order = (_FINISHED, _FAILED, _RESULT, _CLUSTER, _CHECKPOINT, _ANEW)
    told = ", ".join(f"{counts[state]} {state}" for state in order if counts[state])
    return f"Resumed with {counted(len(trials), 'evaluation')}: {told}."


def _state(folder: Path, trial: Trial) -> str:
    """What becomes of a trial, as its files tell."""
    if trial.status is not Status.RUNNING:
        return _FAILED if trial.failed else _FINISHED
    try:
        job = read_model(folder / JOB_FILE, Job)
        if job.attempt == len(trial.attempts) + 1 and written_result(job, folder) is not None:
            return _RESULT
    except (InputError, OSError):
        pass  # told when it is started again
    if (folder / EXECUTOR_FILE).exists():
        return _CLUSTER
    return _CHECKPOINT if (folder / SAVED_FILE).exists() else _ANEW
