"""The work of `python -m boshnas.list`: reads each run, tells of all in a table."""

import dataclasses
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from boshnas.errors import one_line
from boshnas.overview import Overview, newest_first, read_overview, run_folders
from boshnas.store import Database
from boshnas.wording import harmless, number

PLAIN_WIDTH = 100_000
"""Characters a line where there is no terminal: what is piped has all its columns."""
_TABLE_WIDTH = 100
_COLUMNS = ("run", "state", "done", "failed", "running", "best", "score", "architecture", "space", "begun")


def run_list(folder: Path, database: Database | None, as_json: bool) -> int:
    """List the runs in a folder; 0.

    Raises:
        InputError: If it is no folder that can be read.
    """
    folders = run_folders(folder)
    bar = Console(stderr=True)
    is_told = bar.is_terminal and len(folders) > 1
    steps = track(folders, "reading runs", console=bar, transient=True) if is_told else folders
    found = newest_first([read_overview(each, database) for each in steps])
    if as_json:
        sys.stdout.write(json.dumps({"folder": str(folder), "runs": [_entry(one) for one in found]}) + "\n")
        return 0
    console = Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    readable = [one for one in found if one.error is None]
    if readable:
        _print_runs(readable, console)
    for one in found:
        if one.error is not None:
            _say(console, f"{one.name}: cannot be read: {one.error}")
    if not found:
        _say(console, f"No run in {folder}. Begin one: boshnas run --space flexibert_mini")
    return 0


def _entry(one: Overview) -> dict[str, object]:
    return dataclasses.asdict(one) | {"begun": one.begun and one.begun.isoformat(timespec="seconds")}


def _print_runs(found: list[Overview], console: Console) -> None:
    """A table, or where the terminal is narrow a few lines each."""
    rows = [_cells(one) for one in found]
    if console.width < _TABLE_WIDTH:
        for cells in rows:
            name, state, done, failed, running, best, score, architecture, space, begun = map(one_line, cells)
            _say(console, f"{name}: {state}, {done} done, {failed} failed, {running} running")
            _say(console, f"  {f'best {score} {best} ({architecture})' if best else 'no score yet'}")
            _say(console, f"  {space}, begun {begun or 'not yet'}")
        return
    table = Table(box=None)
    for name in _COLUMNS:
        is_number = name in ("done", "failed", "running", "best")
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True, overflow="ellipsis")
    for cells in rows:
        table.add_row(*(escape(one_line(cell)) for cell in cells))
    console.print(table)


def _cells(one: Overview) -> tuple[str, ...]:
    """What stands in the columns."""
    return (
        one.name,
        one.state,
        f"{one.num_finished + one.num_failed}" + (f" of {one.budget}" if one.budget is not None else ""),
        str(one.num_failed),
        str(one.num_running),
        "" if one.best_score is None else number(one.best_score),
        one.score_name,
        one.best_id or "",
        one.space,
        "" if one.begun is None else one.begun.isoformat(" ", timespec="minutes"),
    )


def _say(console: Console, line: str) -> None:
    console.print(harmless(line), highlight=False, markup=False, soft_wrap=True)
