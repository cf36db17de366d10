"""Runs a typer command so that every refusal is one line."""

from collections.abc import Sequence

import typer

from boshnas.errors import InputError
from design_space.command_line import exit_code

# What typer raises for a word that it cannot read, whichever click it stands on.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


def run_app(app: typer.Typer, name: str, words: Sequence[str]) -> int:
    """Run an app on a command line.

    Args:
        app: With one command.
        name: How it is called, for errors and help.
        words: After the name.

    Returns:
        Exit code: 0 done, 2 bad input, 130 interrupted, or what the command returned.
    """
    command = typer.main.get_command(app)

    def run() -> int | None:
        try:
            outcome = command.main(list(words), prog_name=name, standalone_mode=False)
        except typer.Abort:
            raise KeyboardInterrupt from None
        except _USAGE_ERROR as error:
            message: str = error.format_message()  # type: ignore[attr-defined]
            raise InputError(f"{name}: {message.rstrip('.')}. See --help.") from None
        return outcome if isinstance(outcome, int) else None

    return exit_code(run, InputError)
