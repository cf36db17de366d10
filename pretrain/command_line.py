"""Flags of pretrain and finetune, read by transformers' parser, refused in one line."""

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from transformers import HfArgumentParser
from transformers.hf_argparser import string_to_bool

from design_space.errors import InputError

_CLOSE = 0.85
"""Likeness, as difflib measures it, of a typing error and the flag that was meant.

--do_training has 0.87 to --do_train, --max_seq_len 0.90 to --max_seq_length, and a letter left out or two exchanged in
any flag more. Of what is no error but a flag of something else, --max_query_length has 0.82 to --max_seq_length and
--data_dir 0.76 to --data_seed.
"""


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
        for action in self._actions:
            if action.type is string_to_bool:  # transformers wants a word after those whose default is None
                action.nargs, action.const = "?", True
        self.add_argument(
            "--help_all", "--help-all", action="help", help="show every argument of the transformers Trainer, too"
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
            raise InputError(f"{self.prog}: {self._unknown(unknown)}")
        return tuple(parsed)

    def _unknown(self, left_over: Sequence[str]) -> str:
        """What is said of words that no flag takes; of flags alone where there are any, as the others are their values.

        A value may be a token, so it is not repeated.
        """
        flags = dict.fromkeys(word.split("=")[0] for word in left_over if not is_value(word))
        found = {word: self._nearest(word) for word in flags or left_over}
        if len(found) == 1:
            ((word, near),) = found.items()
            return f"unknown flag {word!r}." + (f" Did you mean {near}?" if near else " See --help.")
        told = [f"{word!r} (did you mean {near}?)" if near else repr(word) for word, near in found.items()]
        return f"unknown flags {', '.join(told)}. See --help."

    def _nearest(self, word: str) -> str | None:
        known = [flag for action in self._actions for flag in action.option_strings]
        return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=_CLOSE)), None)


def help_if_asked(
    arguments: Sequence[str], dataclass_types: Sequence[Any], command_and_example: tuple[str, str]
) -> None:
    """Show some flags and end where a command line asks for help, before the Trainer is imported, which takes seconds.

    Args:
        arguments: The words after the command.
        dataclass_types: Flags to show; those of the Trainer alone are left to `--help_all`.
        command_and_example: As of `FlagParser`.

    Raises:
        SystemExit: With code 0, if -h or --help is there.
    """
    if not {"-h", "--help"}.isdisjoint(arguments):
        FlagParser(dataclass_types, *command_and_example).parse(["--help"])


def is_value(word: str) -> bool:
    """Whether a word belongs to the flag before it: it is no flag, or a negative number.

    Example:
        >>> [is_value(word) for word in ("cola", "-1", "-0.5", "--seed", "-h")]
        [True, True, True, False, False]
    """
    return not word.startswith("-") or re.fullmatch(r"-\d*\.?\d+", word) is not None


def words() -> list[str]:
    """The command line after the program's name."""
    return sys.argv[1:]
