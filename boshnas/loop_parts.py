"""What the loop asks of the store and of the searcher that it is given."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from boshnas.job import Result
from boshnas.pool import Pool
from boshnas.trial import Attempt, Proposal, Trial


class TrialStore(Protocol):
    """Keeps every evaluation of a run, in order of number; see `boshnas.store.Store`."""

    def trials(self) -> Sequence[Trial]:
        """All trials in order of number."""
        ...

    def add(self, trial: Trial) -> None:
        """Record a trial that starts to run."""
        ...

    def add_attempt(self, number: int, attempt: Attempt) -> Trial:
        """Record a failed attempt of a running trial, which will have another; the trial with it."""
        ...

    def finish(self, result: Result) -> Trial:
        """Record the outcome of a running trial; the trial with it."""
        ...


class Proposer(Protocol):
    """Results in, proposals out; see `boshnas.searcher.Searcher`."""

    pool: Pool

    def resume(self, num_proposed: int) -> None:
        """Go on as if so many proposals had been made."""
        ...

    def set_candidates(self, ids: Collection[str] | None) -> None:
        """Limit what may be proposed."""
        ...

    def tell(self, results: Mapping[str, float | None]) -> None:
        """Learn scores by id, to be maximised; None where the evaluation failed."""
        ...

    def propose(self, k: int, pending: Collection[str] = ()) -> list[Proposal]:
        """The next candidates, at most k."""
        ...
