"""The part of `python -m boshnas.run` that searches a design space, from its checks to an exported model."""

import json
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers.utils import CONFIG_NAME
from transformers.utils import logging as transformers_logging

from boshnas.campaign import Campaign, check, open_store, run
from boshnas.campaign_settings import CampaignSettings
from boshnas.disk import checkpoint_folder
from boshnas.dry_run import dry_run
from boshnas.errors import InputError
from boshnas.export.export import ExportRequest, export
from boshnas.interruption import Interruption
from boshnas.loop import INTERRUPTED, OUT_OF_TIME
from boshnas.ranking import best_trial
from boshnas.report.write import write_final_report
from boshnas.results import print_results, summary
from boshnas.resumption import found
from boshnas.run_folder import discard, held_folder
from boshnas.standing import Standing
from boshnas.store import Database, Store, UnavailableError, check_database, place
from boshnas.table_source import results_console, say
from boshnas.trial import Trial
from boshnas.view import LiveView, PlainView, QuietView, told
from boshnas.writable import check_run_folder
from finetune.data import DEMO

MORE_FAILURES = 10
EXPORT_FOLDER = "best"


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where a search lies and how it speaks.

    Attributes:
        folder: Of the run; None: `runs/SPACE-DATE-TIME`.
        resume: Go on with the folder.
        dry_run: Print the plan alone.
        as_json: Print one JSON object last.
        quiet: Say nothing but errors and the result.
        verbose: Say also what was believed of each candidate, where its log is, how attempts failed.
        database: Where the store lies; None: in the folder.
        storage: What the command line named for it; None: nothing.
    """

    folder: Path | None
    resume: bool
    dry_run: bool
    as_json: bool
    quiet: bool = False
    verbose: bool = False
    database: Database | None = None
    storage: str | None = None


def run_space(values: dict[str, Any], explicit: set[str], output: Output, interruption: Interruption) -> int:
    """Search as the command line says.

    Args:
        values: Settings by name, None where the default holds.
        explicit: Which of them the user gave.
        output: Where, and how to speak.
        interruption: Asks the search to stop.

    Returns:
        Exit code, as `search`.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    return search(_settings(values, explicit, output), output, interruption)


def _settings(values: dict[str, Any], explicit: set[str], output: Output) -> CampaignSettings:
    """Settings as given; when resuming, those of the run where not given."""
    names = [field.name for field in fields(CampaignSettings)]
    given = {name: values[name] for name in names if values[name] is not None}
    if output.resume:
        if output.folder is None:
            raise InputError("--resume: needs --out, the folder of the run to go on with.")
        with Store.open(place(output.folder, output.database), read_only=True) as store:
            kept = store.identity.get("options")
        if not isinstance(kept, dict) or "space" not in kept:
            raise InputError(f"--resume: {output.folder} must be of a search of a space. Give another --out.")
        # An option that an older version did not have has its default.
        given = {name: values[name] if name in explicit else kept[name] for name in names if name in {*explicit, *kept}}
        if "executor" in explicit and "executor_config" not in explicit:
            given["executor_config"] = None  # it was the other executor's
        given["constraints"] = tuple(given.get("constraints", ()))
    return CampaignSettings(**given)


def search(settings: CampaignSettings, output: Output, interruption: Interruption) -> int:
    """Check, search, export, report; 0 where an architecture was found and the plan was carried out."""
    start = time.monotonic()
    campaign = check(settings)
    console = Console(stderr=True, quiet=output.quiet)
    folder = output.folder or Path("runs") / f"{campaign.space.name}-{datetime.now():%Y%m%d-%H%M%S}"
    check_run_folder(folder, output.resume)
    if output.database is not None and not output.resume:
        check_database(output.database)
    if output.dry_run:
        _announce(campaign, console)
        location = place(folder, output.database) if output.resume else None
        sys.stdout.write(dry_run(campaign, folder, location, console, as_json=output.as_json))
        return 0
    with held_folder(folder, output.resume):
        return _search_in(folder, campaign, output, console, interruption, start)


