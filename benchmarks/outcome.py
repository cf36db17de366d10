"""What every benchmark has: the flag `--out`, and a dated line of versions above its table."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with `--out`; the description is the script's docstring."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, help="also append the result to this Markdown file")
    return made


def publish(title: str, packages: Sequence[str], setting: str, body: str, out: Path | None) -> None:
    """Print a result, and append it to a file where asked.

    Args:
        title: Heading.
        packages: Distributions whose versions matter.
        setting: One line: on what, how often, with which options.
        body: Tables and what they mean, in Markdown.
        out: The file.
    """
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    head = f"{time.strftime('%Y-%m-%d')} · Python {platform.python_version()}, {versions}; {os.cpu_count()} cores."
    text = f"# {title}\n\n{head} {setting}\n\n{body.strip()}\n\n"
    sys.stdout.write(text)
    if out:
        with out.open("a", encoding="utf-8") as file:
            file.write(text)
