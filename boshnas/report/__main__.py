"""`python -m boshnas.report RUN`: what a search found, as one page that needs no network, or as text and data."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from boshnas.errors import InputError
from boshnas.report.target import STDOUT, Format, check_target, chosen_format
from design_space.command_line import run_app

_EPILOG = (
    "Examples: boshnas report runs/mini; boshnas report runs/mini --format md --out -; "
    "boshnas report runs/mini --out trials.csv"
)

app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def command(
    run: Annotated[Path, typer.Argument(help="Folder of a search; it may still be going on.", show_default=False)],
    out: Annotated[
        str | None, typer.Option(help="File to write, or - for the standard output; RUN/report.FORMAT by default.")
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            help="html: the page; md, json: the same facts; csv: one row a trial. By --out's ending, or html."
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="PostgreSQL database of the run's store: a file with its URL, or a URL without a password; else "
            "BOSHNAS_STORAGE."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> int:
    """Write a report of a search: its best architecture, how it was found, and what the search believes.

    The run is read and not changed; a report that is there is replaced once the new one is whole.
    """
    chosen = chosen_format(out, format)
    if out == STDOUT and as_json:
        raise InputError(f"--json: must not be given with --out {STDOUT}, which prints the report. Leave one out.")
    target = Path(out) if out is not None else run / f"report.{chosen.value}"
    if out not in (None, STDOUT):
        check_target(target, run)
    # These bring plotly, scikit-learn and the store, some seconds: --help does not wait for them.
    from boshnas.report.write import report_text, write_report
    from boshnas.saved_run import Run
    from boshnas.store import given_database

    opened = Run.open(run, given_database(storage, os.environ))
    if out == STDOUT:
        sys.stdout.write(report_text(opened, chosen))
        return 0
    write_report(opened, target, chosen)
    if as_json:
        summary = {"report": str(target), "format": chosen.value, "num_evaluations": len(opened.trials)}
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        sys.stdout.write(f"Report: {target}\n")
    return 0


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    return run_app(app, "boshnas report", words, InputError)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
