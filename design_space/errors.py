"""The one error that means: what the user gave cannot be used."""


class InputError(ValueError):
    """Bad input, told in one line: where, which rule, what was given, the way out.

    Commands print the line on stderr and exit with code 2.
    """
