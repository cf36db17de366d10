"""How many GPUs an evaluation of a run had, as far as its settings say."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, JsonValue

from boshnas.errors import InputError
from boshnas.executors.config import load_executor_config


def gpus_each(options: Mapping[str, JsonValue]) -> float | None:
    """GPUs of one evaluation; None where the settings name none, or their file is no longer there.

    Args:
        options: Of the run: `executor` and `executor_config` are looked at.

    Example:
        >>> gpus_each({"executor": "local", "executor_config": None}) is None
        True
    """
    config = options.get("executor_config")
    if not isinstance(config, str):
        return None
    try:
        settings = load_executor_config(str(options.get("executor", "local")), Path(config))
    except InputError:
        return None
    return _named(settings) or None


def _named(settings: BaseModel) -> float:
    """What the settings of an executor say: GPUs that are dealt out, a share of one, or SLURM's `gpu:TYPE:NUMBER`."""
    if getattr(settings, "gpus", None):
        return 1.0
    if num_gpus := getattr(settings, "num_gpus", None):
        return float(num_gpus)
    resources = str(getattr(settings, "gres", None) or "").split(",")
    return sum(_count(words) for words in (resource.split(":") for resource in resources) if words[0] == "gpu")


def _count(words: list[str]) -> float:
    return float(words[-1]) if len(words) > 1 and words[-1].isdecimal() else 1.0
