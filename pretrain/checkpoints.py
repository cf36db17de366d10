"""Checkpoints of a run: written whole or not at all, pruned, found again.

A run's folder holds `checkpoint-STEP/` for each; what is being written lies in `.partial/` until it is whole.
"""

import re
import shutil
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from design_space.errors import InputError, first_line
from pretrain.budget import Clock, agreed

PARTIAL = ".partial"
_NAME = re.compile(r"checkpoint-\d+")


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """Optimizer steps that had been made when a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def keep_newest(folder: Path, max_number: int | None, max_bytes: int | None) -> None:
    """Delete the oldest checkpoints beyond a number or a size in all; the newest always stays."""
    newest_first = checkpoints(folder)[::-1]
    kept_bytes = 0
    for place, path in enumerate(newest_first):
        kept_bytes += _num_bytes(path)
        too_many = max_number is not None and place >= max_number
        too_large = max_bytes is not None and kept_bytes > max_bytes
        if place > 0 and (too_many or too_large):
            shutil.rmtree(path)


def cannot_be_written(folder: Path, what: str, error: Exception) -> InputError:
    """Say why something is missing in a run's folder, and remove what there is of it.

    Args:
        folder: Of the run.
        what: Was to be written.
        error: That stopped it; torch does not say that a disk is full, so the free space is told besides.
    """
    free = shutil.disk_usage(folder).free
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
    whole = checkpoints(folder)
    last = f"{whole[-1].name} is whole" if whole else "there is no checkpoint"
    return InputError(
        f"--output_dir: {folder}: {what} must be written, got: {first_line(error):.200} ({free / 1e6:,.1f} MB free); "
        f"{last}. Make room and go on with --resume."
    )


class SaveByTime(TrainerCallback):
    """Asks for a checkpoint at the first logged step after some time: a resumed curve has the same points then.

    Args:
        clock: Of the run.
        seconds: Between two checkpoints.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._last = clock.seconds

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Look at the clock."""
        if control.should_log and agreed(self._clock.seconds) - self._last >= self._seconds:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Note the time, whoever asked."""
        self._last = agreed(self._clock.seconds)


def _num_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
