"""`python -m boshnas.doctor`: is this machine, and the cluster behind it, fit for a search?"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from boshnas.doctor.checks import Check, Outcome, run_checks
from boshnas.errors import InputError
from boshnas.writable import named_folder
from design_space.command_line import run_app

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples: boshnas doctor; boshnas doctor --executor slurm --executor-config slurm.yaml --out runs --submit"
)
def command(
    executor: Annotated[str, typer.Option(help="What is to run evaluations: local, slurm or ray.")] = "local",
    executor_config: Annotated[Path | None, typer.Option(help="Its settings, a YAML file.")] = None,
    out: Annotated[str, typer.Option(help="Folder of the run to come.", metavar="FOLDER")] = "runs",
    storage: Annotated[
        str | None,
        typer.Option(
            help="PostgreSQL database for the store: a file with its URL, or a URL without a password; else "
            "BOSHNAS_STORAGE, else SQLite."
        ),
    ] = None,
    submit: Annotated[
        bool, typer.Option("--submit", help="Run a SLURM job that writes into --out; at most 2 minutes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> int:
    """Check Python, packages, GPUs, disk, database and cluster: one line each, with a remedy where it is not well.

    Exit code 0 where nothing fails, 1 where something does, 2 where an option is wrong.
    """
    checks: list[Check] = []
    console = Console()
    with console.status("checking") if console.is_terminal and not as_json else nullcontext():
        for check in _checks(executor, executor_config, named_folder(out), storage, submit):
            checks.append(check)
            if not as_json:
                remedy = f". {check.remedy}" if check.remedy else ""
                sys.stdout.write(f"{check.status:8} {check.name}: {check.message}{remedy}\n")
                sys.stdout.flush()
    num_failures = sum(check.status is Outcome.FAILURE for check in checks)
    if as_json:
        content = {"failures": num_failures, "checks": [dataclasses.asdict(check) for check in checks]}
        sys.stdout.write(json.dumps(content) + "\n")
    return int(num_failures > 0)


def _checks(executor: str, config: Path | None, out: Path, storage: str | None, submit: bool) -> Iterator[Check]:
    from boshnas.doctor import database, disk, machine, ray, slurm  # with what takes seconds to import
    from boshnas.executors.config import load_executor_config
    from boshnas.executors.ray.settings import RaySettings
    from boshnas.executors.slurm import SlurmSettings
    from boshnas.store import given_database

    if submit and executor != "slurm":
        raise InputError(f"--submit: must go with --executor slurm, got {executor!r}. Leave it out.")
    settings = load_executor_config(executor, config)
    named = None if storage is None else given_database(storage, os.environ)
    yield from run_checks("python", machine.check_python)
    yield from run_checks("gpus", machine.check_gpus)
    yield from run_checks("cores", machine.check_cores_and_memory)
    yield from run_checks("disk", lambda: disk.check_disk(out))
    yield from run_checks("database", lambda: database.check_storage(named))
    if isinstance(settings, RaySettings):
        yield from run_checks("ray", lambda: ray.check_ray(settings))
    if isinstance(settings, SlurmSettings):
        found = list(run_checks("slurm", lambda: slurm.check_slurm(settings)))
        yield from found
        # A job that the cluster's own faults refuse would only tell them again.
        if submit and all(check.status is not Outcome.FAILURE for check in found):
            yield from run_checks("slurm job", lambda: slurm.check_submission(out, settings.words()))


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    return run_app(app, "boshnas doctor", words, InputError)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
