"""One evaluation, from the decision to make it until its scores are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Decision(StrEnum):
    """Why a candidate was chosen."""

    RANDOM = "random"
    OPTIMISE = "optimise"
    UNCERTAINTY = "uncertainty"
    DIVERSITY = "diversity"
    REPLICATE = "replicate"
    BASELINE = "baseline"


class Status(StrEnum):
    """Where an evaluation stands; all but the first two say why there is no score."""

    RUNNING = "running"
    FINISHED = "finished"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out of memory"
    DIVERGED = "diverged"
    TIMED_OUT = "timed out"
    KILLED = "killed"
    PREEMPTED = "preempted"
    NODE_FAILED = "node failed"
    CANCELLED = "cancelled"
    DISK_FULL = "disk full"
    BAD_INPUT = "bad input"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One go at an evaluation that failed and was followed by another.

    Attributes:
        status: How it ended.
        error: One line and the log's end.
    """

    status: Status
    error: str


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A candidate to measure next and what was believed of it.

    Attributes:
        id: Candidate of the pool.
        decision: Which rule chose it.
        mean: Predicted objective, its own unit; None where no surrogate was asked.
        epistemic_std: Predicted, same unit.
        aleatoric_std: Predicted, same unit.
    """

    id: str
    decision: Decision
    mean: float | None = None
    epistemic_std: float | None = None
    aleatoric_std: float | None = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One evaluation as the store keeps it.

    Attributes:
        number: Counts from 0 in the order of proposal.
        proposal: Candidate and reason.
        level: Hierarchy level it was proposed at, from 1; 0 for a baseline.
        architecture: JSON description from which a worker builds it.
        parameters: The same as flat names and values, for plots.
        seed: Of its training.
        params: Weights it has; None: not known.
        parent_id: Candidate whose weights it starts from, if any.
        status: Where it stands.
        score: Objective, its own unit; None until finished.
        task_scores: Score by task in points: at most 100, a correlation down to -100.
        stage_seconds: Wall-clock time by stage.
        details: What else the worker reported (loss, parameters, …).
        error: One line and the traceback's end, where it failed.
        attempts: Those that failed before the one that runs or counts, in order.
    """

    number: int
    proposal: Proposal
    level: int
    architecture: Mapping[str, object]
    parameters: Mapping[str, str | int | float]
    seed: int
    params: int | None = None
    parent_id: str | None = None
    status: Status = Status.RUNNING
    score: float | None = None
    task_scores: Mapping[str, float] = field(default_factory=dict)
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    error: str | None = None
    attempts: Sequence[Attempt] = ()

    @property
    def id(self) -> str:
        """The candidate's id."""
        return self.proposal.id

    @property
    def failed(self) -> bool:
        """True where it ended without a score."""
        return self.status not in (Status.RUNNING, Status.FINISHED)
