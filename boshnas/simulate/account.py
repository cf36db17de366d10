"""What a simulated campaign took of its slots."""

from collections.abc import Sequence
from dataclasses import dataclass

from boshnas.trial import Status

_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Span:
    """A slot's time with one attempt.

    Attributes:
        number: Of the evaluation.
        attempt: From 1.
        start: On the virtual clock, seconds.
        end: On the virtual clock, seconds.
        status: How it ended.
    """

    number: int
    attempt: int
    start: float
    end: float
    status: Status


@dataclass(frozen=True)
class Account:
    """All spans of a campaign.

    Attributes:
        spans: In the order in which they ended; at least one.
        num_slots: Of the campaign.
    """

    spans: Sequence[Span]
    num_slots: int

    @property
    def hours(self) -> float:
        """From the start of the campaign to its last end."""
        return self._end / _HOUR_S

    @property
    def slot_hours(self) -> float:
        """That slots were busy, all together."""
        return sum(span.end - span.start for span in self.spans) / _HOUR_S

    @property
    def busy(self) -> float | None:
        """Share of the slots' time that was busy between the first start and the last start of a new evaluation.

        Afterwards slots are idle because nothing is left to start. None where all evaluations start at once.
        """
        return self._share(max(span.start for span in self.spans if span.attempt == 1))

    @property
    def busy_whole(self) -> float:
        """The same up to the last end."""
        share = self._share(self._end)
        assert share is not None, "an attempt takes time"
        return share

    @property
    def _end(self) -> float:
        return max(span.end for span in self.spans)

    def _share(self, until: float) -> float | None:
        since = min(span.start for span in self.spans)
        if until <= since:
            return None
        busy_s = sum(max(0.0, min(span.end, until) - span.start) for span in self.spans)
        return round(busy_s / (self.num_slots * (until - since)), 12)  # full is 1, whatever sums round to
