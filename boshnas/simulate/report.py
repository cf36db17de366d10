"""What simulated campaigns come to: each method, asynchronous and in batches, over its seeds."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from rich.table import Table as Grid

from boshnas.grid import grid
from boshnas.replay import regret
from boshnas.simulate.campaign import Outcome
from boshnas.table import Table

SHARES = (25, 50, 100)
"""Per cent of a campaign's hours after which its best is reported."""
_LOOPS = {False: "asynchronous", True: "batches"}
_FIRST_HEADS = {"hours": "hours", "busy": "busy"}
_LAST_HEADS = {
    "gpu_hours": "GPU-hours",
    "failed": "failed",
    "retried": "retried",
    "busy_whole": "to the end",
    "gpu_hours_held": "held",
    "evaluations": "evaluations",
    "best": "best",
}
_PERCENT = ("busy", "busy_whole")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One simulated campaign.

    Attributes:
        method: Of `boshnas.bench`.
        seed: Of its draws.
        synchronous: Whether it proposed in batches.
        outcome: What came out.
    """

    method: str
    seed: int
    synchronous: bool
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Result:
    """A method's campaigns of one kind, at least one.

    Attributes:
        method: Its name.
        synchronous: Whether it proposed in batches.
        runs: One a seed.
    """

    method: str
    synchronous: bool
    runs: Sequence[Run]

    @property
    def name(self) -> str:
        """Method and kind of loop, for a legend."""
        return f"{self.method}, {_LOOPS[self.synchronous]}"


def results(runs: Sequence[Run]) -> list[Result]:
    """Put campaigns together, in the order of their first."""
    kinds = dict.fromkeys((run.method, run.synchronous) for run in runs)
    return [
        Result(
            method=method,
            synchronous=synchronous,
            runs=[run for run in runs if (run.method, run.synchronous) == (method, synchronous)],
        )
        for method, synchronous in kinds
    ]


def figures(outcome: Outcome, gpus_per_worker: int) -> dict[str, float | None]:
    """What a campaign took: hours, shares in [0, 1], GPU-hours of its evaluations and of all held slots, counts."""
    account = outcome.account
    return {
        "hours": account.hours,
        "busy": account.busy,
        "busy_whole": account.busy_whole,
        "gpu_hours": gpus_per_worker * account.slot_hours,
        "gpu_hours_held": gpus_per_worker * account.num_slots * account.hours,
        "evaluations": outcome.num_finished,
        "failed": outcome.failures.total(),
        "retried": outcome.retries.total(),
    }


def best_after(table: Table, outcome: Outcome) -> dict[int, float | None]:
    """Best value in its own unit after each of `SHARES` of the campaign's hours; None before the first."""
    hours = outcome.account.hours
    found = {share: outcome.best_at(hours * share / 100) for share in SHARES}
    return {share: None if best is None else table.objective.value(best) for share, best in found.items()}


def summary(table: Table, found: Sequence[Result], gpus_per_worker: int) -> list[dict[str, Any]]:
    """The JSON object of each result; numbers as `{"mean", "sd"}` over seeds, null where a seed has none."""
    return [_summary(table, result, gpus_per_worker) for result in found]


def _summary(table: Table, result: Result, gpus_per_worker: int) -> dict[str, Any]:
    outcomes = [run.outcome for run in result.runs]
    each = [figures(outcome, gpus_per_worker) for outcome in outcomes]
    best = [best_after(table, outcome) for outcome in outcomes]
    missed = [{share: None if value is None else regret(table, value) for share, value in one.items()} for one in best]
    return {
        "method": result.method,
        "synchronous": result.synchronous,
        **{name: _spread([one[name] for one in each]) for name in each[0]},
        "failures": _means([outcome.failures for outcome in outcomes]),
        "retries": _means([outcome.retries for outcome in outcomes]),
        "best": _spread([one[100] for one in best]),
        "best_after": {str(share): _spread([one[share] for one in best]) for share in SHARES},
        "regret_after": {str(share): _spread([one[share] for one in missed]) for share in SHARES},
        "stopped": sorted({outcome.stopped for outcome in outcomes if outcome.stopped is not None}),
    }


def shown(entries: Sequence[dict[str, Any]], width: int) -> Grid:
    """A table for a person: one row an entry of `summary`, what matters most first, to a width in characters."""
    has_regret = all(entry["regret_after"]["100"]["mean"] is not None for entry in entries)
    kind = "regret" if has_regret else "best"
    after = {
        f"{kind} at {share} %": [_text(entry[f"{kind}_after"][str(share)]) for entry in entries]
        for share in reversed(SHARES)
    }
    numbers = _cells(entries, _FIRST_HEADS) | after | _cells(entries, _LAST_HEADS)
    names = {
        "method": [entry["method"] for entry in entries],
        "loop": [_LOOPS[entry["synchronous"]] for entry in entries],
    }
    rows = list(zip(*names.values(), *numbers.values(), strict=True))
    return grid([*names, *numbers], rows, width, right=numbers.keys())


def _cells(entries: Sequence[dict[str, Any]], heads: Mapping[str, str]) -> dict[str, list[str]]:
    """Columns of numbers by their heads."""
    return {
        head: [_text(entry[name], 100 if name in _PERCENT else 1) for entry in entries] for name, head in heads.items()
    }


def notes(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Lines on what failed, what was tried again, and which campaigns stopped early; none where nothing did."""
    lines = []
    for entry in entries:
        told = [f"{what} a campaign: {_counted(entry[what])}" for what in ("failures", "retries") if entry[what]]
        told += [f"stopped early: {reason}" for reason in entry["stopped"]]
        lines += [f"{entry['method']}, {_LOOPS[entry['synchronous']]}: {one}." for one in told]
    return lines


def _counted(means: dict[str, float]) -> str:
    return ", ".join(f"{cause} {number:.3g}" for cause, number in means.items())


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "sd": None}
    return {"mean": fmean(known), "sd": stdev(known) if len(known) > 1 else None}


def _means(counts: Sequence[Counter[str]]) -> dict[str, float]:
    return {cause: number / len(counts) for cause, number in sorted(sum(counts, Counter()).items())}


def _text(spread: dict[str, float | None], scale: float = 1) -> str:
    mean, sd = spread["mean"], spread["sd"]
    if mean is None:
        return ""
    unit = " %" if scale > 1 else ""
    shown = f"{scale * mean:.1f}" if scale > 1 or abs(mean) >= 10 else f"{mean:.3g}"
    if sd is None or math.isnan(sd) or sd == 0:
        return shown + unit
    return f"{shown} ± {scale * sd:.2g}{unit}"
