"""What SLURM is told of every job, under its own names."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from boshnas.validation import Amount, Count

_TIME = re.compile(
    r"(?P<minutes>\d+)(:(?P<seconds>\d+))?"
    r"|(?P<hours_>\d+):(?P<minutes_>\d+):(?P<seconds_>\d+)"
    r"|(?P<days>\d+)-(?P<hours>\d+)(:(?P<minutes__>\d+)(:(?P<seconds__>\d+))?)?"
)
_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_MEMORY = re.compile(r"\d+[KMGT]?")
_WORD = re.compile(r"--(?P<name>[a-z][a-z0-9-]*)(=.*)?")
_KEYS = (
    "partition",
    "account",
    "qos",
    "gres",
    "time",
    "cpus_per_task",
    "mem",
    "constraint",
    "nodelist",
    "exclude",
    "reservation",
)
# What the executor says itself, or cannot work with.
_TAKEN = (
    *("job-name", "array", "output", "error", "open-mode", "parsable", "requeue", "no-requeue", "export"),
    *("wrap", "wait", "clusters", "chdir", "help", "usage", "version", "test-only", "input"),
)

Text = Annotated[str, Field(min_length=1)]


def _free(word: str) -> str:
    match = _WORD.fullmatch(word)
    if match is None:
        raise ValueError("must be --name or --name=value")
    # sbatch takes abbreviations.
    for key in _KEYS:
        if key.replace("_", "-").startswith(match["name"]):
            raise ValueError(f"has a key of its own, {key}")
    if any(name.startswith(match["name"]) for name in _TAKEN):
        raise ValueError("is for the executor to say")
    return word


def time_seconds(text: str) -> float:
    """Seconds of a time as SLURM writes it; infinite for `UNLIMITED`.

    Forms: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours`, `days-hours:minutes`,
    `days-hours:minutes:seconds`.

    Raises:
        ValueError: If it is none of these.

    Example:
        >>> time_seconds("90"), time_seconds("1:30:00"), time_seconds("2-12")
        (5400.0, 5400.0, 216000.0)
    """
    if text.upper() in ("UNLIMITED", "INFINITE"):
        return float("inf")
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("must be as SLURM writes it, for example 90 (minutes), 12:00:00 or 2-00:00:00")
    return float(sum(_SECONDS[name.rstrip("_")] * int(value) for name, value in match.groupdict("0").items()))


class SlurmSettings(BaseModel):
    """What every job of a search asks of SLURM, and how the search looks after it.

    Attributes:
        partition: Or several with commas; None: the cluster's default.
        account: Who pays.
        qos: Quality of service.
        gres: Generic resources, for example `gpu:a100:1`.
        time: Limit of one job, in SLURM's forms (see `time_seconds`), in quotes; None: the partition's default.
        cpus_per_task: Processors, and the threads that a worker is told to use; None: SLURM's default.
        mem: Memory, for example `64G`; without a unit in megabytes.
        constraint: Features that a node must have.
        nodelist: Nodes to use.
        exclude: Nodes not to use.
        reservation: To run in.
        max_in_flight: Most jobs that wait or run in SLURM at a time.
        setup: Lines of bash, each a whole command, run before the worker; a failure of one fails the job.
        extra: Further words for sbatch, each `--name` or `--name=value`.
        requeue: Whether SLURM may start a job again by itself after preemption or the loss of a node.
        cancel_on_exit: Whether the jobs are ended with the search; else the next search on the folder takes them over.
        poll_seconds: Between two questions to SLURM after a change; grows up to a minute while nothing changes.
        grace_seconds: How long a result is awaited after a job has ended: files of a network disk come late.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: Text | None = None
    account: Text | None = None
    qos: Text | None = None
    gres: Text | None = None
    time: Text | None = None
    cpus_per_task: Count | None = None
    mem: Text | None = None
    constraint: Text | None = None
    nodelist: Text | None = None
    exclude: Text | None = None
    reservation: Text | None = None
    max_in_flight: Count = 8
    setup: list[str] = []
    extra: list[Annotated[str, AfterValidator(_free)]] = []
    requeue: bool = True
    cancel_on_exit: bool = True
    poll_seconds: Amount = 5.0
    grace_seconds: Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)] = 60.0

    @field_validator("time", mode="before")
    @classmethod
    def _quoted(cls, value: object) -> object:
        if isinstance(value, int | float):
            raise ValueError('must stand in quotes, for example "1:30:00": YAML reads it as a number otherwise')
        return value

    @field_validator("time")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None and not time_seconds(value) > 0:
            raise ValueError("must be more than nothing")
        return value

    @field_validator("mem")
    @classmethod
    def _sized(cls, value: str | None) -> str | None:
        if value is not None and not _MEMORY.fullmatch(value):
            raise ValueError("must be a number with K, M, G or T, or none for megabytes, for example 64G")
        return value

    def words(self) -> list[str]:
        """The words for sbatch."""
        values = [(key.replace("_", "-"), getattr(self, key)) for key in _KEYS]
        requeue = "--requeue" if self.requeue else "--no-requeue"
        return [requeue, *(f"--{key}={value}" for key, value in values if value is not None), *self.extra]
