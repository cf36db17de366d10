"""What a setting comes to over repeated seeds: its runs, their mean and their spread.

A setting is a checkpoint with everything else that a run is told, its seed apart. Its outcome is one `SettingOutcome`
a task, each with one `RunOutcome` a seed. Symbol: S runs.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from design_space.errors import InputError
from finetune.tasks import glue_score

SCORE = "score"
"""Name of the score beside those of the metrics."""

_WNLI = "wnli"
_COUNTED = ("words_too_many", "words_too_few")
"""Details that are means of numbers of words, not shares."""


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """Outcome of one run.

    Attributes:
        task: Its name.
        seed: Of everything random in the run.
        score: Mean of the metrics times 100.
        metrics: Each metric, in [0, 1] or [−1, 1].
        loss: Mean training loss; None where nothing was trained.
        num_steps: Optimizer steps made.
        seconds: Wall-clock time of training and scoring.
        intervals: Confidence intervals of some of the metrics, or of "score", each (low, high) in its own unit.
        details: Further figures that are no part of the score: the best null threshold of SQuAD 2.0, the metrics of a
            subset.
        num_parameters: Of the model with what was added to it; None where it is not known.
        num_trained: Those that were trained; None where it is not known.
        peak_memory_bytes: What the GPU, or else the process, held more than before the model was loaded; None where
            the system does not tell.

    Raises:
        InputError: If a value is not finite or outside its range, or an interval belongs to nothing.
    """

    task: str
    seed: int
    score: float
    metrics: dict[str, float]
    loss: float | None
    num_steps: int
    seconds: float
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    details: dict[str, float] = field(default_factory=dict)
    num_parameters: int | None = None
    num_trained: int | None = None
    peak_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        where = f"{self.task}, seed {self.seed}"
        if not self.metrics or SCORE in self.metrics:
            raise InputError(
                f"{where}: metrics must be at least one, none of them {SCORE!r}, got {list(self.metrics)}. "
                "Name what was measured."
            )
        for name, value in {SCORE: self.score, "loss": self.loss, "seconds": self.seconds, **self.details}.items():
            if value is not None and not math.isfinite(value):
                raise InputError(f"{where}: {name} must be finite, got {value!r}. Leave runs out that diverged.")
        _check_range(where, self.metrics)
        for name, (low, high) in self.intervals.items():
            if name not in self.names or not low <= high:
                raise InputError(
                    f"{where}: intervals must be (low, high) of some of {', '.join(self.names)}, "
                    f"got {name!r}: {(low, high)}. Leave it out."
                )

    @property
    def names(self) -> list[str]:
        """What has a value: the score, then the metrics."""
        return [SCORE, *self.metrics]

    def value(self, name: str) -> float:
        """The score, or a metric, in its own unit."""
        return self.score if name == SCORE else self.metrics[name]


@dataclass(frozen=True, kw_only=True)
class SettingOutcome:
    """Outcome of one setting on one task over its seeds.

    Attributes:
        model: The checkpoint's name.
        data: Where the rows came from, such as "glue", "demo" or a folder.
        task: Its name.
        runs: At least one, each with another seed and the same metrics.
        setting: What decides the scores, the seed apart: hyper-parameters and numbers of rows by name; empty where it
            is not known.
        test: Metrics of the best run's model on test rows with labels, as those of the runs; None where there are none.

    Raises:
        InputError: If the runs do not belong together, or a metric of `test` is outside its range.

    Example:
        >>> runs = tuple(
        ...     RunOutcome(task="rte", seed=s, score=v, metrics={"accuracy": v / 100}, loss=0.5, num_steps=9, seconds=1)
        ...     for s, v in ((1, 60.0), (2, 64.0))
        ... )
        >>> outcome = SettingOutcome(model="m", data="glue", task="rte", runs=runs)
        >>> outcome.mean["score"], round(outcome.std["score"], 4), outcome.best.seed
        (62.0, 2.8284, 2)
    """

    model: str
    data: str
    task: str
    runs: tuple[RunOutcome, ...]
    setting: Mapping[str, Any] = field(default_factory=dict)
    test: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not self.runs:
            raise InputError(f"{self.task}: runs must be at least one, got none. Run it with a seed.")
        seed, times = Counter(run.seed for run in self.runs).most_common(1)[0]
        if times > 1:
            raise InputError(f"{self.task}: seeds must differ, got {seed} {times} times. Leave one of the runs out.")
        for run in self.runs:
            if run.task != self.task:
                raise InputError(f"{self.task}: runs must be of this task, got {run.task!r}. Give it its own outcome.")
            if run.metrics.keys() != self.runs[0].metrics.keys():
                raise InputError(
                    f"{self.task}: runs must have the same metrics, got {', '.join(run.metrics)} for seed {run.seed} "
                    f"and {', '.join(self.runs[0].metrics)} for seed {self.runs[0].seed}. Score them alike."
                )
        _check_range(f"{self.task}, test rows", self.test or {})

    @property
    def names(self) -> list[str]:
        """What has values: the score, then the metrics."""
        return self.runs[0].names

    @property
    def seeds(self) -> list[int]:
        """Of the runs, in their order."""
        return [run.seed for run in self.runs]

    def values(self, name: str) -> NDArray[np.float64]:
        """The score or a metric of each run, in its own unit, shape (S,)."""
        return np.array([run.value(name) for run in self.runs])

    @property
    def mean(self) -> dict[str, float]:
        """Over the runs, of the score and of each metric."""
        return {name: float(self.values(name).mean()) for name in self.names}

    @property
    def std(self) -> dict[str, float] | None:
        """Sample standard deviation over the runs (divisor S − 1); None where there is one run."""
        if len(self.runs) == 1:
            return None
        return {name: float(self.values(name).std(ddof=1)) for name in self.names}

    @property
    def best(self) -> RunOutcome:
        """The run with the greatest score, the first of several."""
        return max(self.runs, key=lambda run: run.score)


def _check_range(where: str, metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        if not -1 <= value <= 1:  # NaN is in no range
            raise InputError(f"{where}: {name} must be in [-1, 1], got {value!r}. Divide percentages by 100.")


def points(name: str, value: float) -> float:
    """A value of the score or of a metric in points: the score is, metrics are multiplied by 100."""
    return value if name == SCORE else 100 * value


def detail_text(name: str, value: float) -> str:
    """A further figure as tables show it: a threshold, a number of words, or in points."""
    if name.endswith("_threshold"):
        return f"{value:.4f}"
    return f"{value:.2f}" if name in _COUNTED else f"{points(name, value):.2f}"


@dataclass(frozen=True)
class Overall:
    """Mean of the task scores.

    Attributes:
        mean: Over tasks, of each task's mean over seeds.
        std: Sample standard deviation over seeds of each seed's mean over tasks; None where the tasks do not all have
            the same seeds, or only one.
    """

    mean: float
    std: float | None


def overall(outcomes: Sequence[SettingOutcome]) -> Overall:
    """The score over tasks, which is the GLUE score where they are those of GLUE."""
    mean = glue_score([outcome.mean[SCORE] for outcome in outcomes])
    by_seed = [{run.seed: run.score for run in outcome.runs} for outcome in outcomes]
    seeds = by_seed[0].keys()
    if len(seeds) == 1 or any(scores.keys() != seeds for scores in by_seed):
        return Overall(mean, None)
    per_seed = [glue_score([scores[seed] for scores in by_seed]) for seed in seeds]
    return Overall(mean, float(np.std(per_seed, ddof=1)))


def overall_without_wnli(outcomes: Sequence[SettingOutcome]) -> Overall | None:
    """The same over the other tasks than WNLI, as most papers report; None where there is no other."""
    others = [outcome for outcome in outcomes if outcome.task != _WNLI]
    return overall(others) if others else None


def common_setting(outcomes: Sequence[SettingOutcome]) -> tuple[str, str]:
    """Model and data of outcomes that belong to one setting.

    Args:
        outcomes: One a task.

    Raises:
        InputError: If there is none, two are of one task, or models or data differ.
    """
    if not outcomes:
        raise InputError("runs: must be of at least one task, got none. Run a task.")
    settings = sorted({(outcome.model, outcome.data) for outcome in outcomes})
    if len(settings) > 1:
        (model, data), (other, other_data) = settings[:2]
        raise InputError(
            f"runs: must be of one model and data, got {model!r} on {data!r} and {other!r} on {other_data!r}. "
            "Keep them apart."
        )
    task, times = Counter(outcome.task for outcome in outcomes).most_common(1)[0]
    if times > 1:
        raise InputError(f"runs: each task must have one outcome, got {task!r} {times} times. Put its runs together.")
    return settings[0]
