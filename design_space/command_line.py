"""How every command of the project ends: its exit code, and one line on stderr where something is wrong."""

import difflib
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from design_space.errors import InputError, one_line

INPUT_WRONG = 2
INTERRUPTED = 130

# What typer raises for a word that it cannot read, whichever click it stands on.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


def exit_code(command: Callable[[], int | None], *input_errors: type[Exception]) -> int:
    """Run a command and turn its end into an exit code.

    Args:
        command: Does the work; its return value is the exit code, None for 0.
        *input_errors: Further exceptions that mean bad input, beside `InputError`.

    Returns:
        0 done, 2 the input is wrong (told in one line), 130 interrupted; other exceptions pass.
    """
    wrong: tuple[type[Exception], ...] = (InputError, *input_errors)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        return command() or 0
    except wrong as error:
        sys.stderr.write(one_line(str(error)) + "\n")
        return INPUT_WRONG
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def run_app(app: typer.Typer, name: str, words: Sequence[str], *input_errors: type[Exception]) -> int:
    """Run a typer app on a command line, so that every refusal is one line.

    Args:
        app: With one command or more.
        name: How it is called, for errors and help.
        words: After the name.
        *input_errors: As in `exit_code`.

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
            raise InputError(f"{name}: {_refusal(error)} See --help.") from None
        if outcome == INTERRUPTED:
            raise KeyboardInterrupt
        return outcome if isinstance(outcome, int) else None

    return exit_code(run, *input_errors)


def _refusal(error: Any) -> str:
    """What is wrong with a word, and the nearest right one where it is no option."""
    wrong: str | None = getattr(error, "option_name", None)
    if wrong is None or not hasattr(error, "possibilities"):
        message: str = error.format_message()
        return message if message.endswith(("?", ".")) else f"{message}."
    known = {"--help": None} | {word: None for option in error.ctx.command.params for word in option.opts}
    near = difflib.get_close_matches(wrong, [word for word in known if word.startswith("--")], n=1, cutoff=0.5)
    return f"No such option: {wrong}." + (f" Did you mean {near[0]!r}?" if near else "")
