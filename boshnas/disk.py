"""Room for a run: whether there is some, and what is given up when its budget is used up."""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from boshnas.job import CHECKPOINT_FOLDER, job_folder
from boshnas.ranking import results_of
from boshnas.trial import Decision, Trial


def missing_room(folder: Path, min_free_bytes: int) -> str | None:
    """What a disk lacks of the room that is to stay free; None where it has it."""
    free = shutil.disk_usage(folder).free
    if free >= min_free_bytes:
        return None
    return f"{folder} has {free / 1e9:.2f} GB free, {min_free_bytes / 1e9:.2f} GB are to stay free"


class CheckpointBudget:
    """Deletes checkpoints of a run's worst evaluations when all together are larger than allowed.

    Kept are those of the best evaluations and of those that run or whose weights are being taken. Everything else of an
    evaluation stays: its scores, its log, its result.

    Args:
        folder: Of the run.
        max_bytes: Of all checkpoints together.
        num_kept: So many of the best stay, whatever their size.
    """

    def __init__(self, folder: Path, max_bytes: int, num_kept: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._num_kept = num_kept
        self._sizes: dict[int, int] = {}

    def keep(self, trials: Sequence[Trial], busy: Collection[int]) -> list[int]:
        """Delete what is beyond the budget.

        Args:
            trials: All of the run.
            busy: Numbers of those that run or lend their weights now.

        Returns:
            Numbers of the trials whose checkpoint was deleted, worst first.
        """
        ranked = results_of(trials)
        best = [trial.number for trial in ranked if trial.proposal.decision is not Decision.BASELINE][: self._num_kept]
        ended = [trial.number for trial in ranked if trial.number not in busy]
        failed = [trial.number for trial in trials if trial.failed and trial.number not in busy]
        for number in {*ended, *failed} - self._sizes.keys():
            self._sizes[number] = _num_bytes(checkpoint_folder(self._folder, number))
        deleted: list[int] = []
        total = sum(self._sizes.values())
        for number in [*failed, *reversed(ended)]:
            if total <= self._max_bytes:
                break
            if self._sizes[number] and number not in best:
                shutil.rmtree(checkpoint_folder(self._folder, number), ignore_errors=True)
                total -= self._sizes[number]
                self._sizes[number] = 0
                deleted.append(number)
        return deleted


def checkpoint_folder(run_folder: Path, number: int) -> Path:
    """Where the trained encoder of an evaluation lies."""
    return job_folder(run_folder, number) / CHECKPOINT_FOLDER


def _num_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
