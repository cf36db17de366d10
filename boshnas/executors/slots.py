"""What every executor says of its slots."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from types import TracebackType
from typing import Self

from boshnas.errors import InputError


class SlotExecutor(ABC):
    """Some slots, open until it is closed; see `boshnas.executors.base.Executor`.

    Args:
        num_slots: How many jobs may be under way.

    Raises:
        InputError: If the number is not positive.
    """

    def __init__(self, num_slots: int) -> None:
        if num_slots < 1:
            raise InputError(f"{type(self).__name__}: num_slots must be positive, got {num_slots!r}. Give more than 0.")
        self._num_slots = num_slots
        self._closed = False

    @property
    def num_slots(self) -> int:
        """How many jobs may be under way."""
        return self._num_slots

    @abstractmethod
    def close(self) -> None:
        """End all that is under way. May be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _require_slot(self, number: int, busy: Collection[int]) -> None:
        """Refuse a submission that no caller should make.

        Args:
            number: Of the job.
            busy: Numbers of those under way.

        Raises:
            RuntimeError: If all slots are taken, the number is already running, or the executor is closed.
        """
        where = f"{type(self).__name__}.submit"
        if self._closed:
            raise RuntimeError(f"{where}: the executor is closed.")
        if number in busy:
            raise RuntimeError(f"{where}: job {number} is already running.")
        if len(busy) >= self._num_slots:
            raise RuntimeError(f"{where}: all {self._num_slots} slots are taken. Poll first.")
