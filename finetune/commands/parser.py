"""A parser of flags for commands without a Trainer."""

import argparse
from typing import NoReturn

from design_space.errors import InputError


class Parser(argparse.ArgumentParser):
    """Refuses in one line, where argparse would print its whole usage."""

    def error(self, message: str) -> NoReturn:
        """Refuse.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.prog}: {message}. See --help.")
