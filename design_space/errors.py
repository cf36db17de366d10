"""The one error that means: what the user gave cannot be used."""


class InputError(ValueError):
    """Bad input, told in one line: where, which rule, what was given, the way out.

    Commands print the line on stderr and exit with code 2.
    """


def first_line(error: Exception) -> str:
    """What an exception says, up to its first line break; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
