"""`python -m boshnas.dashboard`: Optuna's dashboard of a run, which it can read and not change."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from boshnas.errors import InputError
from design_space.command_line import run_app

DEFAULT_PORT = 8080
_EXAMPLES = "Examples: boshnas dashboard runs/RUN; on a cluster: ssh -L 8080:127.0.0.1:8080 NODE, and the same there"

app = typer.Typer(add_completion=False)


@app.command(epilog=_EXAMPLES)
def command(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    port: Annotated[
        int | None,
        typer.Option(help=f"To listen on; {DEFAULT_PORT} or the next that is free by default.", min=1, max=65535),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any other than 127.0.0.1 lets others read the run.")
    ] = "127.0.0.1",
    storage: Annotated[
        str | None,
        typer.Option(help="Where the run's store lies if in PostgreSQL, as of `boshnas run`."),
    ] = None,
) -> int:
    """Serve Optuna's dashboard of a run until Ctrl-C; print its address first.

    A run that still goes on may be looked at; nothing of it is changed.
    """
    from boshnas.dashboard_server import serve  # with the extra, and what takes a second to import
    from boshnas.store import given_database, place

    database = given_database(storage, os.environ)
    return serve(place(run, database), host, port, DEFAULT_PORT)


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    return run_app(app, "boshnas dashboard", words, InputError)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
