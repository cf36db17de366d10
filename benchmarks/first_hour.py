"""A newcomer's first hour: a fresh clone, README's first command, the report, the export, and the model used elsewhere.

Every step is a process of its own, with an empty home, so that no cache helps. What pip downloads takes as long as the
network does: its rows stand apart and are not in the sum.

usage: python benchmarks/first_hour.py [--repository DIR_OR_URL] [--out FILE.md]
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import outcome

HERE = Path(__file__).parents[1]
MARKER = "<!-- two commands -->"
ASKED_S = 600
OF_THIS_SHELL = ("PYTHONPATH", "VIRTUAL_ENV", "XDG_CACHE_HOME", "HF_HOME", "OMP_NUM_THREADS")
VERSIONS = (
    "from importlib.metadata import version as v; print(', '.join(f'{n} {v(n)}' for n in ('torch', 'transformers')))"
)
USE = """
from transformers import pipeline

fill = pipeline("fill-mask", "winner", trust_remote_code=True)
guesses = fill(f"the doctor was {fill.tokenizer.mask_token} to go home .")
assert len(guesses) == 5, guesses
"""


class Newcomer:
    """Types commands in a folder, with a clock beside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[tuple[str, float, bool]] = []
        self.environment = {name: value for name, value in os.environ.items() if name not in OF_THIS_SHELL}
        (folder / "home").mkdir()
        self.environment["HOME"] = str(folder / "home")

    def activate(self, name: str) -> None:
        """Do what an environment's `activate` does."""
        self.environment["PATH"] = os.pathsep.join([str(self.folder / name / "bin"), self.environment["PATH"]])

    def type(self, command: str | Sequence[str | Path], place: str = "clone", step: str | None = None) -> None:
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
        shown = step or f"`{shlex.join(words)}`"
        sys.stderr.write(f"{shown}\n")
        begin = time.perf_counter()
        subprocess.run(words, cwd=self.folder / place, env=self.environment, stdout=sys.stderr, check=True)
        self.rows.append((shown, time.perf_counter() - begin, words[0] == "pip"))

    def says(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()


def first_command(clone: Path) -> list[str]:
    """The parts of the first command that README shows."""
    shown = (clone / "README.md").read_text("utf-8").partition(MARKER)[2]
    return next(line for line in shown.splitlines() if line.startswith("pip install")).split(" && ")


def spend(newcomer: Newcomer, repository: str) -> str:
    """Do all of it; the versions that the model was used with."""
    folder = newcomer.folder
    newcomer.type(["git", "clone", "--quiet", repository, "clone"], ".", "`git clone`")
    newcomer.type([sys.executable, "-m", "venv", folder / "first"], ".", "`python -m venv`")
    newcomer.activate("first")
    for part in first_command(folder / "clone"):
        newcomer.type(part)
    (run,) = (path.name for path in (folder / "clone" / "runs").iterdir())
    newcomer.type(["boshnas", "report", f"runs/{run}"], step="`boshnas report`")
    newcomer.type(
        ["boshnas", "export", f"runs/{run}", "--to", folder / "winner"], step="`boshnas export … --to winner`"
    )
    newcomer.type([sys.executable, "-m", "venv", folder / "second"], ".", "`python -m venv`, for a second environment")
    newcomer.activate("second")
    constraints = folder / "clone" / "constraints.txt"
    newcomer.type(
        ["pip", "install", "-c", constraints, "torch", "transformers"], ".", "`pip install torch transformers`"
    )
    newcomer.type(["python", "-c", USE], ".", '`pipeline("fill-mask", "winner")` in it')
    return newcomer.says("python", "-c", VERSIONS)


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--repository", default=str(HERE), help="what is cloned; this one where not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        newcomer = Newcomer(Path(scratch))
        versions = spend(newcomer, arguments.repository)
    total_s = sum(seconds for _, seconds, is_network in newcomer.rows if not is_network)
    lines = ["| step | seconds | of pip, seconds |", "|---|---:|---:|"]
    for step, seconds, is_network in newcomer.rows:
        lines.append(f"| {step} | | {seconds:.0f} |" if is_network else f"| {step} | {seconds:.1f} | |")
    lines.append(f"| **all but pip, asked <= {ASKED_S}** | **{total_s:.0f}** | |")
    setting = f"The model was used with {versions}, and without this project."
    outcome.publish("A first hour", ["pip"], setting, "\n".join(lines), arguments.out)


if __name__ == "__main__":
    main()
