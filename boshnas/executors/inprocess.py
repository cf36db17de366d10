"""Evaluations as calls of a function: for tables, tests, and evaluators written in Python."""

from collections.abc import Callable
from pathlib import Path

from boshnas.errors import InputError
from boshnas.executors.outcome import raised_result
from boshnas.executors.slots import SlotExecutor
from boshnas.job import Job, Result
from boshnas.trial import Status

Evaluate = Callable[[Job, Path], Result]


class InProcessExecutor(SlotExecutor):
    """Runs jobs one after the other in the search's own process; nothing is written to disk.

    Args:
        evaluate: Takes a job and the folder that is its own, not made yet; gives the job's result. What it raises
            becomes a failed one.
        num_slots: How many may be submitted before the next poll.

    Raises:
        InputError: If the number is not positive.

    Example:
        >>> def evaluate(job, folder):
        ...     return Result(number=job.number, id=job.id, status=Status.FINISHED, score=float(job.architecture["l"]))
        >>> executor = InProcessExecutor(evaluate)
        >>> executor.submit(Job(number=0, id="a", architecture={"l": 4}, seed=0, settings={}), Path("jobs/00000"))
        0
        >>> [result.score for result in executor.poll()]
        [4.0]
    """

    def __init__(self, evaluate: Evaluate, num_slots: int = 1) -> None:
        super().__init__(num_slots)
        self._evaluate = evaluate
        self._waiting: dict[int, tuple[Job, Path]] = {}

    def submit(self, job: Job, folder: Path) -> int:
        """Take a job; the next poll runs it.

        Raises:
            RuntimeError: If all slots are taken, the number is there already, or the executor is closed.
        """
        self._require_slot(job.number, self._waiting.keys())
        self._waiting[job.number] = (job, folder)
        return job.number

    def poll(self) -> list[Result]:
        """Run the job that has waited longest and return its result."""
        if not self._waiting:
            return []
        job, folder = self._waiting.pop(next(iter(self._waiting)))
        try:
            return [self._evaluate(job, folder)]
        except Exception as error:  # whatever it is, the search must learn of it and go on
            return [_failure(job, error)]

    def cancel(self, handle: int) -> None:
        """Forget a job."""
        self._waiting.pop(handle, None)

    def close(self) -> None:
        """Forget all jobs. May be called again."""
        self._closed = True
        self._waiting.clear()


def _failure(job: Job, error: Exception) -> Result:
    status = Status.CRASHED
    for kind, meaning in (
        (InputError, Status.BAD_INPUT),
        (MemoryError, Status.OUT_OF_MEMORY),
        (FloatingPointError, Status.DIVERGED),
    ):
        if isinstance(error, kind):
            status = meaning
    return raised_result(job, error, status)
