"""Runs a typer command so that every refusal is one line."""

from collections.abc import Sequence

import click
import typer

from boshnas.errors import InputError
from design_space.command_line import INPUT_WRONG, exit_code


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
        except click.exceptions.Abort:
            raise KeyboardInterrupt from None
        except click.ClickException as error:
            if error.exit_code != INPUT_WRONG:
                raise
            raise InputError(f"{name}: {error.format_message().rstrip('.')}. See --help.") from None
        return outcome if isinstance(outcome, int) else None

    return exit_code(run, InputError)
