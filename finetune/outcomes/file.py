"""The file that keeps a setting's runs: JSON that is checked when it is read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from design_space.errors import InputError
from design_space.files import written_whole
from finetune.outcomes.repeats import RunOutcome, SettingOutcome, common_setting, overall, overall_without_wnli
from finetune.output_folder import RESULT_FILE

SCHEMA = 1
"""Number of the layout."""


def to_json(outcomes: Sequence[SettingOutcome]) -> dict[str, Any]:
    """What the file holds, ready for `json.dumps`.

    Metrics and their intervals are fractions, scores and theirs are points. Means, deviations and the best seeds stand
    there for those who read the file without this module; reading it computes them anew.

    Args:
        outcomes: Of one setting, one a task.

    Returns:
        `schema`, `model`, `data`, `score` and `score_without_wnli` (each `{"mean", "std"}`, the second null where there
        is WNLI alone), and `tasks`, each with `task`, `mean`, `std`, `best_seed`, `runs`, `setting` and `test`. A `std`
        is null where there is one run, `test` where no test rows were scored.

    Raises:
        InputError: If they do not belong to one setting.
    """
    model, data = common_setting(outcomes)
    without = overall_without_wnli(outcomes)
    return {
        "schema": SCHEMA,
        "model": model,
        "data": data,
        "score": asdict(overall(outcomes)),
        "score_without_wnli": asdict(without) if without else None,
        "tasks": [
            {
                "task": outcome.task,
                "mean": outcome.mean,
                "std": outcome.std,
                "best_seed": outcome.best.seed,
                "runs": [asdict(run) for run in outcome.runs],
                "setting": json_ready(outcome.setting),
                "test": None if outcome.test is None else dict(outcome.test),
            }
            for outcome in outcomes
        ],
    }


def json_ready(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they come back from a JSON file: what JSON does not know, infinity and NaN too, is text.

    Example:
        >>> json_ready({"folder": Path("a"), "betas": (0.9, 0.99), "max_grad_norm": float("inf")})
        {'folder': 'a', 'betas': [0.9, 0.99], 'max_grad_norm': 'Infinity'}
    """
    ready: dict[str, Any] = json.loads(json.dumps(dict(values), default=str), parse_constant=str)
    return ready


def difference(kept: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """The first setting that a folder was begun with and that is another one now, for messages; None where all agree.

    Args:
        kept: Settings as JSON values; one that is not there is from before it was kept.
        given: Those of now, as JSON values.

    Example:
        >>> difference({"seed": 1, "bf16": False}, {"seed": 2, "bf16": False, "tuning": "full"})
        'seed 1, got 2'
    """
    for name, value in given.items():
        if name in kept and kept[name] != value:
            return f"{name} {kept[name]!r}, got {value!r}"
    return None


def write_outcomes(path: Path, outcomes: Sequence[SettingOutcome]) -> None:
    """Write the file whole or not at all; one that exists is replaced.

    Raises:
        InputError: If the outcomes do not belong to one setting, or the file cannot be written.
    """
    content = json.dumps(to_json(outcomes), indent=1, allow_nan=False)
    try:
        with written_whole(path) as file:
            file.write(content.encode())
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}. Give another file.") from None


def read_outcomes(path: Path) -> list[SettingOutcome]:
    """Read the outcomes of a setting, one a task, from its file or its folder.

    Raises:
        InputError: If the file is absent, or is not what `write_outcomes` writes.
    """
    if path.is_dir():
        path /= RESULT_FILE
    try:
        content = TypeAdapter(_File).validate_json(path.read_bytes())
        outcomes = [
            SettingOutcome(
                model=content.model,
                data=content.data,
                task=task.task,
                runs=tuple(task.runs),
                setting=task.setting,
                test=task.test,
            )
            for task in content.tasks
        ]
        common_setting(outcomes)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Give a file of repeated runs.") from None
    except ValidationError as error:
        raise InputError(f"{path}: must be a file of repeated runs, is not: {_problem(error)}.") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return outcomes


@dataclass
class _Task:
    task: str
    runs: list[RunOutcome]
    setting: dict[str, Any] = field(default_factory=dict)
    test: dict[str, float] | None = None
    mean: Any = None  # this and the rest follow from the runs
    std: Any = None
    best_seed: Any = None


@dataclass
class _File:
    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # holds for tasks and runs too

    schema: Literal[1]
    model: str
    data: str
    tasks: list[_Task]
    score: Any = None  # this and the rest follow from the tasks
    score_without_wnli: Any = None


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")  # of the outcomes' own checks
    return f"{place}: {reason}" if place else reason
