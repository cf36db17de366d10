"""What `--dry-run` shows: the plan of a search and a forecast of its hours."""

import json
from typing import Any

from rich.console import Console

from boshnas.campaign import Campaign
from boshnas.forecast import forecast
from boshnas.store import Location, Store
from boshnas.trial import Trial
from boshnas.view import told


def dry_run(campaign: Campaign, location: Location | None, console: Console, *, as_json: bool) -> str:
    """The plan of a search as text.

    Args:
        campaign: Checked settings.
        location: Store of the run that would be gone on with; None: it is a new one.
        console: Told what takes a while.
        as_json: One line of JSON.
    """
    with told("timing a few training steps for the forecast", console):
        plan = _plan(campaign, location)
    return json.dumps(plan, indent=None if as_json else 1) + "\n"


def _plan(campaign: Campaign, location: Location | None) -> dict[str, Any]:
    return {
        "space": campaign.space.name,
        "levels": [
            {"level": level, "size": campaign.space.size_if_countable(level), "budget": budget}
            for level, budget in zip(campaign.space.levels, campaign.level_budgets, strict=True)
        ],
        "initial": campaign.num_initial,
        "surrogate": campaign.settings.surrogate,
        "baselines": list(campaign.baselines),
        "executor": campaign.settings.executor,
        "executor_config": campaign.executor.model_dump(mode="json"),
        "parallel": campaign.num_parallel,
        "gpus": list(campaign.gpus),
        "command": list(campaign.command),
        "worker": None if campaign.training is None else campaign.training.worker.model_dump(mode="json"),
        "forecast": _forecast(campaign, location),
    }


def _forecast(campaign: Campaign, location: Location | None) -> dict[str, Any] | None:
    """Hours that the campaign takes, or the rest of it; None for an evaluator of one's own, which nobody can time."""
    if campaign.training is None:
        return None
    earlier: list[Trial] = []
    if location is not None:
        with Store.open(location, read_only=True) as store:
            earlier = store.trials()
    return forecast(campaign, campaign.training, earlier)
