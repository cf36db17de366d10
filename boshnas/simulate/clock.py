"""A clock that nobody waits for."""

from heapq import heappop, heappush


class VirtualClock:
    """Starts at 0 and moves only when somebody sleeps or spends time.

    Sleeping ends at the next alarm, however far that is, so that a month without events costs nothing.

    Args:
        max_step_s: A sleep ends after so many virtual seconds where no alarm comes before: for what is to be noticed
            without an alarm.
    """

    def __init__(self, max_step_s: float = float("inf")) -> None:
        self._max_step_s = max_step_s
        self._now = 0.0
        self._alarms: list[float] = []

    def monotonic(self) -> float:
        """Virtual seconds since the start."""
        return self._now

    def wake_at(self, moment: float) -> None:
        """Let no sleep last beyond a moment on this clock."""
        heappush(self._alarms, moment)

    def spend(self, seconds: float) -> None:
        """Let time pass, whatever happens meanwhile."""
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Move to the next alarm; by the seconds asked where none is set; not at all where one has passed."""
        if not self._alarms:
            self._now += seconds
            return
        self._now = max(self._now, min(self._alarms[0], self._now + self._max_step_s))
        while self._alarms and self._alarms[0] <= self._now:
            heappop(self._alarms)
