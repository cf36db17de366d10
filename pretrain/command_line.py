"""Flags of pretrain and finetune, read by transformers' parser, refused in one line."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from transformers import HfArgumentParser

from design_space.errors import InputError


class FlagParser(HfArgumentParser):
    """`HfArgumentParser` without abbreviations whose refusals are `InputError`s with the nearest right name."""

    def __init__(self, dataclass_types: Sequence[Any], command: str, example: str) -> None:
        super().__init__(
            list(dataclass_types),
            prog=command,
            allow_abbrev=False,
            epilog=f"example: {example}",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Refuse, where argparse would print its whole usage.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.prog}: {message}. See --help.")

    def parse(self, arguments: Sequence[str], defaults: dict[str, Any] | None = None) -> tuple[Any, ...]:
        """Read a command line into the dataclasses.

        Args:
            arguments: The words after the command.
            defaults: Values for flags that are not given, instead of the dataclasses' own.

        Raises:
            InputError: If a flag is unknown or a value breaks its rule.
        """
        if defaults:
            self.set_defaults(**defaults)
        try:
            *parsed, unknown = self.parse_args_into_dataclasses(list(arguments), return_remaining_strings=True)
        except InputError:
            raise
        except (ValueError, argparse.ArgumentError) as error:
            raise InputError(f"{self.prog}: {str(error).splitlines()[0]}") from None
        if unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            near = difflib.get_close_matches(unknown[0].split("=")[0], flags, n=1)
            hint = f" Did you mean {near[0]}?" if near else " See --help."
            raise InputError(f"{self.prog}: unknown flag {unknown[0]!r}.{hint}")
        return tuple(parsed)


def words() -> list[str]:
    """The command line after the program's name."""
    return sys.argv[1:]
