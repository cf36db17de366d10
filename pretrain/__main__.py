"""`python -m pretrain`: any text in, one checkpoint out.

What trains is imported when it is called, as transformers takes seconds.
"""

from collections.abc import Sequence

from design_space.command_line import exit_code
from pretrain.command_line import help_if_asked, words
from pretrain.config import COMMAND, EXAMPLE, PretrainConfig, TrainerDefaults


def main(arguments: Sequence[str]) -> int:
    """Show the help, or read the flags and run; the exit code."""
    help_if_asked(arguments, (PretrainConfig, TrainerDefaults), (COMMAND, EXAMPLE))
    from pretrain.command import run_command

    return run_command(arguments)


if __name__ == "__main__":
    raise SystemExit(exit_code(lambda: main(words())))
