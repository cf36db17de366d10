"""How much a search evaluates, and who is told how it goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from boshnas.job import Progress
from boshnas.trial import Trial


class View(Protocol):
    """Shows a search to a person."""

    def started(self, trial: Trial) -> None:
        """An evaluation began."""
        ...

    def ended(self, trial: Trial) -> None:
        """An evaluation finished or failed."""
        ...

    def retried(self, trial: Trial) -> None:
        """An attempt failed, as the last of the trial's attempts says; there will be another."""
        ...

    def waits(self, reason: str | None) -> None:
        """Nothing starts for a reason that may pass; None: it has."""
        ...

    def stops(self, num_running: int) -> None:
        """Nothing more starts, as a person asked; so many evaluations are waited for."""
        ...

    def stops_at_once(self, numbers: Sequence[int]) -> None:
        """A person does not want to wait: the evaluations of these numbers are ended."""
        ...

    def tick(self, running: Mapping[int, Progress | None]) -> None:
        """Some time passed; where each running evaluation is, by its number."""
        ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to evaluate.

    Attributes:
        level_budgets: Evaluations at each level, from level 1.
        baselines: Ids to evaluate first, outside the budget.
        seed: Of every training.
        settings: Handed to every worker.
        synchronous: Propose again only when nothing is in flight.
        deadline: No evaluation starts after it, on the clock of `time.monotonic`; None: no limit.
        max_failures: Stop after more failures than this.
        straggler_factor: A stage that takes longer than so many times its median is ended; infinity: none is.
        min_free_bytes: Nothing starts while the disk of the run has less room.
        max_checkpoint_bytes: Of all checkpoints together; the worst go first. None: all stay.
        num_kept: Checkpoints of so many of the best stay in any case.
    """

    level_budgets: Sequence[int]
    baselines: Sequence[str]
    seed: int
    settings: Mapping[str, JsonValue]
    synchronous: bool
    deadline: float | None
    max_failures: int
    straggler_factor: float = float("inf")
    min_free_bytes: int = 0
    max_checkpoint_bytes: int | None = None
    num_kept: int = 5


def split_budget(budget: int, num_levels: int) -> list[int]:
    """Evaluations for each level: about 1/2, 1/3 and 1/6 of the budget over three levels.

    A level l of n has the weight n − l + 1; each level gets at least one evaluation, coarse levels first, and what
    rounding leaves goes to the coarsest.

    Args:
        budget: Evaluations in all, at least 1.
        num_levels: Levels there are, at least 1.

    Example:
        >>> split_budget(12, 3), split_budget(4, 3), split_budget(1, 3)
        ([6, 4, 2], [2, 1, 1], [1, 0, 0])
    """
    if budget <= num_levels:
        return [int(level < budget) for level in range(num_levels)]
    weights = range(num_levels, 0, -1)
    shares = [max(1, budget * weight // sum(weights)) for weight in weights]
    shares[0] += budget - sum(shares)
    return shares
