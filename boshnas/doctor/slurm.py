"""A SLURM cluster, as seen from here."""

import secrets
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from boshnas.doctor.checks import Check, ask, failure, ok, warning
from boshnas.errors import InputError
from boshnas.executors.slurm import SlurmSettings
from boshnas.executors.slurm.commands import OPTION, check_partition

_COMMANDS = ("sbatch", "squeue", "sinfo", "scontrol", "scancel")
_JOB_TIMEOUT_S = 120.0
_WAIT_INTERVAL_S = 0.5
_PLACES = ("--partition=", "--account=", "--qos=", "--reservation=", "--constraint=", "--nodelist=", "--exclude=")
# Of nodes that take jobs, now or later.
_GOOD_NODES = ("idle", "mixed", "allocated", "completing", "reserved", "planned")


def check_slurm(settings: SlurmSettings) -> Iterator[Check]:
    """Whether the commands are there, the controller answers, and the partitions fit and take jobs.

    Args:
        settings: What every job of a search would ask for.
    """
    absent = [name for name in _COMMANDS if shutil.which(name) is None]
    if absent:
        yield failure("slurm", f"{', '.join(absent)} not found", "Run this on a login node, or load SLURM's module.")
        return
    is_sound, said = ask(["sbatch", "--version"])
    if not is_sound:
        yield failure("slurm", said, "Check that SLURM_CONF names the cluster's slurm.conf.")
        return
    yield ok("slurm", said)
    is_up, said = ask(["sinfo", "--all", "--noheader", "--format=%P|%a|%T|%D"])
    if not is_up:
        yield failure("slurm controller", said, "Ask the administrator whether slurmctld runs, and check SLURM_CONF.")
        return
    try:
        check_partition(settings)
    except InputError as error:
        message, _, way_out = str(error).removeprefix(f"{OPTION}: ").rpartition(". ")
        yield failure("slurm partition", message, way_out)
    else:
        yield _partition([line.split("|") for line in said.splitlines() if line.count("|") == 3], settings.partition)
    yield _accounting()


def _partition(rows: Sequence[Sequence[str]], wanted: str | None) -> Check:
    """Whether one of the wanted partitions takes jobs; the cluster has them.

    Args:
        rows: Of sinfo: partition (`*`: the default), whether it is up, state of nodes, their number.
        wanted: Several with commas; None: the default.
    """
    names = [name.rstrip("*") for name, *_ in rows if name.endswith("*")] if wanted is None else wanted.split(",")
    own = [(name.rstrip("*"), *rest) for name, *rest in rows if name.rstrip("*") in names]
    up = [row for row in own if row[1] == "up"]
    said = ", ".join(dict.fromkeys(f"{name} is {availability}" for name, availability, *_ in own))
    if not up:
        others = ", ".join(dict.fromkeys(name.rstrip("*") for name, availability, *_ in rows if availability == "up"))
        return failure("slurm partition", said, f"Set another partition: {others or 'none is up'}.")
    nodes = ", ".join(f"{count} {state}" for *_, state, count in up)
    if not any(state.rstrip("*~#!%$@^-+") in _GOOD_NODES for *_, state, _ in up):
        return warning(
            "slurm partition", f"{said}, with no node that takes jobs ({nodes})", "Ask when its nodes come back."
        )
    return ok("slurm partition", f"{said} ({nodes})")


def _accounting() -> Check:
    is_told, said = ask(["scontrol", "show", "config"])
    line = next((line for line in said.splitlines() if line.startswith("AccountingStorageType")), "") if is_told else ""
    kind = line.partition("=")[2].strip()
    if "slurmdbd" in kind:
        return ok("slurm accounting", "on")
    return warning(
        "slurm accounting",
        "off: some minutes after its end SLURM no longer knows why a job ended; its own files and log must tell",
        "Nothing need be done; an administrator can set up slurmdbd.",
    )


def check_submission(folder: Path, options: Sequence[str]) -> Iterator[Check]:
    """Run a job that writes a file into the run's folder, and see whether it comes back.

    Args:
        folder: To share with the nodes; made where it is absent.
        options: Words for sbatch, as evaluations are submitted with; of these the job is given who pays and where.
    """
    token = secrets.token_hex(8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / f".doctor.{token}"
    script = f"umask 077; echo {token} > {shlex.quote(str(path))}"
    words = ["sbatch", "--parsable", "--job-name=boshnas-doctor", "--output=/dev/null", "--time=2"]
    words += [word for word in options if word.startswith(_PLACES)]
    is_queued, said = ask([*words, f"--wrap={script}"])
    if not is_queued:
        yield failure("slurm job", f"sbatch refused one: {said}", "Correct account, partition and qos of the config.")
        return
    number = said.partition(";")[0]
    try:
        yield _shared(path, token, number)
    finally:
        ask(["scancel", number])
        path.unlink(missing_ok=True)


def _shared(path: Path, token: str, number: str) -> Check:
    deadline = time.monotonic() + _JOB_TIMEOUT_S
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().strip() == token:
            return ok("slurm job", f"job {number} wrote into {path.parent}, seen from here")
        is_listed, state = ask(["squeue", "--noheader", "--format=%T", f"--jobs={number}"])
        if not is_listed or not state:  # ended
            time.sleep(5 * _WAIT_INTERVAL_S)  # a network disk shows a new file somewhat later
            list(path.parent.iterdir())
            if path.exists():
                continue
            return failure(
                "slurm job",
                f"job {number} ended, and its file in {path.parent} is not seen from here",
                "Give a folder that login and compute nodes share, under the same path: --out FOLDER.",
            )
        time.sleep(_WAIT_INTERVAL_S)
    return warning(
        "slurm job",
        f"job {number} did not end within {_JOB_TIMEOUT_S:g} seconds",
        "Try again when the queue is shorter.",
    )
