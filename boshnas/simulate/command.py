"""The command's work: check what is asked for, simulate it, show what came out."""

import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import optuna
from rich.console import Console

from boshnas.bench import plot
from boshnas.bench.methods import parse
from boshnas.errors import InputError, did_you_mean
from boshnas.plan import Plan
from boshnas.replay import replayable
from boshnas.simulate import picture, report
from boshnas.simulate.campaign import Machines, new_clock, simulate
from boshnas.simulate.durations import Durations
from boshnas.simulate.executor import Known
from boshnas.simulate.faults import Faults
from boshnas.simulate.method import MethodSearcher, RowSource
from boshnas.simulate.report import Run
from boshnas.table import Table
from boshnas.table_source import TableSource, announce, progress_bar, results_console, say
from boshnas.wording import counted

DEFAULT_BUDGET = 60
LOOPS = {"both": (False, True), "no": (False,), "yes": (True,)}


@dataclass(frozen=True, kw_only=True)
class SimulateOptions(TableSource):
    """What a person asks for; see `python -m boshnas.simulate --help`."""

    durations: str = "lognormal:1.0"
    median_minutes: float | None = None
    workers: int = 8
    gpus_per_worker: int = 1
    budget: int | None = None
    initial: int = 10
    seeds: int = 5
    seed: int = 0
    methods: str = "boshnas,random"
    synchronous: str = "both"
    straggler_factor: float | None = None
    max_hours: float | None = None
    proposal_seconds: float = 0.0
    faults: Faults = Faults()
    plot: Path | None = None
    as_json: bool = False


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """What all campaigns of a command share."""

    options: SimulateOptions
    table: Table
    source: RowSource
    utilities: Mapping[str, float]
    durations: Durations
    faults: Faults
    budget: int


def run_simulate(options: SimulateOptions) -> int:
    """Simulate campaigns; 0 where that was done.

    Raises:
        InputError: If an option or the table breaks a rule, or the picture cannot be written.
        KeyboardInterrupt: If it came meanwhile, once the finished campaigns are shown.
    """
    methods = _check(options)
    console = Console(stderr=True)
    setting = _setting(options, console)
    tasks = [
        (method, options.seed + offset, synchronous)
        for method in methods
        for synchronous in LOOPS[options.synchronous]
        for offset in range(options.seeds)
    ]
    runs, is_whole = _run(setting, tasks, console)
    if not is_whole:
        say(console, f"Interrupted: {len(runs)} of {len(tasks)} campaigns are finished.")
    _show(setting, runs, len(tasks))
    if not is_whole:
        raise KeyboardInterrupt
    return 0


def _check(options: SimulateOptions) -> list[str]:
    """Refuse what needs no table to be refused; the methods' names."""
    least = {"workers": 1, "gpus_per_worker": 0, "budget": 1, "initial": 1, "seeds": 1, "seed": 0}
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            raise InputError(f"--{name.replace('_', '-')}: must be at least {bound}, got {value}. Change it.")
    if options.synchronous not in LOOPS:
        hint = did_you_mean(options.synchronous, LOOPS, "Choose one of these.")
        raise InputError(f"--synchronous: must be one of both, yes, no, got {options.synchronous!r}. {hint}")
    if options.straggler_factor is not None and not options.straggler_factor > 1:
        raise InputError(f"--straggler-factor: must be above 1, got {options.straggler_factor:g}. Change it.")
    if options.max_hours is not None and not options.max_hours > 0:
        raise InputError(f"--max-hours: must be above 0, got {options.max_hours:g}. Change it.")
    if not 0 <= options.proposal_seconds < inf:
        raise InputError(f"--proposal-seconds: must be at least 0, got {options.proposal_seconds:g}. Change it.")
    if options.plot is not None:
        plot.check(options.plot)
    return parse(options.methods)


def _setting(options: SimulateOptions, console: Console) -> _Setting:
    durations = Durations.parse(options.durations, options.median_minutes)
    table = options.read()
    durations.seconds(table, options.seed)  # refused before anything is simulated
    if options.features is None and durations.column in {column.name for column in table.columns}:
        # How long a row takes is known only afterwards: it is no feature, unless somebody names it as one.
        table = replace(options, ignore=",".join(filter(None, (options.ignore, durations.column)))).read()
    utilities = {id_: value for id_, value in table.utilities(replayable(table)).items() if value is not None}
    if not utilities:
        raise InputError(
            f"{table.name}: a campaign needs rows with a value of {table.objective_name!r}, got none. "
            "Name another objective."
        )
    announce(table, console)
    return _Setting(
        options=options,
        table=table,
        source=RowSource(table),
        utilities=utilities,
        durations=durations,
        faults=options.faults,
        budget=_budget(options, table, len(utilities), console),
    )


