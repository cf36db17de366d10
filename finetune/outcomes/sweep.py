"""What a sweep found, as a Markdown table and as a picture."""

import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from design_space.files import written_whole
from finetune.outcomes.repeats import SCORE, RunOutcome, SettingOutcome, points
from finetune.outcomes.table import markdown, mean_and_std

# Okabe and Ito's palette: told apart by all readers.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = "osD^vPX*"
_ASIDE = 1.04
"""Factor between the places of two optimizers that train the same parameters, so that both are seen."""
_MIB = 2**20


def sweep_table(outcomes: Mapping[str, SettingOutcome], failed: Mapping[str, str]) -> str:
    """A row a combination, the best score first; below it what could not be run, and why.

    Args:
        outcomes: By the combination's name; of one task.
        failed: Reason by name.
    """
    ranked = sorted(outcomes.items(), key=lambda pair: -pair[1].mean[SCORE])
    several = any(outcome.std for outcome in outcomes.values())
    spread = " ± sd" if several else ""
    first = ranked[0][1]
    heads = [f"{first.model}, {first.task}", f"score{spread}", *(f"{name}{spread}" for name in first.names[1:])]
    heads += ["learning rate", "trained parameters", "peak memory", "seconds a run", "runs"]
    rows = [
        [name, *(mean_and_std(outcome, one) for one in outcome.names), *_costs(outcome)] for name, outcome in ranked
    ]
    left_out = "".join(f"\n{name}: left out: {reason}\n" for name, reason in failed.items())
    return markdown(heads, rows) + left_out


def draw(outcomes: Mapping[str, SettingOutcome], path: Path) -> bool:
    """Draw scores, with their spread over the seeds, over trained parameters; whether matplotlib was there to do it."""
    if find_spec("matplotlib") is None:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    tunings = list(dict.fromkeys(_word(one, "tuning") for one in outcomes.values()))
    optimizers = list(dict.fromkeys(_word(one, "optim") for one in outcomes.values()))
    for name, outcome in outcomes.items():
        color = _COLORS[tunings.index(_word(outcome, "tuning")) % len(_COLORS)]
        number = optimizers.index(_word(outcome, "optim"))
        marker = _MARKERS[number % len(_MARKERS)]
        error = None if outcome.std is None else points(SCORE, outcome.std[SCORE])
        trained = (outcome.runs[0].num_trained or math.nan) * _ASIDE**number
        axes.errorbar(
            trained, outcome.mean[SCORE], error, color=color, marker=marker, capsize=3, linestyle="", label=name
        )
    axes.set_xscale("log")
    aside = ", optimizers side by side" if len(optimizers) > 1 else ""
    axes.set_xlabel(f"trained parameters{aside}")
    first = next(iter(outcomes.values()))
    num_runs = max(len(outcome.runs) for outcome in outcomes.values())
    axes.set_ylabel(f"score on {first.task}" + (f", mean ± sd of {num_runs} runs" if num_runs > 1 else ""))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    with written_whole(path) as file:
        figure.savefig(file, format="png", dpi=150)
    return True


def _word(outcome: SettingOutcome, name: str) -> str:
    return str(outcome.setting.get(name, ""))


def _costs(outcome: SettingOutcome) -> list[str]:
    """Cells of what a combination costs: of memory the most of its runs, of time their mean."""
    run: RunOutcome = outcome.runs[0]
    trained = ""
    if run.num_trained is not None and run.num_parameters:
        trained = f"{run.num_trained:,} ({run.num_trained / run.num_parameters:.2%})"
    memory = [one.peak_memory_bytes for one in outcome.runs if one.peak_memory_bytes is not None]
    seconds = sum(one.seconds for one in outcome.runs) / len(outcome.runs)
    rate = outcome.setting.get("learning_rate")
    return [
        f"{rate:g}" if isinstance(rate, float) else "",
        trained,
        f"{max(memory) / _MIB:,.0f} MiB" if memory else "",
        f"{seconds:.1f}",
        str(len(outcome.runs)),
    ]
