"""How long a person waits for a command's help: the best of some starts, each in a process of its own.

usage: python benchmarks/help.py [--repeats 5] [--out FILE.md]
"""

import subprocess
import sys
import time

import outcome

from boshnas.__main__ import _COMMANDS

PYTHON = (sys.executable, "-c", "pass")
IMPORT = (sys.executable, "-c", "import boshnas")
OTHERS = ("design_space", "pretrain", "finetune")


def seconds(words: tuple[str, ...], repeats: int) -> float | None:
    """The shortest of some runs; None where the command is not there or fails."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        best = min(best, time.perf_counter() - start)
        if done.returncode:
            return None
    return best


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="starts of each")
    arguments = parser.parse_args()
    rows: list[tuple[str, tuple[str, ...], str]] = [
        ("`python -c pass`", PYTHON, ""),
        ("`python -c 'import boshnas'`", IMPORT, "<= 1.5"),
        ("`boshnas --help`", (sys.executable, "-m", "boshnas", "--help"), "<= 0.5"),
    ]
    rows += [
        (f"`boshnas {name} --help`", (sys.executable, "-m", "boshnas", name, "--help"), "<= 0.5") for name in _COMMANDS
    ]
    rows += [(f"`python -m {name} --help`", (sys.executable, "-m", name, "--help"), "") for name in OTHERS]
    lines = ["| command | asked, s | measured, s |", "|---|---:|---:|"]
    for name, words, asked in rows:
        measured = seconds(words, arguments.repeats)
        lines.append(f"| {name} | {asked} | {'fails' if measured is None else f'{measured:.2f}'} |")
    setting = f"Shortest of {arguments.repeats} starts."
    outcome.publish("Help", ["typer", "rich"], setting, "\n".join(lines), arguments.out)


if __name__ == "__main__":
    main()
