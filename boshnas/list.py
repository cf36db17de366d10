"""`python -m boshnas.list [FOLDER]`: the runs in a folder, and how far each is."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from boshnas.errors import InputError
from design_space.command_line import run_app

app = typer.Typer(add_completion=False)


@app.command(epilog="Examples: boshnas list; boshnas list /data/runs --json")
def command(
    folder: Annotated[Path, typer.Argument(help="With runs in it, or one run.")] = Path("runs"),
    storage: Annotated[
        str | None,
        typer.Option(help="File with the URL of the database that some runs have their store in; or BOSHNAS_STORAGE."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """List the runs in a folder, newest first: how far each is, its best score, and whether it runs.

    A run is only read; one that cannot be says why.
    """
    # What reads a store takes a second to import: --help does not wait for it.
    from boshnas.list_command import run_list
    from boshnas.store import given_database

    return run_list(folder, given_database(storage, os.environ), as_json)


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    return run_app(app, "boshnas list", words, InputError)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
