"""Bayesian optimisation with heteroscedastic surrogates over any set of measured architectures."""

from importlib import import_module
from typing import Any

_HOME = {
    "InputError": "boshnas.errors",
    "Pool": "boshnas.pool",
    "Posterior": "boshnas.posterior",
    "Run": "boshnas.saved_run",
    "Searcher": "boshnas.searcher",
    "Table": "boshnas.table",
}

__all__ = ["InputError", "Pool", "Posterior", "Run", "Searcher", "Table"]  # noqa: F822  (resolved on first use)


def __getattr__(name: str) -> Any:
    # Searcher brings torch (1.6 s): `python -m boshnas.run --help` must not wait for it.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
