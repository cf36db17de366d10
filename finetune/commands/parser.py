"""A parser of flags for commands without a Trainer."""

import argparse
from typing import Any, NoReturn

from design_space.errors import InputError


class Parser(argparse.ArgumentParser):
    """Refuses in one line, where argparse would print its whole usage, and takes whole names of flags alone."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        super().__init__(prog, allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Refuse.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.prog}: {message}. See --help.")
