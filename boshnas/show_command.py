"""The work of `python -m boshnas.show`: reads a run, tells of it or of one of its architectures."""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from boshnas import details
from boshnas.errors import InputError, one_line
from boshnas.overview import Overview, overview
from boshnas.saved_run import Run
from boshnas.store import Database
from boshnas.wording import clock, harmless, number

NUM_TOP = 5
PLAIN_WIDTH = 100_000
"""Characters a line where there is no terminal: what is piped has all its columns."""
_TABLE_WIDTH = 60


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """What a person asks for; see `python -m boshnas.show --help`."""

    run: Path
    id: str | None = None
    number: int | None = None
    top: int | None = None
    as_json: bool = False


def run_show(options: ShowOptions, database: Database | None) -> int:
    """Show a run or one architecture of it; 0.

    Raises:
        InputError: If an option breaks a rule, or the run cannot be read.
    """
    _check(options)
    run = Run.open(options.run, database)
    facts = _facts(run, options)
    if options.as_json:
        sys.stdout.write(json.dumps(facts, default=str) + "\n")
        return 0
    console = Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    if options.id is None and options.number is None:
        _print_run(overview(run), facts, console)
    else:
        _print_evaluation(run, facts, console)
    return 0


def _check(options: ShowOptions) -> None:
    if options.id is not None and options.number is not None:
        raise InputError("--number: must not be given with --id. Give one of the two.")
    if options.top is not None and options.top < 1:
        raise InputError(f"--top: must be at least 1, got {options.top}.")
    if options.top is not None and (options.id is not None or options.number is not None):
        raise InputError("--top: must not be given with --id or --number, which tell of one. Leave it out.")


def _facts(run: Run, options: ShowOptions) -> dict[str, Any]:
    if options.id is not None or options.number is not None:
        return details.everything(run, details.find(run, options.id, options.number))
    short = overview(run)
    return {
        **dataclasses.asdict(short),
        "begun": short.begun and short.begun.isoformat(timespec="seconds"),
        "settings": details.settings(run),
        "versions": run.identity.get("versions", {}),
        **details.counts(run),
        "surrogate": details.correlation(run),
        "top": details.top(run, NUM_TOP if options.top is None else options.top),
    }


def _print_run(short: Overview, facts: Mapping[str, Any], console: Console) -> None:
    of = f" of {short.budget}" if short.budget is not None else ""
    done = short.num_finished + short.num_failed
    _say(console, f"{short.name}: {short.state}, {done}{of} evaluations, begun {facts['begun'] or 'not yet'}")
    _say(console, f"settings: {_pairs(facts['settings'])}")
    if facts["versions"]:
        _say(console, f"versions: {_pairs(facts['versions'])}")
    _say(console, f"status: {_pairs(facts['by_status']) or 'no evaluation yet'}")
    for level in facts["by_level"]:
        name = f"level {level['level']}" if level["level"] else "baselines"
        best = level["best"]
        failed = f", {level['num_failed']} failed" if level["num_failed"] else ""
        found = f", best {number(best['score'])} ({best['id']})" if best else ""
        _say(console, f"{name}: {level['num_evaluated']} evaluated{failed}{found}")
    if facts["surrogate"]:
        known = facts["surrogate"]
        _say(
            console,
            f"surrogate: rank correlation {known['rank_correlation']:.2f} over {known['num_predictions']} predictions",
        )
    if not facts["top"]:
        _say(console, "best: no score yet")
        return
    _say(console, f"best: {number(short.best_score or 0.0)} {short.score_name} ({short.best_id})")
    _print_top(facts["top"], short.score_name, console)


def _print_top(found: Sequence[Mapping[str, Any]], score_name: str, console: Console) -> None:
    if console.width < _TABLE_WIDTH:
        for one in found:
            _say(console, f"  {number(one['score'])} {one['id']} ({one['number']}, {one['decision']})")
        return
    tasks = list(dict.fromkeys(task for one in found for task in one["tasks"]))
    table = Table(box=None)
    for column in ("number", "architecture", score_name, "params", "level", "why", *tasks):
        justify = "left" if column in ("architecture", "why") else "right"
        table.add_column(escape(one_line(column)), justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    for one in found:
        cells = (
            str(one["number"]),
            one["id"],
            number(one["score"]),
            "" if one["params"] is None else f"{one['params']:,}",
            str(one["level"]),
            one["decision"],
            *(f"{one['tasks'][task]:.1f}" if task in one["tasks"] else "" for task in tasks),
        )
        table.add_row(*(escape(one_line(cell)) for cell in cells))
    console.print(table)


def _print_evaluation(run: Run, facts: Mapping[str, Any], console: Console) -> None:
    params = "" if facts["params"] is None else f", {facts['params']:,} parameters"
    _say(console, f"{facts['id']}: evaluation {facts['number']}, {facts['status']}{params}")
    _say(console, f"{'row' if run.is_of_table else 'model_dict'}: {json.dumps(facts['model_dict'])}")
    level = f"level {facts['level']}" if facts["level"] else "beside the levels"
    _say(console, f"chosen: {facts['decision']}, {level}, seed {facts['seed']}")
    _say(console, f"{run.score_name}: {'none' if facts['score'] is None else format(facts['score'], '.4f')}")
    if facts["tasks"]:
        _say(console, f"tasks: {', '.join(f'{task} {score:.2f}' for task, score in facts['tasks'].items())}")
    _say(console, f"foreseen: {_foreseen(facts['belief'])}")
    if run.is_of_table:
        return
    parents = [_parent(parent) for parent in facts["parents"]]
    _say(console, f"weights: {' <- '.join(parents) if parents else 'from scratch'}")
    if facts["stage_seconds"]:
        stages = ", ".join(f"{stage} {clock(seconds)}" for stage, seconds in facts["stage_seconds"].items())
        _say(console, f"stages: {stages}")
    _say(console, f"time: {facts['began'] or 'not begun'} to {facts['ended'] or 'not ended'}")
    for count, attempt in enumerate(facts["attempts"], 1):
        _print_error(f"attempt {count}: {attempt['status']}", attempt["error"], console)
    if facts["error"]:
        _print_error("error", facts["error"], console)
    if facts["also_evaluated_as"]:
        _say(console, f"also evaluated as: {', '.join(map(str, facts['also_evaluated_as']))}")
    _say(console, f"log: {facts['log']}{'' if facts['has_log'] else ' (not there)'}")


def _print_error(name: str, lines: Sequence[str], console: Console) -> None:
    first, *end = lines or ["no reason given"]
    _say(console, f"{name}: {first}")
    for line in end:
        _say(console, f"    {line}")


def _foreseen(belief: Mapping[str, Any] | None) -> str:
    if belief is None:
        return "nothing, no surrogate was asked"
    stds = {name: belief[f"{name}_std"] for name in ("epistemic", "aleatoric")}
    deviations = [f"{value:.4f} {name}" for name, value in stds.items() if value is not None]
    told = " ± ".join([f"{belief['mean']:.4f}", *deviations])
    if belief["error"] is None:
        return told
    times = "" if belief["num_std"] is None else f", {abs(belief['num_std']):.1f} standard deviations"
    return f"{told}; measured {belief['measured']:.4f}, {belief['error']:+.4f}{times}"


def _parent(parent: Mapping[str, Any]) -> str:
    score = "" if parent["score"] is None else f" ({number(parent['score'])})"
    return f"{parent['id']}{score}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _say(console: Console, line: str) -> None:
    console.print(harmless(line), highlight=False, markup=False, soft_wrap=True)
