"""The tasks of GLUE: fields, label codes and metrics, as the Hugging Face data set `nyu-mll/glue` has them."""

from collections.abc import Sequence
from dataclasses import dataclass

from design_space.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        name: As in GLUE, lower case.
        text_fields: One or two fields of text.
        labels: Name of each label code, from 0; empty for a regression.
        metrics: Their mean is the score.
        validation_split: Name of the split that is scored.
        value_range: Smallest and greatest value of a regression.
    """

    name: str
    text_fields: tuple[str, ...]
    labels: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)
    validation_split: str = "validation"
    value_range: tuple[float, float] = (0.0, 5.0)

    @property
    def is_regression(self) -> bool:
        """True where the label is a number on a scale."""
        return not self.labels

    @property
    def num_outputs(self) -> int:
        """Outputs that a model needs."""
        return max(1, len(self.labels))


_ENTAILMENT = ("entailment", "not_entailment")

GLUE: dict[str, Task] = {
    task.name: task
    for task in (
        Task("cola", ("sentence",), ("unacceptable", "acceptable"), ("matthews",)),
        Task("sst2", ("sentence",), ("negative", "positive")),
        Task("mrpc", ("sentence1", "sentence2"), ("not_equivalent", "equivalent"), ("accuracy", "f1")),
        Task("stsb", ("sentence1", "sentence2"), (), ("pearson", "spearman")),
        Task("qqp", ("question1", "question2"), ("not_duplicate", "duplicate"), ("accuracy", "f1")),
        Task(
            "mnli",
            ("premise", "hypothesis"),
            ("entailment", "neutral", "contradiction"),
            validation_split="validation_matched",
        ),
        Task("qnli", ("question", "sentence"), _ENTAILMENT),
        Task("rte", ("sentence1", "sentence2"), _ENTAILMENT),
        Task("wnli", ("sentence1", "sentence2"), ("not_entailment", "entailment")),
    )
}


def parse_tasks(names: str) -> list[Task]:
    """Tasks from a comma-separated list, or `all`.

    Args:
        names: Such as "cola,mrpc".

    Returns:
        The tasks in the order given, without repeats.

    Raises:
        InputError: If a name is unknown, with the nearest one.
    """
    if names == "all":
        return list(GLUE.values())
    parts = [name.strip().lower() for name in names.split(",") if name.strip()]
    if not parts:
        raise InputError("tasks: must name at least one task, got none. Give 'all' or some of " + ", ".join(GLUE) + ".")
    return [find_task(name) for name in dict.fromkeys(parts)]


def find_task(name: str) -> Task:
    """The task of a name.

    Raises:
        InputError: If it is unknown, with the nearest name.
    """
    if name in GLUE:
        return GLUE[name]
    raise InputError(f"task: must be one of {', '.join(GLUE)}, got {name!r}.{did_you_mean(name, GLUE)}")


def glue_score(scores: Sequence[float]) -> float:
    """GLUE score: the mean of the task scores."""
    return sum(scores) / len(scores)
