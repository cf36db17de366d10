"""The one error that means: what the user gave cannot be used."""

import difflib
from collections.abc import Iterable

_CLOSE = 0.6
"""Below it a known name is no likely misspelling of another."""


def one_line(text: str) -> str:
    r"""A text in one line: its line breaks become spaces, and what would steer a terminal is written out.

    Example:
        >>> one_line("one\n  line, \x1b[31mred")
        'one line, \\x1b[31mred'
    """
    joined = " ".join(part.strip() for part in text.splitlines()).expandtabs(1)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in joined)


class InputError(ValueError):
    """Bad input, told in one line: where, which rule, what was given, the way out.

    Commands print the line on stderr and exit with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def did_you_mean(name: str, names: Iterable[str], otherwise: str) -> str:
    """The way out after an unknown name: the closest of those that are known, or something else.

    Example:
        >>> did_you_mean("gpp", ["gp", "npn"], "Choose one.")
        "Did you mean 'gp'?"
        >>> did_you_mean("away", ["ray"], "Choose one.")
        'Choose one.'
    """
    near = difflib.get_close_matches(name.lower(), list(names), n=1, cutoff=_CLOSE)
    return f"Did you mean {near[0]!r}?" if near else otherwise
