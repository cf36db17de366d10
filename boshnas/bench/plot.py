"""Regret over evaluations as a picture; needs the optional package matplotlib."""

import io
import os
from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from boshnas.bench.methods import METHODS
from boshnas.bench.report import Result
from boshnas.errors import InputError
from boshnas.writable import why_unwritable

SUFFIXES = (".png", ".svg", ".html")

# Okabe and Ito's palette without its yellow: told apart by all readers; more curves have the same colours, dashed.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES = ("-", "--")
_LOG_RATIO = 10.0


def check(path: Path) -> None:
    """Refuse a file that could not be written.

    Raises:
        InputError: If its ending is unknown, its folder cannot be written to, or matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"--plot: must end in {', '.join(SUFFIXES)}, got {str(path)!r}. Rename it.")
    if path.is_dir():
        raise InputError(f"--plot: must be a file, got the folder {str(path)!r}. Name a file in it.")
    if path.parent.exists() and not path.parent.is_dir():
        raise InputError(f"--plot: must be in a folder, got {str(path)!r} below a file. Name another folder.")
    if not path.parent.is_dir():
        raise InputError(f"--plot: must be a file in a folder that exists, got {str(path)!r}. Make the folder first.")
    reason = why_unwritable(path.parent)
    if reason is not None or (path.exists() and not os.access(path, os.W_OK)):
        because = f" ({reason})" if reason else ""
        raise InputError(f"--plot: must be writable, got {str(path)!r}{because}. Name another folder.")
    if find_spec("matplotlib") is None:
        raise InputError(
            "--plot: must have the package matplotlib, which is not installed. Run: "
            "pip install -c constraints.txt -e '.[bench]'"
        )


def save(path: Path, title: str, unit: str, found: Sequence[Result]) -> None:
    """Write the curves of mean regret, each within its standard error.

    Args:
        path: Ends in one of `SUFFIXES`; .html is a page that holds the picture itself.
        title: Over the picture.
        unit: What regret is measured in: the objective's name.
        found: Methods, at least one; the first is drawn on top.

    Raises:
        InputError: If the file cannot be written.
    """
    write(path, title, _figure(title, unit, found))


def write(path: Path, title: str, figure: Any) -> None:
    """Write a figure of matplotlib.

    Args:
        path: Ends in one of `SUFFIXES`; .html is a page that holds the picture itself.
        title: Of that page.
        figure: The picture.

    Raises:
        InputError: If the file cannot be written.
    """
    kind = path.suffix.lower()
    picture = io.BytesIO()
    figure.savefig(picture, format="svg" if kind == ".html" else kind[1:], dpi=160)
    drawing = picture.getvalue()
    if kind == ".html":
        head = f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title>\n'
        drawing = head.encode() + drawing[drawing.index(b"<svg") :]
    try:
        path.write_bytes(drawing)
    except OSError as error:
        raise InputError(
            f"--plot: {str(path)!r} could not be written ({error.strerror}). Run it again with another file."
        ) from None


def _figure(title: str, unit: str, found: Sequence[Result]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    looks = [name for name in METHODS if name in {result.method for result in found}]
    for result in reversed(found):
        _curve(axes, result, looks.index(result.method))
    lowest, highest = _scale(axes, found)
    axes.set_xlim(found[0].initial, found[0].regret.shape[1])
    axes.set_ylim(lowest, highest)
    axes.set_xlabel("evaluations")
    axes.set_ylabel(f"mean regret ({unit})")
    axes.set_title(title, loc="left", fontsize="medium")
    axes.grid(which="major", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def _curve(axes: Any, result: Result, place: int) -> None:
    color = COLORS[place % len(COLORS)]
    evaluations = np.arange(result.initial, result.regret.shape[1] + 1)
    mean, sem = result.mean[result.initial - 1 :], np.nan_to_num(result.sem[result.initial - 1 :])
    axes.fill_between(evaluations, mean - sem, mean + sem, step="post", color=color, alpha=0.12, linewidth=0)
    style = _DASHES[place // len(COLORS) % len(_DASHES)]
    axes.step(evaluations, mean, where="post", color=color, linestyle=style, linewidth=1.8, label=result.method)


def _scale(axes: Any, found: Sequence[Result]) -> tuple[float, float]:
    """Limits of the regret axis, which is made logarithmic where values span more than a factor of 10."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    means = np.concatenate([result.mean[result.initial - 1 :] for result in found])
    tops = np.concatenate([(result.mean + np.nan_to_num(result.sem))[result.initial - 1 :] for result in found])
    positive = means[means > 0]
    if len(positive) == 0 or positive.max() <= _LOG_RATIO * positive.min():
        return 0.0, float(tops.max() * 1.05) or 1.0
    axes.set_yscale("log", nonpositive="clip")  # a regret of 0 falls through the floor
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    return float(positive.min() * 0.7), float(tops.max() * 1.2)
