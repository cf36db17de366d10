"""Versions of this package and of those that a result depends on."""

import platform
from importlib.metadata import version

VERSION = "0.1.0"
_PACKAGES = ("flexibert-boshnas", "torch", "transformers", "optuna", "numpy")


def versions() -> dict[str, str]:
    """By name, as a run notes them; Python's among them."""
    return {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}
