"""`python -m boshnas.show RUN`: a search, or one architecture of it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from boshnas.errors import InputError
from design_space.command_line import run_app

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples: boshnas show runs/my-run --top 10; boshnas show runs/my-run --id 03a466b59d370a75; "
    "boshnas show runs/my-run --number 3 --json"
)
def command(
    run: Annotated[Path, typer.Argument(help="Folder of a search, which may be running.")],
    id: Annotated[str | None, typer.Option(help="Tell everything about this architecture.")] = None,
    number: Annotated[int | None, typer.Option(help="Tell everything about the evaluation of this number.")] = None,
    top: Annotated[int | None, typer.Option(help="So many of the best; 5 by default.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="File with the URL of the run's database, if it has one; or BOSHNAS_STORAGE.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Show a search: its settings, its best, counts by status and level; or all that is known of one architecture.

    The run is only read.
    """
    # What reads a store takes a second to import: --help does not wait for it.
    from boshnas.show_command import ShowOptions, run_show
    from boshnas.store import given_database

    options = ShowOptions(run=run, id=id, number=number, top=top, as_json=as_json)
    return run_show(options, given_database(storage, os.environ))


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    return run_app(app, "boshnas show", words, InputError)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
