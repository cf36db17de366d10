"""How every command of the project ends: its exit code, and one line on stderr where something is wrong."""

import logging
import sys
from collections.abc import Callable

from design_space.errors import InputError

INPUT_WRONG = 2
INTERRUPTED = 130


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
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return INPUT_WRONG
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
