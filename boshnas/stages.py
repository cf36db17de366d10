"""What an attempt at an evaluation has done, so that the next one need not do it again."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from boshnas.errors import InputError
from boshnas.job import PROGRESS_FILE, SAVED_FILE, Job, Progress, Saved, Seconds, Told, read_model, write_model

STAGES_FILE = "stages.json"
_PROGRESS_SECONDS = 0.5

Report = Callable[[int, int], None]
Outcome = dict[str, Told]


class Finished(BaseModel):
    """The stages that are done.

    Attributes:
        job: Digest of the job that they belong to.
        outcomes: What came out of each, in order.
        seconds: Wall-clock time of each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    job: str
    outcomes: dict[str, Outcome] = {}
    seconds: dict[str, Seconds] = {}


class Stages:
    """Does the stages of a job one after the other, keeping the outcome of each, and tells where the job is.

    Args:
        job: Stages that were finished for another one are done again; its attempt and its split of the batch may
            differ.
        folder: Of the job; receives stages.json, progress.json (at most twice a second) and saved.json.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        self._folder = folder
        self._written = float("-inf")
        digest = _digest(job)
        try:
            kept = read_model(folder / STAGES_FILE, Finished)
        except InputError:
            kept = None  # not there, or torn by a disk: begin anew
        self._finished = kept if kept is not None and kept.job == digest else Finished(job=digest)

    @property
    def seconds(self) -> dict[str, float]:
        """Wall-clock time of each finished stage."""
        return dict(self._finished.seconds)

    def forget(self, name: str) -> None:
        """Let a stage be done again, and all that followed it."""
        names = list(self._finished.outcomes)
        kept = names[: names.index(name)] if name in names else names
        self._finished = Finished(
            job=self._finished.job,
            outcomes={stage: self._finished.outcomes[stage] for stage in kept},
            seconds={stage: self._finished.seconds[stage] for stage in kept},
        )

    def run(self, name: str, work: Callable[[Report], Outcome]) -> Outcome:
        """Do a stage, unless an earlier attempt has finished it.

        Args:
            name: Of the stage.
            work: Does it; is given a function of step and number of steps to report with.

        Returns:
            What came out of it, now or then.
        """
        if name in self._finished.outcomes:
            return self._finished.outcomes[name]
        start = time.monotonic()
        outcome = work(lambda step, num_steps: self._report(name, step, num_steps))
        seconds = round(time.monotonic() - start, 3)
        self._finished = Finished(
            job=self._finished.job,
            outcomes=self._finished.outcomes | {name: outcome},
            seconds=self._finished.seconds | {name: seconds},
        )
        write_model(self._folder / STAGES_FILE, self._finished)
        self.saved(name, -1)
        return outcome

    def saved(self, name: str, step: int) -> None:
        """Tell the search that another attempt would go on from here.

        Args:
            name: Of the stage.
            step: Of its checkpoint; −1: the stage is finished.
        """
        write_model(self._folder / SAVED_FILE, Saved(stage=name, step=step))

    def _report(self, name: str, step: int, num_steps: int) -> None:
        if time.monotonic() - self._written > _PROGRESS_SECONDS:
            write_model(self._folder / PROGRESS_FILE, Progress(stage=name, step=step, num_steps=num_steps))
            self._written = time.monotonic()


def _digest(job: Job) -> str:
    content = job.model_dump_json(exclude={"attempt", "batch_split", "memory_bytes"})
    return hashlib.sha256(content.encode()).hexdigest()
