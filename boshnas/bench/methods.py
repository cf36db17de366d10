"""The search methods that can be compared, by name."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Protocol

from boshnas.baselines import RandomSearcher
from boshnas.baselines.base import Baseline
from boshnas.baselines.botorch_gp import INSTALL, BotorchSearcher
from boshnas.baselines.ensemble import EnsembleSearcher
from boshnas.baselines.evolution import EvolutionSearcher
from boshnas.baselines.forest import ForestSearcher
from boshnas.baselines.local_search import LocalSearcher
from boshnas.baselines.optuna_samplers import OptunaGPSearcher, OptunaSearcher, TPESearcher
from boshnas.errors import InputError, did_you_mean
from boshnas.searcher import Searcher
from boshnas.surrogates import GPSurrogate, NPNSurrogate, Surrogate
from boshnas.table import Table


class AskTell(Protocol):
    """What a method is to the measurement."""

    def tell(self, results: Mapping[str, float | None], noise_std: Mapping[str, float] | None = None) -> None:
        """Learn the objective by id, to be maximised."""

    def ask(self, k: int, pending: Collection[str] = ()) -> list[str]:
        """The next ids to measure."""


Make = Callable[[Table, int, int], AskTell]
"""A method over a table, with a seed, to be told a number of random results before it is asked."""


@dataclass(frozen=True)
class Method:
    """How a method is made, and which packages' versions matter to it."""

    make: Make
    packages: tuple[str, ...] = ()


def _searcher(surrogate: Callable[[], Surrogate] | None = None, kind: type[Searcher] = Searcher) -> Make:
    def make(table: Table, seed: int, num_initial: int) -> Searcher:
        settings: dict[str, Any] = {"seed": seed, "num_initial": num_initial, "num_proposed": num_initial}
        settings["costs"] = table.costs
        return kind(table.pool, None if surrogate is None else surrogate(), **settings)

    return make


def _baseline(kind: type[Baseline]) -> Make:
    return lambda table, seed, num_initial: kind(table.pool, seed=seed)


def _optuna(kind: type[OptunaSearcher]) -> Make:
    return lambda table, seed, num_initial: kind(table.pool, table.features(), seed=seed, num_initial=num_initial)


METHODS: dict[str, Method] = {
    "boshnas": Method(_searcher(), ("torch",)),
    "gp": Method(_searcher(GPSurrogate), ("torch", "gpytorch")),
    "npn": Method(_searcher(NPNSurrogate), ("torch",)),
    "random": Method(_searcher(kind=RandomSearcher)),
    "evolution": Method(_baseline(EvolutionSearcher)),
    "local": Method(_baseline(LocalSearcher)),
    "tpe": Method(_optuna(TPESearcher), ("optuna",)),
    "optuna-gp": Method(_optuna(OptunaGPSearcher), ("optuna", "torch")),
    "botorch": Method(_baseline(BotorchSearcher), ("botorch", "gpytorch", "torch")),
    "rf": Method(_baseline(ForestSearcher), ("scikit-learn",)),
    "ensemble": Method(_baseline(EnsembleSearcher), ("torch",)),
}


def parse(text: str) -> list[str]:
    """Names of methods in a comma-separated list.

    Raises:
        InputError: If there is none, one is unknown or named twice, or needs a package that is not installed.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"--methods: must name a method, got {text!r}. Choose from {', '.join(METHODS)}.")
    for name in names:
        if name not in METHODS:
            hint = did_you_mean(name, METHODS, "Choose from these.")
            raise InputError(f"--methods: must be of {', '.join(METHODS)}, got {name!r}. {hint}")
        if names.count(name) > 1:
            raise InputError(f"--methods: must name a method once, got {name!r} twice. Leave one out.")
    if "botorch" in names and find_spec("botorch") is None:
        raise InputError(f"--methods botorch: {INSTALL}")
    return names


def versions(names: Sequence[str]) -> dict[str, str]:
    """Versions of the packages that some methods stand on."""
    packages = dict.fromkeys(package for name in names for package in METHODS[name].packages)
    return {package: version(package) for package in packages}
