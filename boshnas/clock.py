"""The clock that a search goes by: the machine's, or one of a simulation."""

import time
from typing import Protocol


class Clock(Protocol):
    """Counts seconds that only go forward, whatever is done to the date."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait so long."""
        ...


class SystemClock:
    """The machine's own."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait so long."""
        time.sleep(seconds)
