"""What a search found and why it believes so: a page with figures, and the same facts as text and data."""

from importlib import import_module
from typing import Any

_HOME = {
    "Format": "boshnas.report.target",
    "figures": "boshnas.report.plots",
    "write_report": "boshnas.report.write",
}

__all__ = ["Format", "figures", "write_report"]  # noqa: F822  (resolved on first use)


def __getattr__(name: str) -> Any:
    # plotly, scikit-learn and pandas take seconds: `python -m boshnas.report --help` must not wait for them.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
