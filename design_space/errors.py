"""The one error that means: what the user gave cannot be used."""

import difflib
from collections.abc import Iterable


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


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a refusal of an unknown name: the closest of those that are known, or nothing.

    Example:
        >>> did_you_mean("bert_tinny", ["bert_tiny", "bert_mini"])
        " Did you mean 'bert_tiny'?"
    """
    by_lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def first_line(error: Exception) -> str:
    """What an exception says, up to its first line break; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
