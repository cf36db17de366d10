"""What SLURM knows of the jobs of a run, asked seldom."""

import logging
import time
from collections.abc import Iterable

from boshnas.executors.slurm import commands
from boshnas.executors.slurm.commands import UnavailableError
from boshnas.executors.slurm.states import COMPLETING, Entry

_LONGEST_S = 60.0
_GROWTH = 1.5
_END_LIMIT_S = 60.0
_END_INTERVAL_S = 0.5
_logger = logging.getLogger(__name__)


class Queue:
    """The latest answer of squeue, and when to ask again.

    All jobs are asked for in one call, every `poll_seconds` after a change and less and less often, down to once a
    minute, while nothing changes. A controller that does not answer is waited for, and told once.

    Args:
        prefix: Of the names of the run's jobs.
        poll_seconds: Between two questions after a change.
    """

    def __init__(self, prefix: str, poll_seconds: float) -> None:
        self.entries: dict[str, Entry] = {}
        self._prefix = prefix
        self._poll_seconds = min(poll_seconds, _LONGEST_S)
        self._interval = self._poll_seconds
        self._asked = float("-inf")
        self._is_silent = False

    def hurry(self) -> None:
        """Ask soon: something has changed."""
        self._interval = self._poll_seconds

    def refresh(self) -> bool:
        """Ask if it is time to; whether there is a new answer."""
        return time.monotonic() >= self._asked + self._interval and self.ask()

    def ask(self) -> bool:
        """Ask now; whether there was an answer."""
        self._interval = min(self._interval * _GROWTH, _LONGEST_S)
        try:
            found = commands.squeue(self._prefix)
        except UnavailableError as error:
            if not self._is_silent:
                _logger.warning("SLURM does not answer and is asked again until it does: %s", error)
            self._is_silent = True
            return False
        finally:
            self._asked = time.monotonic()
        if self._is_silent:
            _logger.warning("SLURM answers again.")
            self._is_silent = False
        if found != self.entries:
            self.hurry()
        self.entries = found
        return True

    def waiting(self, id_: str) -> bool:
        """Whether a job is in the queue: it waits, runs or is about to end."""
        return id_ in self.entries and not self.entries[id_].has_ended

    def of_trial(self, number: int, attempt: int) -> list[str]:
        """The ids of jobs in the queue that are this attempt and are not about to end, oldest first."""
        return [
            entry.id
            for entry in sorted(self.entries.values(), key=lambda entry: int(entry.id.partition("_")[0]))
            if (entry.number, entry.attempt) == (number, attempt) and not entry.has_ended and entry.state != COMPLETING
        ]

    def end(self, ids: Iterable[str], is_awaited: bool) -> bool:
        """End jobs: SLURM signals them politely, then after its KillWait for good.

        Args:
            ids: SLURM's.
            is_awaited: Whether to wait until they are out of the queue, a minute at most.

        Returns:
            Whether SLURM has taken the order, and, where it is awaited, carried it out.
        """
        ids = list(ids)
        if not ids:
            return True
        try:
            commands.scancel(ids)
        except UnavailableError as error:
            _logger.warning("SLURM could not be told to end the jobs %s: %s", ", ".join(ids), error)
            return False
        deadline = time.monotonic() + _END_LIMIT_S
        while is_awaited and not (self.ask() and not any(map(self.waiting, ids))):
            if time.monotonic() > deadline:
                _logger.warning("SLURM has not ended the jobs %s within %g s.", ", ".join(ids), _END_LIMIT_S)
                return False
            time.sleep(_END_INTERVAL_S)
        self.hurry()
        return True
