"""SLURM's own commands, each with a time limit and an output that programs can read."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from boshnas.errors import InputError
from boshnas.executors.slurm.settings import SlurmSettings, time_seconds
from boshnas.executors.slurm.states import FINAL_STATES, Entry, returncode

OPTION = "--executor slurm"
"""What a person wrote to get here, for messages."""
_PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")
_TIMEOUT_S = 30
_SUBMIT_TIMEOUT_S = 120  # sbatch itself waits and tries again while SLURM is busy
_FIELDS = "JobArrayID:|,State:|,Reason:|,exit_code:|,Name:"
_LINE = r"(?P<id>\d+(_(?P<task>\d+))?)\|(?P<state>[^|]*)\|(?P<reason>[^|]*)\|(?P<code>[\d:]+)\|"
# A controller that is down, busy or moved; and limits on waiting jobs, which pass when some end.
_PASSING = re.compile(
    "Unable to contact|timed out|temporarily|Connection (refused|reset)|Zero Bytes|standby mode|[Aa]uthentication"
    "|MaxSubmitJob|GrpSubmitJob|Unexpected message|Transport endpoint|communication"
)


class UnavailableError(Exception):
    """SLURM does not answer now, or cannot take a job now; what was asked of it may have happened all the same."""


def check_cluster(settings: SlurmSettings) -> dict[str, str]:
    """Refuse what no job could be submitted with; nothing is submitted.

    Returns:
        The cluster's configuration: value by name.

    Raises:
        InputError: If SLURM's commands are missing or do not answer, or the settings do not fit the cluster.
    """
    _require_programs()
    with answering():
        check_partition(settings)
        return _configuration()


@contextmanager
def answering() -> Iterator[None]:
    """Refuse a SLURM that does not answer at the start, where it is not waited for.

    Raises:
        InputError: In place of an UnavailableError.
    """
    try:
        yield
    except UnavailableError as error:
        raise InputError(
            f"{OPTION}: SLURM must answer, got {str(error)!r}. Look at it by sinfo, or try later."
        ) from None


def _require_programs() -> None:
    """Refuse a machine without SLURM's commands.

    Raises:
        InputError: If one is not on PATH.
    """
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise InputError(
                f"{OPTION}: {program} must be on PATH, got none. Start the search on a login node of the cluster."
            )


def _configuration() -> dict[str, str]:
    """The cluster's configuration: value by name.

    Raises:
        UnavailableError: If the controller does not answer.
    """
    lines = (line.partition("=") for line in _run(["scontrol", "show", "config"]).splitlines())
    return {name.strip(): value.strip() for name, equals, value in lines if equals}


def check_partition(settings: SlurmSettings) -> None:
    """Refuse a partition that there is not, and a time beyond its limit.

    Raises:
        InputError: If the settings do not fit the cluster.
        UnavailableError: If the controller does not answer.
    """
    rows = [row.split("|") for row in _run(["sinfo", "--all", "--noheader", "--format=%P|%l"]).split()]
    limits = {name.rstrip("*"): limit for name, limit in rows}
    default = [name.rstrip("*") for name, _ in rows if name.endswith("*")]
    asked = settings.partition.split(",") if settings.partition else default
    known = ", ".join(sorted(limits))
    if not asked:
        raise InputError(
            f"{OPTION}: partition must be given, this cluster has no default one, got None. Choose of: {known}."
        )
    for name in asked:
        if name not in limits:
            raise InputError(f"{OPTION}: partition must be one of the cluster's, got {name!r}. Choose of: {known}.")
    # A quality of service may allow more than the partition.
    if settings.time is None or settings.qos is not None:
        return
    longest = max((limits[name] for name in asked), key=_limit_seconds)
    if time_seconds(settings.time) > _limit_seconds(longest):
        raise InputError(
            f"{OPTION}: time must be at most {longest}, the limit of partition {','.join(asked)}, "
            f"got {settings.time!r}. Lower it or choose another partition."
        )


def sbatch(words: Sequence[str], script: str, environment: Mapping[str, str]) -> str:
    """Submit a job or an array of jobs; its id.

    Raises:
        InputError: If SLURM refuses it.
        UnavailableError: If it cannot take a job now; it may have taken it all the same.
    """
    try:
        output = _run(["sbatch", "--parsable", *words], script, environment, _SUBMIT_TIMEOUT_S)
    except _FailedError as error:
        raise InputError(
            f"{OPTION}: the executor's config must be one that sbatch takes, got {str(error)!r}. Correct it."
        ) from None
    return output.strip().splitlines()[-1].split(";")[0]


def squeue(prefix: str) -> dict[str, Entry]:
    """This user's jobs with names that begin so, by id: those in the queue and those that lately left it.

    Raises:
        UnavailableError: If the controller does not answer.
    """
    words = ["squeue", f"--user={os.getuid()}", "--array", "--states=all", "--noheader", f"--Format={_FIELDS}"]
    found = (_entry(line, prefix) for line in _run(words).splitlines())
    return {entry.id: entry for entry in found if entry is not None}


def sacct(ids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Final state and exit code of jobs that have ended, as far as the accounting knows them.

    Raises:
        UnavailableError: If the accounting does not answer.
    """
    words = ["sacct", f"--jobs={','.join(ids)}", "--allocations", "--noheader", "--parsable2"]
    rows = (line.split("|") for line in _run([*words, "--format=JobID,State,ExitCode"]).splitlines())
    # "CANCELLED by 1000"
    states = {id_: (state.split()[0], returncode(code)) for id_, state, code in rows}
    return {id_: found for id_, found in states.items() if found[0] in FINAL_STATES}


def scancel(ids: Iterable[str]) -> None:
    """End jobs; those that have ended are left alone.

    Raises:
        UnavailableError: If the controller does not answer.
    """
    _run(["scancel", "--quiet", *ids])


class _FailedError(UnavailableError):
    """A command failed for another reason than that SLURM does not answer."""


def _run(
    words: Sequence[str],
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> str:
    try:
        done = subprocess.run(
            words,
            input=text or "",
            capture_output=True,
            text=True,
            env=environment,
            timeout=timeout_s,
            check=True,
            start_new_session=True,  # a terminal's Ctrl-C asks the search alone
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{words[0]} has not answered for {timeout_s:g} seconds") from None
    except OSError as error:
        raise UnavailableError(f"{words[0]}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        message = " ".join(error.stderr.split()) or f"{words[0]} ended with return code {error.returncode}"
        kind = UnavailableError if _PASSING.search(message) else _FailedError
        raise kind(message) from None
    return done.stdout


def _entry(line: str, prefix: str) -> Entry | None:
    """One line of squeue; None where it is of another run, or is that of a whole array."""
    match = re.fullmatch(_LINE + re.escape(prefix) + r"(?P<first>\d+)-(?P<attempt>\d+)", line.strip())
    if match is None:
        return None
    return Entry(
        id=match["id"],
        number=int(match["first"]) + int(match["task"] or 0),
        attempt=int(match["attempt"]),
        state=match["state"],
        reason=match["reason"],
        returncode=returncode(match["code"]),
    )


def _limit_seconds(limit: str) -> float:
    """A partition's limit; one that is not told (`n/a`) is none."""
    try:
        return time_seconds(limit)
    except ValueError:
        return float("inf")