def _search_in(
    folder: Path, campaign: Campaign, output: Output, console: Console, interruption: Interruption, start: float
) -> int:
    """The search itself, in a folder that no other has."""
    stderr = Console(stderr=True)
    try:
        store = open_store(campaign, folder, output.resume, output.database, on_wait=partial(say, stderr))
    except InputError:
        if not output.resume:
            discard(folder)
        raise
    _announce(campaign, console)
    say(console, f"Run: {folder}")
    if output.resume:
        say(console, found(folder, store.trials()))
    try:
        with _view(campaign, folder, store.trials(), console, output) as view:
            stopped = run(campaign, store, folder, view, interruption)
        if stopped == INTERRUPTED:
            raise KeyboardInterrupt
        store.close()
        return _conclude(folder, campaign, store, output, console, stopped, start)
    except InputError:
        if not output.resume and not store.trials():
            store.close()
            discard(folder)
        raise
    except UnavailableError as error:
        say(stderr, f"{error} Go on with: {_go_on(folder, output)}")
        return 1
    except KeyboardInterrupt:
        say(stderr, f"Saved. Go on with: {_go_on(folder, output)}")
        raise
    finally:
        store.close()


def _go_on(folder: Path, output: Output, *more: str) -> str:
    """The command that goes on with a run."""
    storage = [] if output.storage is None else ["--storage", output.storage]
    return shlex.join(["boshnas", "run", "--resume", "--out", str(folder), *storage, *more])


def _view(
    campaign: Campaign, folder: Path, trials: Sequence[Trial], console: Console, output: Output
) -> LiveView | PlainView | QuietView:
    if output.quiet:
        return QuietView(sys.stderr)
    num_total = sum(campaign.level_budgets) + len(campaign.baselines)
    standing = Standing(num_total, campaign.score_name, trials, folder)
    if console.is_terminal:
        return LiveView(console, standing, is_verbose=output.verbose)
    return PlainView(sys.stderr, standing, is_verbose=output.verbose)


def _conclude(
    folder: Path,
    campaign: Campaign,
    store: Store,
    output: Output,
    console: Console,
    stopped: str | None,
    start: float,
) -> int:
    """Export the best, and tell what came out."""
    trials = store.trials()
    if stopped is not None:
        say(Console(stderr=True), f"Stopped early: {stopped}. {_way_on(folder, output, trials, stopped)}")
    exported = _export_best(campaign, folder, trials, output.database, console)
    with told("writing the report", console):
        report = write_final_report(folder, output.database)
    outcome = summary(campaign, trials, str(store.location), exported, time.monotonic() - start)
    outcome |= {"report": str(report) if report else None, "stopped": stopped}
    results = results_console(output.as_json)
    results.quiet = output.quiet and output.as_json
    print_results(campaign, trials, outcome, results)
    if output.as_json:
        sys.stdout.write(json.dumps(outcome) + "\n")
    return 0 if best_trial(trials) is not None and stopped in (None, OUT_OF_TIME) else 1


def _way_on(folder: Path, output: Output, trials: Sequence[Trial], stopped: str) -> str:
    """How to go on with a search that stopped early."""
    if stopped == OUT_OF_TIME:
        return f"Go on with: {_go_on(folder, output)}"
    more = str(sum(trial.failed for trial in trials) + MORE_FAILURES)
    return f"Mend what fails, then go on with: {_go_on(folder, output, '--max-failures', more)}"


def _announce(campaign: Campaign, console: Console) -> None:
    training = campaign.training
    lines = list(campaign.warnings)
    if training is not None and training.worker.data == DEMO:
        lines.append("Data: demo. It is synthetic; its scores say nothing about real text.")
    elif training is not None and training.absent_tasks:
        absent = ", ".join(training.absent_tasks)
        lines.append(f"Tasks of GLUE that {training.worker.data} does not have: {absent}.")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _export_best(
    campaign: Campaign, folder: Path, trials: Sequence[Trial], database: Database | None, console: Console
) -> Path | None:
    """Export the best to OUT/best, in place of an earlier best of the same run."""
    best = best_trial(trials)
    if best is None:
        return None
    if campaign.training is None and not (checkpoint_folder(folder, best.number) / CONFIG_NAME).is_file():
        return None  # an evaluator of one's own need not keep a model
    target, before = folder / EXPORT_FOLDER, folder / f".{EXPORT_FOLDER}.before"
    if target.exists():
        shutil.rmtree(before, ignore_errors=True)
        target.rename(before)
    try:
        with told(f"exporting the best to {target}", console):
            export(ExportRequest(run_folder=folder, target=target, database=database))
    except BaseException as error:
        if before.exists():
            before.rename(target)
        if campaign.training is None and isinstance(error, InputError):  # the search is good without its model
            sys.stderr.write(f"The model of {best.id} is not exported: {error}\n")
            return None
        raise
    shutil.rmtree(before, ignore_errors=True)
    return target
