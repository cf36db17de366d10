"""The tasks: fields, label codes, splits, metrics and the hub's name of each, in one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from design_space.errors import InputError, did_you_mean
from finetune.rows import superglue
from finetune.rows.superglue import Row


class Problem(StrEnum):
    """What is predicted.

    Attributes:
        CLASSIFICATION: One of the labels.
        REGRESSION: A number on a scale.
        CHOICE: One of the texts; the first field goes with each of the others.
        ANSWER: A stretch of a text.
        TEXT: A text of its own words.
    """

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    CHOICE = "choice"
    ANSWER = "answer"
    TEXT = "text"


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        name: Lower case; of its folder too.
        text_fields: Fields of text that are read: one, or a pair, or for a choice the text and what may follow it.
        labels: Name of each label code, from 0; empty where what is predicted is no code.
        metrics: Names from `finetune.metrics`; their mean is the score.
        problem: What is predicted.
        value_range: Smallest and greatest value of a regression.
        validation_splits: Names of the splits with labels to score on. The first is the score; MNLI has a second.
        test_splits: Names of the splits whose predictions are handed in, in the same order.
        hub_name: Data set of the hub; None where it has none.
        hub_config: Its configuration; None where it has only one.
        group_field: Field that is equal in the rows that are scored together; None where each row stands for itself.
        convert: Makes the rows that are read from a raw one; None where they are the same.
    """

    name: str
    text_fields: tuple[str, ...]
    labels: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)
    problem: Problem = Problem.CLASSIFICATION
    value_range: tuple[float, float] = (0.0, 5.0)
    validation_splits: tuple[str, ...] = ("validation",)
    test_splits: tuple[str, ...] = ("test",)
    hub_name: str | None = None
    hub_config: str | None = None
    group_field: str | None = None
    convert: Callable[[Row], list[Row]] | None = None

    @property
    def is_regression(self) -> bool:
        """True where the label is a number on a scale."""
        return self.problem is Problem.REGRESSION

    @property
    def validation_split(self) -> str:
        """Name of the split that is scored."""
        return self.validation_splits[0]

    @property
    def num_outputs(self) -> int:
        """Outputs that a model needs for a text: one for each label, a value, a choice's worth, or start and end."""
        others = {Problem.REGRESSION: 1, Problem.CHOICE: 1, Problem.ANSWER: 2}
        return others.get(self.problem, len(self.labels))


_ENTAILMENT = ("entailment", "not_entailment")
_PAIR = ("sentence1", "sentence2")
_FALSE_TRUE = ("False", "True")
_ACCURACY_F1 = ("accuracy", "f1")
_ACCURACY_MACRO_F1 = ("accuracy", "macro_f1")


def _benchmark(hub_name: str, *tasks: Task) -> dict[str, Task]:
    """Tasks by name; the hub's configurations bear these names where a task gives no other."""
    return {task.name: replace(task, hub_name=hub_name, hub_config=task.hub_config or task.name) for task in tasks}


GLUE = _benchmark(
    "nyu-mll/glue",
    Task("cola", ("sentence",), ("unacceptable", "acceptable"), ("matthews",)),
    Task("sst2", ("sentence",), ("negative", "positive")),
    Task("mrpc", _PAIR, ("not_equivalent", "equivalent"), _ACCURACY_F1),
    Task("stsb", _PAIR, (), ("pearson", "spearman"), Problem.REGRESSION),
    Task("qqp", ("question1", "question2"), ("not_duplicate", "duplicate"), _ACCURACY_F1),
    Task(
        "mnli",
        ("premise", "hypothesis"),
        ("entailment", "neutral", "contradiction"),
        validation_splits=("validation_matched", "validation_mismatched"),
        test_splits=("test_matched", "test_mismatched"),
    ),
    Task("qnli", ("question", "sentence"), _ENTAILMENT),
    Task("rte", _PAIR, _ENTAILMENT),
    Task("wnli", _PAIR, ("not_entailment", "entailment")),
)

# RTE is in both benchmarks, here with other fields: so it bears the benchmark's name.
SUPERGLUE = _benchmark(
    "aps/super_glue",
    Task("boolq", ("question", "passage"), _FALSE_TRUE),
    Task("cb", ("premise", "hypothesis"), ("entailment", "contradiction", "neutral"), _ACCURACY_MACRO_F1),
    Task(
        "copa",
        ("premise", "choice1", "choice2"),
        ("choice1", "choice2"),
        problem=Problem.CHOICE,
        convert=superglue.copa,
    ),
    Task(
        "multirc",
        ("paragraph", "question_answer"),
        _FALSE_TRUE,
        ("f1", "exact_match"),
        group_field="group",
        convert=superglue.multirc,
    ),
    Task(
        "record",
        ("passage", "query"),
        _FALSE_TRUE,
        ("token_f1", "exact_match"),
        group_field="group",
        convert=superglue.record,
    ),
    Task("superglue_rte", ("premise", "hypothesis"), _ENTAILMENT, hub_config="rte"),
    Task("wic", _PAIR, _FALSE_TRUE, convert=superglue.wic),
    Task("wsc", ("text",), _FALSE_TRUE, hub_config="wsc.fixed", convert=superglue.wsc),
)

