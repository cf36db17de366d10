"""How long a person waits for a command's help: the best of some starts, each in a process of its own.

usage: python benchmarks/help.py [--repeats 5] [--out FILE.md]
"""

import resource
import subprocess
import sys
import time

import outcome

from boshnas.__main__ import _COMMANDS

PYTHON = (sys.executable, "-c", "pass")
IMPORT = (sys.executable, "-c", "import boshnas")
OTHERS = {"design_space": "", "pretrain": "<= 2", "finetune": "<= 2"}


def seconds(words: tuple[str, ...], repeats: int) -> tuple[float, float] | None:
    """Wall-clock and processor time, the shortest of some runs; None where the command is not there or fails."""
    walls, cpus = [], []
    for _ in range(repeats):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - start)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if done.returncode:
            return None
    return min(walls), min(cpus)


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
    rows += [
        (f"`python -m {name} --help`", (sys.executable, "-m", name, "--help"), asked) for name, asked in OTHERS.items()
    ]
    lines = ["| command | asked, s | waited, s | processor, s |", "|---|---:|---:|---:|"]
    for name, words, asked in rows:
        measured = seconds(words, arguments.repeats)
        lines.append(f"| {name} | {asked} | {'fails |' if measured is None else '{:.2f} | {:.2f}'.format(*measured)} |")
    setting = f"Shortest of {arguments.repeats} starts."
    outcome.publish("Help", ["typer", "rich"], setting, "\n".join(lines), arguments.out)


if __name__ == "__main__":
    main()
