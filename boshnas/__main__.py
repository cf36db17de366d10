"""`python -m boshnas`: says which commands there are."""

import sys

_COMMANDS = """Commands, each with --help:
  python -m boshnas.run       search a design space to an exported model, or a table of architectures
  python -m boshnas.bench     search methods side by side on a measured table
  python -m boshnas.simulate  whole campaigns in virtual time: hours, busy slots, GPU-hours, regret
  python -m boshnas.export    an architecture of a run as a Hugging Face model
  python -m boshnas.doctor    whether a machine or a cluster is fit for a search, with a remedy a line
"""


def main(words: list[str]) -> int:
    """Name the commands; 0 where help was asked for, else 2."""
    is_help = words in (["--help"], ["-h"])
    (sys.stdout if is_help else sys.stderr).write(_COMMANDS)
    return 0 if is_help else 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
