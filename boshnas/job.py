"""What the search asks of a worker (job.json) and what comes back (result.json)."""

import logging
import math
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from boshnas.errors import InputError
from boshnas.trial import Status
from boshnas.validation import first_fault
from boshnas.version import VERSION
from boshnas.whole_file import write_whole

SCHEMA_NUMBER = 2
JOB_FILE = "job.json"
RESULT_FILE = "result.json"
PROGRESS_FILE = "progress.json"
STARTED_FILE = "started"
"""Made in a job's folder when the job begins to run: until then it waits in a queue."""
SAVED_FILE = "saved.json"
JOBS_FOLDER = "jobs"
CHECKPOINT_FOLDER = "pretrained"
_logger = logging.getLogger(__name__)


def _finite(value: JsonValue) -> JsonValue:
    """JSON has no NaN and no infinity: they would be read back as something else."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        _finite(item)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be finite, got {value}")
    return value


def _or_null(value: JsonValue) -> JsonValue:
    """The value, null in place of each number that JSON does not have: who reads the store could read none of it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _or_null(inner) for key, inner in value.items()}
    return [_or_null(inner) for inner in value] if isinstance(value, list) else value


FiniteJson = Annotated[JsonValue, AfterValidator(_finite)]
Told = Annotated[JsonValue, AfterValidator(_or_null)]
"""What a worker tells beside its scores: a loss may be no number."""
MAX_SECONDS = 1e9
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
"""Wall-clock time that was measured: some of them still add up to what can be told."""
TaskScore = Annotated[float, Field(ge=-100, le=100)]
"""Points: 100 at most; below 0 a correlation may be."""
_Count = Annotated[int, Field(ge=0, le=10**15)]


class Parent(BaseModel):
    """A trained architecture whose weights a candidate starts from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    checkpoint: str
    overlap: Annotated[float, Field(ge=0, le=1)]


class Job(BaseModel):
    """One evaluation to run.

    Attributes:
        schema_number: Version of this format.
        version: Of the package that wrote it; the project's own worker refuses another, whose scores would not compare.
        number: Of the trial.
        attempt: Counts from 1; more where earlier ones failed.
        batch_split: Each batch is to be trained on in so many parts, gradients accumulated; doubled after each attempt
            that ran out of memory.
        id: Of the architecture.
        architecture: JSON description of it.
        seed: Of the training.
        parent: Whose weights to start from, if any.
        settings: What the worker trains and scores on; read by the worker alone.
        memory_bytes: What its tensors take at most, in pre-training or fine-tuning, whichever is larger; None: unknown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_number: int = SCHEMA_NUMBER
    version: str = VERSION
    number: Annotated[int, Field(ge=0)]
    id: str
    attempt: Annotated[int, Field(ge=1)] = 1
    batch_split: Annotated[int, Field(ge=1)] = 1
    architecture: dict[str, FiniteJson]
    seed: int
    parent: Parent | None = None
    settings: dict[str, FiniteJson]
    memory_bytes: Annotated[int, Field(gt=0)] | None = None


class Result(BaseModel):
    """The outcome of one evaluation; see `boshnas.trial.Trial` for the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_number: int = SCHEMA_NUMBER
    number: int
    id: str
    status: Status
    score: float | None = None
    task_scores: dict[str, TaskScore] = {}
    stage_seconds: dict[str, Seconds] = {}
    details: dict[str, Told] = {}
    error: str | None = None


class Saved(BaseModel):
    """What an attempt left to go on from: a newer one after a time limit says that another attempt gets further."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str
    step: int


class Progress(BaseModel):
    """Where a running worker is: `step` of `num_steps` in a stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str
    step: _Count
    num_steps: _Count


class _Schema(BaseModel):
    schema_number: int = 0


Model = TypeVar("Model", bound=BaseModel)


def job_folder(run_folder: Path, number: int) -> Path:
    """Where the files of an evaluation lie in a run's folder."""
    return run_folder / JOBS_FOLDER / f"{number:05d}"


def read_if_whole(path: Path, kind: type[Model]) -> Model | None:
    """A file that a worker may leave; None where there is none, or none that can be read."""
    try:
        return read_model(path, kind) if path.exists() else None
    except InputError as error:
        _logger.debug("%s", error)
        return None


def wall_seconds(folder: Path) -> float | None:
    """From the begin of a job to its result, by the clock of its folder's disk; None where one of them is not there."""
    try:
        return max(0.0, (folder / RESULT_FILE).stat().st_mtime - (folder / STARTED_FILE).stat().st_mtime)
    except OSError:
        return None


def write_model(path: Path, model: BaseModel) -> None:
    """Write a job, result or progress as JSON, whole or not at all."""
    write_whole(path, model.model_dump_json(indent=1))


def read_model(path: Path, kind: type[Model]) -> Model:
    """Read a job, result or progress.

    Raises:
        InputError: If the file is absent, is not of this form, or has a newer schema.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    _require_schema(path, content)
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        _, place, fault = first_fault(error)
        raise InputError(f"{path}: {place}: {fault}. Correct what writes it.") from None


def _require_schema(path: Path, content: bytes) -> None:
    """Tell a newer format before its unknown fields are told."""
    try:
        number = _Schema.model_validate_json(content).schema_number
    except ValidationError:
        return  # told with the rest of what is wrong
    if number > SCHEMA_NUMBER:
        raise InputError(
            f"{path}: schema_number must be at most {SCHEMA_NUMBER}, got {number}. "
            f"It was written by a newer version than this one, {VERSION}: install the same on every machine."
        )
