"""A report as a file that is whole or not there."""

import logging
import sys
from pathlib import Path

from boshnas.errors import InputError, one_line
from boshnas.report.facts import facts
from boshnas.report.page import page
from boshnas.report.plots import panels
from boshnas.report.target import Format, check_target
from boshnas.report.texts import as_json, as_markdown
from boshnas.saved_run import Run
from boshnas.store import Database
from boshnas.whole_file import write_whole

_logger = logging.getLogger(__name__)

REPORT_FILE = "report.html"
"""In a run's folder, as a search leaves it at its end."""


def report_text(run: Run, format: Format) -> str:
    """A run's report; CSV has one row a trial, the others the same facts."""
    if format is Format.CSV:
        return run.to_pandas().to_csv(index=False)
    known, drawn = facts(run), panels(run)
    if format is Format.JSON:
        return as_json(known, drawn)
    return as_markdown(known, drawn) if format is Format.MD else page(known, drawn, run.folder)


def write_report(run: Run, target: Path, format: Format = Format.HTML) -> None:
    """Write a run's report; what was there before stays until the new one is whole.

    Args:
        run: As it is now; it may still be going on.
        target: File; its folder must exist.
        format: What to write.

    Raises:
        InputError: If the file cannot be written.
    """
    check_target(target, run.folder)
    content = report_text(run, format)
    try:
        write_whole(target, content)
    except OSError as error:
        raise InputError(
            f"--out: {str(target)!r} cannot be written ({error.strerror}). Make room, or give another file."
        ) from None


def write_final_report(folder: Path, database: Database | None = None) -> Path | None:
    """Write the report of a search that has ended into its folder; a search is good without it.

    Returns:
        The file; None where it cannot be written, which is told.
    """
    target = folder / REPORT_FILE
    try:
        write_report(Run.open(folder, database), target)
    except InputError as error:
        sys.stderr.write(f"The report is not written: {error}\n")
        return None
    except Exception as error:  # whatever a figure cannot draw, what was found is still to be told
        _logger.debug("no report", exc_info=error)
        sys.stderr.write(f"The report is not written: {type(error).__name__}: {one_line(str(error))}\n")
        return None
    return target
