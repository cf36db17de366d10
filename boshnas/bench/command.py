"""The command's work: check what is asked for, run it, show what came out."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from boshnas.bench import plot, report
from boshnas.bench.measure import Plan, Run, Task
from boshnas.bench.methods import parse, versions
from boshnas.bench.workers import Failure, run_tasks
from boshnas.errors import InputError
from boshnas.table import Table
from boshnas.table_source import TableSource, announce, progress_bar, results_console, say
from boshnas.wording import counted

DEFAULT_BUDGET = 100
FAILED = 1


@dataclass(frozen=True, kw_only=True)
class BenchOptions(TableSource):
    """What a person asks for; see `python -m boshnas.bench --help`."""

    methods: str
    seeds: int = 10
    budget: int | None = None
    initial: int = 10
    jobs: int = 1
    seed: int = 0
    plot: Path | None = None
    as_json: bool = False


def run_bench(options: BenchOptions) -> int:
    """Compare methods; 0 where all went well, 1 where a method failed.

    Raises:
        InputError: If an option or the table breaks a rule, or the picture cannot be written.
        KeyboardInterrupt: If it came while the methods ran, once the finished runs are shown.
    """
    methods = _check(options)
    table = options.read()
    plan = _plan(table, options)
    console = Console(stderr=True)
    announce(table, console)
    tasks = [Task(method=name, seed=options.seed + offset) for offset in range(options.seeds) for name in methods]
    outcomes, is_whole = _run(table, plan, tasks, options.jobs, console)
    failures = {outcome.task.method for outcome in outcomes if isinstance(outcome, Failure)}
    runs = [outcome for outcome in outcomes if isinstance(outcome, Run) and outcome.task.method not in failures]
    found = report.results(runs, plan)
    if not is_whole:
        each = ", ".join(f"{result.method} {len(result.regret)}" for result in found)
        say(console, f"Interrupted: {len(runs)} of {len(tasks)} runs are finished{f': {each}' if each else ''}.")
    title = _title(table, plan, options, is_whole)
    if found:
        _show(title, plan, found, options)
    if options.as_json:
        summary = {
            "methods": report.summary(found, plan),
            "table": table.name,
            "objective": table.objective_name,
            "seeds": options.seeds,
            "budget": plan.budget,
            "num_runs": len(tasks),
            "num_finished": len(runs),
        }
        sys.stdout.write(json.dumps(summary, allow_nan=False) + "\n")
    if found and options.plot is not None:
        plot.save(options.plot, title, table.objective_name, found)
        say(results_console(options.as_json), f"Plot: {options.plot}")
    if not is_whole:
        raise KeyboardInterrupt
    return FAILED if failures else 0


def _check(options: BenchOptions) -> list[str]:
    """Refuse what needs no table to be refused; the methods' names."""
    least = {"seeds": 1, "jobs": 1, "initial": 1, "seed": 0}
    for name, bound in least.items():
        if (value := getattr(options, name)) < bound:
            raise InputError(f"--{name}: must be at least {bound}, got {value}. Change it.")
    if options.budget is not None and options.budget <= options.initial:
        raise InputError(
            f"--budget: must be more than the {options.initial} of --initial, got {options.budget}. "
            "The methods choose what lies between."
        )
    if options.plot is not None:
        plot.check(options.plot)
    return parse(options.methods)


def _plan(table: Table, options: BenchOptions) -> Plan:
    num_rows, num_empty = len(table.candidates), len(table.unmeasured)
    if num_empty:
        raise InputError(
            f"{table.name}: a comparison needs a value of {table.objective_name!r} in every row, got {num_empty} "
            "rows without. Remove them from the table, or name another objective."
        )
    budget = min(DEFAULT_BUDGET, num_rows) if options.budget is None else options.budget
    if not options.initial < budget <= num_rows:
        name, value = ("initial", options.initial) if options.budget is None else ("budget", budget)
        rule = "fewer than" if options.budget is None else "at most"
        raise InputError(
            f"--{name}: must be {rule} the {counted(num_rows, 'row')} of the table, got {value}. Lower it."
        )
    return Plan(initial=options.initial, budget=budget)


def _run(
    table: Table, plan: Plan, tasks: Sequence[Task], num_jobs: int, console: Console
) -> tuple[list[Run | Failure], bool]:
    """Run all tasks, telling what comes out of each; what did, and whether no interrupt came before the last."""
    outcomes: list[Run | Failure] = []
    try:
        with progress_bar(len(tasks) * plan.budget, console) as advance:
            for outcome in run_tasks(table, plan, tasks, num_jobs, advance):
                outcomes.append(outcome)
                name = f"{outcome.task.method}, seed {outcome.task.seed}"
                if isinstance(outcome, Failure):
                    say(console, f"{name}: failed, so its other seeds are left out: {outcome.reason}")
                elif not console.is_terminal:
                    say(console, f"{name}: regret {outcome.regret[-1]:.4g}, {outcome.seconds:.1f} s")
    except KeyboardInterrupt:
        return outcomes, False
    return outcomes, True


def _title(table: Table, plan: Plan, options: BenchOptions, is_whole: bool) -> str:
    over = counted(options.seeds, "seed") if is_whole else "the finished runs"
    return f"Regret of {table.objective_name} on {table.name}, mean of {over}, the first {plan.initial} random"


def _show(title: str, plan: Plan, found: Sequence[report.Result], options: BenchOptions) -> None:
    console = results_console(options.as_json)
    say(console, title)
    console.print(report.shown(found, plan, console.width))
    packages = versions([result.method for result in found])
    if packages:
        say(console, "Versions: " + ", ".join(f"{name} {number}" for name, number in packages.items()))
