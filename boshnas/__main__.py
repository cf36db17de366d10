"""`boshnas`, or `python -m boshnas`: all commands in one place."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from boshnas.errors import did_you_mean
from boshnas.version import VERSION

USAGE_WRONG = 2
_MAX_WIDTH = 100
_USAGE = "Usage: boshnas COMMAND [OPTIONS], or python -m boshnas.COMMAND [OPTIONS]; COMMAND --help tells its options."
_OPTIONS = ("--help", "--version")


class _Command(NamedTuple):
    """Where a command is, and what stands of it in the help."""

    module: str
    summary: str
    example: str


# By name of the module: a command's own libraries, some of which take seconds, are imported when it is called.
_COMMANDS = {
    "run": _Command(
        "boshnas.run",
        "Search a design space to an exported model, or a table of architectures; go on with a search; suggest rows.",
        "boshnas run --space flexibert_mini",
    ),
    "list": _Command("boshnas.list", "The searches under a folder, and how far each is.", "boshnas list runs"),
    "show": _Command(
        "boshnas.show", "A search, or one architecture of it, in the terminal.", "boshnas show runs/my-run --top 10"
    ),
    "report": _Command(
        "boshnas.report.__main__", "A search as one HTML file with figures, or as text.", "boshnas report runs/my-run"
    ),
    "dashboard": _Command(
        "boshnas.dashboard", "optuna-dashboard on a search, in the browser.", "boshnas dashboard runs/my-run"
    ),
    "export": _Command(
        "boshnas.export.__main__",
        "An architecture of a search as a Hugging Face model.",
        "boshnas export runs/my-run --to my-model",
    ),
    "bench": _Command(
        "boshnas.bench.__main__",
        "Search methods side by side on a measured table.",
        "boshnas bench --table nas_bench_bert --seeds 5",
    ),
    "simulate": _Command(
        "boshnas.simulate.__main__",
        "Whole searches in virtual time: hours, busy slots, GPU-hours, regret.",
        "boshnas simulate --table nas_bench_bert --workers 8",
    ),
    "doctor": _Command(
        "boshnas.doctor.__main__",
        "Whether a machine or a cluster is fit for a search, with a remedy a line.",
        "boshnas doctor --executor slurm",
    ),
}


def main(words: Sequence[str]) -> int:
    """Run a command.

    Args:
        words: Its name and its own words; or --help, or --version.

    Returns:
        The command's exit code; 2 where there is no such command.
    """
    if not words:
        sys.stderr.write(_help())
        return USAGE_WRONG
    name, *rest = words
    if name in ("--help", "-h"):
        sys.stdout.write(_help())
        return 0
    if name == "--version":
        sys.stdout.write(f"boshnas {VERSION}\n")
        return 0
    if name not in _COMMANDS:
        sys.stderr.write(f"boshnas: {_unknown(name)}\n")
        return USAGE_WRONG
    code: int = import_module(_COMMANDS[name].module).main(rest)
    return code


def console() -> int:
    """What the script `boshnas` calls; its exit code."""
    return main(sys.argv[1:])


def _unknown(name: str) -> str:
    """A refusal in one line, with the nearest right name where one is near."""
    kind, names = ("option", _OPTIONS) if name.startswith("-") else ("command", tuple(_COMMANDS))
    way_out = did_you_mean(name, names, f"Choose one of {', '.join(names)}.")
    return f"no such {kind}: {name[:80]!r}. {way_out} See --help."


def _help() -> str:
    """All commands with a line and an example each, as wide as the terminal."""
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
    column = max(map(len, _COMMANDS)) + 4
    if width < 3 * column:
        column = 2

    def wrapped(text: str, first: str, indent: int) -> str:
        return textwrap.fill(
            text,
            max(width - 1, indent + 10),
            initial_indent=first,
            subsequent_indent=" " * indent,
            break_on_hyphens=False,
            break_long_words=False,
        )

    lines = [wrapped(_USAGE, "", 0), ""]
    for name, command in _COMMANDS.items():
        is_narrow = column == 2
        lines += [f"{name}:"] if is_narrow else []
        lines.append(wrapped(command.summary, "  " if is_narrow else f"  {name}".ljust(column), column))
        lines.append(wrapped(f"$ {command.example}", " " * column, column + 2))
    lines += ["", wrapped("boshnas --version tells the version.", "", 0)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(console())
