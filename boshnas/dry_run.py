"""What `--dry-run` does: looks at all that would refuse the search, and shows its plan with a forecast of its hours."""

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from boshnas.campaign import Campaign
from boshnas.disk import missing_room
from boshnas.executors.make import check_executor
from boshnas.forecast import forecast, forecast_by_past
from boshnas.store import Location, Store
from boshnas.store.tables import Times
from boshnas.training import recipe_name
from boshnas.trial import Status, Trial
from boshnas.view import told
from boshnas.wording import clock, counted


def dry_run(campaign: Campaign, folder: Path, location: Location | None, console: Console, *, as_json: bool) -> str:
    """Check a search to its first evaluation, and tell its plan.

    Args:
        campaign: Checked settings.
        folder: Of the run to come.
        location: Store of the run that would be gone on with; None: it is a new one.
        console: Told what takes a while, and what would make the search wait.
        as_json: One line of JSON instead of lines for a person.

    Raises:
        InputError: If the machine or cluster cannot run the evaluations, or the store cannot be read.
    """
    if campaign.settings.executor != "local":
        with told(f"asking the cluster for --executor {campaign.settings.executor}", console):
            check_executor(campaign.executor)
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    lack = missing_room(existing, int(campaign.settings.min_free_gb * 1e9))
    if lack is not None:
        line = f"The search would wait at once: {lack}. Make room, or lower --min-free-gb."
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    earlier, times = _past(location)
    found = _forecast(campaign, earlier, times, console)
    if as_json:
        return json.dumps(_plan(campaign, found)) + "\n"
    return "".join(f"{line}\n" for line in (*_lines(campaign, earlier), *_forecast_lines(found, earlier)))


def _past(location: Location | None) -> tuple[Sequence[Trial], dict[int, Times]]:
    """Trials of a run, and when they began and ended."""
    if location is None:
        return [], {}
    with Store.open(location, read_only=True) as store:
        return store.trials(), store.times()


def _forecast(
    campaign: Campaign, earlier: Sequence[Trial], times: dict[int, Times], console: Console
) -> dict[str, Any] | None:
    """Hours of the campaign or of its rest; None for an evaluator of one's own that has finished nothing."""
    if campaign.training is None:
        return forecast_by_past(campaign, earlier, times)
    with told("timing a few training steps for the forecast", console):
        return forecast(campaign, campaign.training, earlier)


def _plan(campaign: Campaign, found: dict[str, Any] | None) -> dict[str, Any]:
    """The JSON object."""
    return {
        "space": campaign.space.name,
        "levels": [{"level": level, "size": size, "budget": budget} for level, size, budget in _levels(campaign)],
        "initial": campaign.num_initial,
        "surrogate": campaign.settings.surrogate,
        "baselines": list(campaign.baselines),
        "executor": campaign.settings.executor,
        "executor_config": campaign.executor.model_dump(mode="json"),
        "parallel": campaign.num_parallel,
        "gpus": list(campaign.gpus),
        "command": list(campaign.command),
        "worker": None if campaign.training is None else campaign.training.worker.model_dump(mode="json"),
        "forecast": found,
    }


def _levels(campaign: Campaign) -> Iterator[tuple[int, int | None, int]]:
    """Each level, its size where it can be counted, and its budget."""
    for level, budget in zip(campaign.space.levels, campaign.level_budgets, strict=True):
        yield level, campaign.space.size_if_countable(level), budget


def _lines(campaign: Campaign, earlier: Sequence[Trial]) -> list[str]:
    """The plan for a person."""
    settings = campaign.settings
    lines = [f"Space: {campaign.space.name}"]
    for level, size, budget in _levels(campaign):
        of = f"of {size:,} architectures" if size is not None else "of more architectures than can be counted"
        lines.append(f"Level {level}: {counted(budget, 'evaluation')} {of}")
    if settings.surrogate == "random" or campaign.num_initial >= settings.budget:
        lines.append("Proposals: all at random")
    else:
        lines.append(f"Proposals: the first {campaign.num_initial} at random, then by surrogate {settings.surrogate}")
    lines.append(f"Baselines: {', '.join(campaign.baselines) or 'none'}")
    parallel = (
        "as many evaluations at a time as fit"
        if campaign.num_parallel is None
        else (f"{counted(campaign.num_parallel, 'evaluation')} at a time")
    )
    gpus = f" on GPU {', '.join(campaign.gpus)}" if campaign.gpus else ""
    lines.append(f"Executor: {settings.executor}, {parallel}{gpus}")
    if campaign.training is None:
        lines.append(f"Evaluator: {shlex.join(campaign.command)}")
    else:
        worker = campaign.training.worker
        lines.append(f"Training: recipe {recipe_name(settings)}, {worker.pretrain.max_steps} steps; data {worker.data}")
        lines.append(f"Tasks: {', '.join(worker.tasks)}")
    if earlier:
        lines.append(f"Finished so far: {sum(trial.status is Status.FINISHED for trial in earlier)}")
    return lines


def _forecast_lines(found: dict[str, Any] | None, earlier: Sequence[Trial]) -> list[str]:
    if found is None:
        way_out = "Run a few, then" if not earlier else "Once one has finished"
        return [f"Forecast: none, no evaluation of this evaluator has finished. {way_out}: --resume --dry-run."]
    minutes = found["evaluation_minutes"]
    if minutes["median"] is None:
        return ["Forecast: nothing is left to evaluate."]
    low, high = found["hours_range"]
    return [
        f"Forecast: {clock(3600 * found['hours'])} ({clock(3600 * low)} to {clock(3600 * high)}), "
        f"{found['gpu_hours']:g} GPU hours",
        f"Minutes an evaluation: {minutes['median']:g} in the median, {minutes['max']:g} at most",
        found["note"],
    ]
