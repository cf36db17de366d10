"""Where a command gets its table from, and how it tells what it has read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from boshnas.errors import InputError
from boshnas.table import Table
from boshnas.wording import counted

PLAIN_WIDTH = 100_000
"""Characters a line where there is no terminal: what is piped has all its columns."""


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """A table and the use of its columns, as typed on a command line; lists of columns are comma-separated.

    Attributes:
        table: A file, or the name of a shipped table.
        objective: Column to optimise; None for a shipped table's own.
        minimize: Less is better.
        features: Columns that describe an architecture.
        ignore: Columns that are no features.
        noise_std: Column with the objective's standard deviation.
        repeats: Columns of repeated measurements; the objective is their mean where none is named.
        id: Column of identifiers.
        cost: Column with what a measurement costs.
        constraints: Limits such as `params<=5e6`.
    """

    table: str
    objective: str | None = None
    minimize: bool = False
    features: str | None = None
    ignore: str | None = None
    noise_std: str | None = None
    repeats: str | None = None
    id: str | None = None
    cost: str | None = None
    constraints: tuple[str, ...] = ()

    def read(self) -> Table:
        """Read the table.

        Raises:
            InputError: As `Table.read` raises.
        """
        return Table.read(
            self.table,
            self.objective,
            minimize=self.minimize,
            features=_names(self.features),
            ignore=_names(self.ignore),
            noise_std=self.noise_std,
            repeats=_names(self.repeats),
            id=self.id,
            cost=self.cost,
            constraints=self.constraints,
        )


def announce(table: Table, console: Console) -> None:
    """Tell what was read: candidates, features, and what is odd about them."""
    lines = [f"{table.name}: {counted(len(table.candidates), 'candidate')}, {counted(len(table.columns), 'feature')}"]
    lines += [f"  {column}" for column in table.columns]
    lines += [f"{note}." for note in table.notes]
    for line in lines:
        say(console, line)


def say(console: Console, line: str) -> None:
    """Print one line as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def progress_bar(total: int, console: Console) -> Iterator[Callable[[int], None]]:
    """A bar of evaluations on a terminal; elsewhere nothing, lines are told instead."""
    if not console.is_terminal:
        yield lambda num: None
        return
    columns = (TextColumn("evaluations"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("evaluations", total=total)
        yield lambda num: bar.update(task, advance=num)


def results_console(as_json: bool) -> Console:
    """Where results are shown to a person: on stderr where stdout is for a machine."""
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def _names(text: str | None) -> list[str] | None:
    """Column names in a comma-separated list."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"--table: a list of columns must name one, got {text!r}. Name columns, separated by commas.")
    return names