def _budget(options: SimulateOptions, table: Table, num_measured: int, console: Console) -> int:
    """Evaluations of a campaign, telling what about the options comes to nothing."""
    if table.unmeasured:
        say(console, f"{counted(len(table.unmeasured), 'row')} without a value of {table.objective_name} left out.")
    wanted = min(DEFAULT_BUDGET, num_measured) if options.budget is None else options.budget
    budget = min(wanted, num_measured)
    if budget < wanted:
        num_rows = counted(num_measured, "measured row")
        say(console, f"--budget {wanted} is more than the {num_rows}: all are evaluated.")
    if options.workers > budget:
        say(console, f"--workers {options.workers} is more than the budget ({budget}): the others stay idle.")
    if options.initial >= budget:
        say(console, f"--initial {options.initial} takes the whole budget ({budget}): all rows evaluated are random.")
    return budget


def _run(setting: _Setting, tasks: Sequence[tuple[str, int, bool]], console: Console) -> tuple[list[Run], bool]:
    """Simulate all campaigns; what came out, and whether no interrupt came before the last."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    runs: list[Run] = []
    try:
        with warnings.catch_warnings(), progress_bar(len(tasks) * setting.budget, console) as advance:
            warnings.simplefilter("ignore")  # advice to the peers' users
            for method, seed, synchronous in tasks:
                runs.append(_campaign(setting, method, seed, synchronous, lambda: advance(1)))
                if not console.is_terminal:
                    kind = "in batches" if synchronous else "asynchronous"
                    hours = runs[-1].outcome.account.hours
                    say(console, f"{method}, seed {seed}, {kind}: {hours:.4g} hours")
    except KeyboardInterrupt:
        return runs, False
    return runs, True


def _campaign(setting: _Setting, method: str, seed: int, synchronous: bool, count: Callable[[], None]) -> Run:
    options = setting.options
    plan = Plan(
        level_budgets=(setting.budget,),
        baselines=(),
        seed=seed,
        settings={},
        synchronous=synchronous,
        deadline=None if options.max_hours is None else 3600 * options.max_hours,
        max_failures=setting.budget,
        straggler_factor=options.straggler_factor or inf,
    )
    seconds = setting.durations.seconds(setting.table, seed)
    known = {id_: Known(seconds=seconds[id_], score=score) for id_, score in setting.utilities.items()}
    clock = new_clock(plan, known)
    searcher = MethodSearcher(
        method,
        setting.table,
        seed=seed,
        num_initial=options.initial,
        clock=clock,
        proposal_s=options.proposal_seconds,
    )
    machines = Machines(num_slots=options.workers, faults=setting.faults, seed=seed)
    outcome = simulate(plan, setting.source, searcher, known, machines, clock, report=count)
    return Run(method=method, seed=seed, synchronous=synchronous, outcome=outcome)


def _show(setting: _Setting, runs: Sequence[Run], num_asked: int) -> None:
    options, table = setting.options, setting.table
    found = report.results(runs)
    entries = report.summary(table, found, options.gpus_per_worker)
    title = _title(setting, len(runs) == num_asked)
    if found:
        results = results_console(options.as_json)
        say(results, title)
        results.print(report.shown(entries, results.width))
        for line in report.notes(entries):
            say(results, line)
    if options.as_json:
        whole = {
            "table": table.name,
            "objective": table.objective_name,
            "workers": options.workers,
            "durations": options.durations,
            "budget": setting.budget,
            "seeds": options.seeds,
            "num_campaigns": num_asked,
            "num_finished": len(runs),
            "results": entries,
        }
        sys.stdout.write(json.dumps(whole, allow_nan=False) + "\n")
    if found and options.plot is not None:
        picture.save(options.plot, title, table, found)
        say(results_console(options.as_json), f"Plot: {options.plot}")


def _title(setting: _Setting, is_whole: bool) -> str:
    options = setting.options
    seeds = "1 seed" if options.seeds == 1 else f"mean ± sd of {options.seeds} seeds"
    over = seeds if is_whole else "of the finished campaigns"
    return (
        f"{counted(setting.budget, 'evaluation')} of {setting.table.name} on {counted(options.workers, 'worker')}, "
        f"durations {options.durations}, {over}"
    )