_squad = Task("squad", ("question", "context"), (), ("exact_match", "token_f1"), Problem.ANSWER, test_splits=())
SQUAD = {name: replace(_squad, name=name, hub_name=f"rajpurkar/{name}") for name in ("squad", "squad_v2")}

# Rows of one's own alone: a question or a source, and the text that it leads to.
TEXT_TASKS = {
    name: Task(name, (field,), (), ("exact_match", "token_f1"), Problem.TEXT)
    for name, field in (("closed_book_qa", "question"), ("seq2seq", "source"))
}

# The public copies of restaurant_sup and agnews_sup have no validation split.
TRIO = {
    task.name: task
    for task in (
        Task("restaurant_sup", ("sentence", "aspect"), ("negative", "neutral", "positive"), _ACCURACY_MACRO_F1),
        Task(
            "acl_sup",
            ("text",),
            ("Background", "CompareOrContrast", "Extends", "Future", "Motivation", "Uses"),
            _ACCURACY_MACRO_F1,
        ),
        Task("agnews_sup", ("text",), ("World", "Sports", "Business", "Sci/Tech"), _ACCURACY_MACRO_F1),
    )
}

TASKS = GLUE | SUPERGLUE | SQUAD | TRIO


def _letters(name: str) -> str:
    """What tells one name from another: its letters and digits."""
    return name.lower().replace("-", "").replace("_", "")


_BY_LETTERS = {_letters(name): task for name, task in TASKS.items()}


def parse_tasks(names: str) -> list[Task]:
    """Tasks from a comma-separated list, or `all` those of GLUE.

    Args:
        names: Such as "cola,mrpc" or "CoLA, STS-B".

    Returns:
        The tasks in the order given, without repeats.

    Raises:
        InputError: If a name is unknown, with the nearest one.
    """
    if names == "all":
        return list(GLUE.values())
    parts = [name.strip() for name in names.split(",") if name.strip()]
    if not parts:
        raise InputError(
            "tasks: must name at least one task, got none. Give 'all' or some of " + ", ".join(TASKS) + "."
        )
    return list(dict.fromkeys(map(find_task, parts)))


def find_task(name: str) -> Task:
    """The task of a name, written as here or as in papers: `SST-2`, `STS-B`, `ReCoRD`.

    Raises:
        InputError: If it is unknown, with the nearest name.
    """
    if task := _BY_LETTERS.get(_letters(name)):
        return task
    raise InputError(f"task: must be one of {', '.join(TASKS)}, got {name!r}.{did_you_mean(name, TASKS)}")


def label_code(task: Task, label: object) -> float | None:
    """The code of a label as data give it: a code, a name, or true and false.

    Args:
        task: Says what its labels are; one that predicts an answer has none.
        label: As it stands in a row, None where the row has no such field.

    Returns:
        The code from 0, an int, or the value of a regression; None where the row has no label, as in the test splits:
        there it is −1, absent or empty.

    Raises:
        InputError: If it is none of these, with the codes and their names.

    Example:
        >>> [label_code(GLUE["mnli"], label) for label in (2, "neutral", -1)]
        [2, 1, None]
    """
    if label is None or label == "" or label == -1 or label != label:  # NaN is how pandas says absent
        return None
    if isinstance(label, str) and label in task.labels:
        return task.labels.index(label)
    if isinstance(label, bool) and task.labels == _FALSE_TRUE:
        return int(label)
    low, high = task.value_range
    if isinstance(label, int | float) and not isinstance(label, bool):
        if task.is_regression and low <= label <= high:
            return float(label)
        if label in range(len(task.labels)):
            return int(label)
    raise InputError(f"{label_rule(task)}, got {label!r:.40}.")


def label_rule(task: Task) -> str:
    """What a label of the task must be, for refusals."""
    low, high = task.value_range
    codes = ", ".join(f"{code} ({name})" for code, name in enumerate(task.labels))
    return f"label of {task.name} must be " + (
        f"a number from {low:g} to {high:g}" if task.is_regression else f"one of {codes}"
    )


def glue_score(scores: Sequence[float]) -> float:
    """GLUE score: the mean of the task scores."""
    return sum(scores) / len(scores)
