"""What can be built, and where it lies: architectures, spaces, graphs, encodings, hierarchy."""

from importlib import import_module
from typing import Any

_HOME = {
    "Architecture": "design_space.architecture",
    "DesignSpace": "design_space.space",
    "Head": "design_space.layer",
    "InputError": "design_space.errors",
    "Layer": "design_space.layer",
    "MixedLayer": "design_space.layer",
}

__all__ = ["Architecture", "DesignSpace", "Head", "InputError", "Layer", "MixedLayer"]  # noqa: F822  (on first use)


def __getattr__(name: str) -> Any:
    # Spaces bring numpy and pydantic: a command's --help must not wait for them.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
