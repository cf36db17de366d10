"""The part of `python -m boshnas.run` that searches a table."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from boshnas.baselines import RandomSearcher
from boshnas.errors import InputError, did_you_mean
from boshnas.grid import grid
from boshnas.replay import Step, regret, replay, replayable, suggest
from boshnas.searcher import Searcher
from boshnas.surrogates import GPSurrogate, NPNSurrogate, Surrogate
from boshnas.table import Table
from boshnas.table_source import TableSource, announce, results_console, say
from boshnas.trial import Proposal
from boshnas.view import told
from boshnas.wording import counted
from boshnas.writable import check_run_folder

DEFAULT_BUDGET = 100
DEFAULT_INITIAL = 10
NUM_SHOWN = 5
SURROGATES = ("boshnas", "gp", "npn", "random")
_LINE_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class TableOptions(TableSource):
    """What a person asks for; see `python -m boshnas.run --help`."""

    budget: int | None = None
    initial: int | None = None
    batch: int | None = None
    seed: int = 0
    suggest: int | None = None
    surrogate: str = "boshnas"
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    out: Path | None = None


_OF_OUTPUT = ("as_json", "quiet", "verbose", "out", "suggest")


def run_table(options: TableOptions) -> int:
    """Read the table, then search it or suggest rows; 0 where that was done.

    Raises:
        InputError: If an option or the table breaks a rule.
    """
    _check(options)
    if options.out is not None:
        check_run_folder(options.out, resume=False)
    table = options.read()
    console = Console(stderr=True, quiet=options.quiet)
    announce(table, console)
    return _suggest(table, options, console) if options.suggest is not None else _search(table, options, console)


def new_searcher(table: Table, options: TableOptions) -> Searcher:
    """The searcher that the options ask for; a table that is being continued has no random start."""
    initial = DEFAULT_INITIAL if options.initial is None else options.initial
    settings: dict[str, Any] = {"seed": options.seed, "num_initial": 0 if options.suggest is not None else initial}
    if table.costs is not None:
        settings["costs"] = table.costs
    if options.surrogate == "random":
        return RandomSearcher(table.pool, **settings)
    named: dict[str, Surrogate] = {"gp": GPSurrogate(), "npn": NPNSurrogate()}
    return Searcher(table.pool, named.get(options.surrogate), **settings)


def _check(options: TableOptions) -> None:
    least = {"budget": 1, "batch": 1, "suggest": 1, "initial": 0, "seed": 0}
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            raise InputError(f"--{name}: must be at least {bound}, got {value}.")
        if value is not None and options.suggest is not None and name in ("budget", "batch", "initial"):
            raise InputError(f"--{name}: must not be given with --suggest, which proposes once. Leave it out.")
    if options.out is not None and options.suggest is not None:
        raise InputError("--out: must not be given with --suggest, which evaluates nothing. Leave it out.")
    if options.surrogate not in SURROGATES:
        hint = did_you_mean(options.surrogate, SURROGATES, "Choose one of these.")
        raise InputError(f"--surrogate: must be one of {', '.join(SURROGATES)}, got {options.surrogate!r}. {hint}")


def _search(table: Table, options: TableOptions, console: Console) -> int:
    """Replay a search over the measured rows, and keep it as a run where a folder is given."""
    budget = _budget(table, options, console)
    steps = replay(table, new_searcher(table, options), budget, options.batch or 1)
    if options.out is None or not budget:
        return _search_steps(table, steps, budget, options, console)
    # The store brings Optuna, for a second: only a search that is kept waits for it.
    from boshnas.run_folder import discard, held_folder
    from boshnas.store import UnavailableError
    from boshnas.table_run import kept, new_store

    settings = {name: value for name, value in asdict(options).items() if name not in _OF_OUTPUT}
    with held_folder(options.out, resume=False):
        num_kept = 0
        try:
            with new_store(options.out, table, settings, budget) as store:
                try:
                    steps = kept(steps, table, store, options.seed)
                    ends = (KeyboardInterrupt, UnavailableError)
                    return _search_steps(table, steps, budget, options, console, ends)
                finally:
                    num_kept = len(store.trials())
        except UnavailableError as error:
            say(Console(stderr=True), str(error))
            return 1
        finally:
            if num_kept == 0:
                discard(options.out)


def _search_steps(
    table: Table,
    steps: Iterable[Step],
    budget: int,
    options: TableOptions,
    console: Console,
    ends: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
) -> int:
    """Make the steps; what is done when one of `ends` cuts them off is shown all the same."""
    done: list[Step] = []
    cut_off: BaseException | None = None
    try:
        for step in _shown(steps, budget, table.objective_name, console, is_each_told=options.verbose):
            done.append(step)
    except ends as error:
        if not done:
            raise
        cut_off = error
        say(console, f"Interrupted after {len(done)} of {counted(budget, 'evaluation')}.")
    _show_best(table, done, options, console)
    if cut_off is not None:
        raise cut_off
    return 0


def _budget(table: Table, options: TableOptions, console: Console) -> int:
    """Evaluations of a replay, telling what about the options comes to nothing."""
    num_measured = len(replayable(table))
    if table.unmeasured and num_measured:
        say(
            console,
            f"{counted(len(table.unmeasured), 'row')} without a value of {table.objective_name} left out: "
            "--suggest K proposes among such.",
        )
    wanted = min(DEFAULT_BUDGET, num_measured) if options.budget is None else options.budget
    budget = min(wanted, num_measured)
    if budget < wanted:
        num_rows = counted(num_measured, "measured row")
        say(console, f"--budget {wanted} is more than the {num_rows}: all are evaluated.")
    initial = DEFAULT_INITIAL if options.initial is None else options.initial
    if initial >= budget > 0 and options.surrogate != "random":
        say(console, f"--initial {initial} takes the whole budget ({budget}): all rows evaluated are random.")
    if options.batch is not None and options.batch > budget > 0:
        say(console, f"--batch {options.batch} is more than the budget ({budget}): all evaluations are one batch.")
    return budget


def _show_best(table: Table, done: Sequence[Step], options: TableOptions, console: Console) -> None:
    last = done[-1]
    summary: dict[str, Any] = {
        "best": {"id": last.best_id, "row": table.row(last.best_id), "score": last.best},
        "regret": regret(table, last.best),
        "num_evaluated": len(done),
        "history": [{"id": step.id, "value": step.value, "best": step.best} for step in done],
    }
    better = table.objective.utility
    leaders = sorted(done, key=lambda step: -better(step.value))[:NUM_SHOWN]
    results = results_console(options.as_json)
    results.quiet = options.quiet and options.as_json
    cells = [[step.id, _number(step.value), *_described_by(table, step.id)] for step in leaders]
    heads = ["id", table.objective_name, *_describing(table)]
    results.print(grid(heads, cells, results.width, title=f"Best by {table.objective_name}"))
    missed = "" if summary["regret"] is None else f", regret {summary['regret']:.5g}"
    say(results, f"{len(done)} evaluated{missed}")
    summary["report"] = _report(options, console)
    if options.out is not None:
        say(results, f"report: {summary['report'] or 'none'}")
    _print_json(summary, options)


def _report(options: TableOptions, console: Console) -> str | None:
    """Write the report of a search that is kept; its file."""
    if options.out is None:
        return None
    # Its figures take a second to import: only a search that is kept waits for them.
    from boshnas.report.write import write_final_report

    with told("writing the report", console):
        target = write_final_report(options.out)
    return None if target is None else str(target)


def _suggest(table: Table, options: TableOptions, console: Console) -> int:
    """Suggest rows that are not measured."""
    wanted = options.suggest or 1
    proposals = suggest(table, new_searcher(table, options), wanted)
    if len(proposals) < wanted:
        say(console, f"--suggest {wanted} is more than the {counted(len(proposals), 'row')} left: all are suggested.")
    num_measured = len(table.measured)
    if num_beyond := num_measured - len(replayable(table)):
        say(console, f"{counted(num_beyond, 'measured row')} beyond the constraints: learned from, not proposed.")
    if num_measured < 2:
        say(console, f"Suggestions are random: learning needs two rows with a value, got {num_measured}.")
    elif options.surrogate == "random":
        say(console, "Suggestions are random, as --surrogate random asks.")
    summary = {"suggestions": [_described(table, proposal) for proposal in proposals]}
    results = results_console(options.as_json)
    results.quiet = options.quiet and options.as_json
    cells = [
        [proposal.id, str(proposal.decision), *_belief(proposal), *_described_by(table, proposal.id)]
        for proposal in proposals
    ]
    heads = ["id", "why", f"{table.objective_name}, predicted", "epistemic", "aleatoric", *_describing(table)]
    results.print(grid(heads, cells, results.width, title="Measure next"))
    _print_json(summary, options)
    return 0


def _described(table: Table, proposal: Proposal) -> dict[str, Any]:
    return {
        "id": proposal.id,
        "row": table.row(proposal.id),
        "mean": proposal.mean,
        "epistemic_std": proposal.epistemic_std,
        "aleatoric_std": proposal.aleatoric_std,
    }


def _belief(proposal: Proposal) -> list[str]:
    values = (proposal.mean, proposal.epistemic_std, proposal.aleatoric_std)
    return ["" if value is None else f"{value:.4g}" for value in values]


def _shown(
    steps: Iterable[Step], budget: int, name: str, console: Console, *, is_each_told: bool = False
) -> Iterator[Step]:
    """The same steps, with a bar on a terminal and a line at every tenth elsewhere, or at each."""
    if is_each_told or not console.is_terminal:
        for number, step in enumerate(steps, 1):
            each = f"{step.id}: {name} {step.value:.5g}; " if is_each_told else ""
            if is_each_told or number % _LINE_EVERY == 0:
                done = f"{number} of {counted(budget, 'evaluation')}"
                say(console, f"{each}{done}, best {name} {step.best:.5g} ({step.best_id})")
            yield step
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"searching for {escape(name)}", total=budget)
        for step in steps:
            bar.update(task, advance=1, description=escape(f"best {name} {step.best:.5g} ({step.best_id})"))
            yield step


def _describing(table: Table) -> list[str]:
    """Columns that tell a person what a row is: of cost and constraints, then the features."""
    return [*table.shown, *(column.name for column in table.columns)]


def _described_by(table: Table, id_: str) -> list[str]:
    """What stands in these columns, as text."""
    row = table.row(id_)
    return [_number(row[name]) for name in _describing(table)]


def _number(value: str | int | float | None) -> str:
    """A cell for a person; whole numbers stay whole, they may be names of sizes."""
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _print_json(summary: dict[str, Any], options: TableOptions) -> None:
    if options.as_json:
        sys.stdout.write(json.dumps(summary, allow_nan=False) + "\n")
