"""Flags of `run_glue.py` and `run_qa.py` as they were typed for transformers 2 to 4, in the words of transformers 5.

The table is `finetune.commands.removed_flags`.
"""

from collections.abc import Mapping, Sequence

from design_space.errors import InputError
from finetune.commands.removed_flags import REMOVED, REMOVED_VALUES, Removed
from pretrain.command_line import is_value

_SWITCH_VALUES = dict.fromkeys(("yes", "true", "t", "y", "1"), "true") | dict.fromkeys(
    ("no", "false", "f", "n", "0"), "false"
)
"""What transformers' parser reads as true and false."""


def translate(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Put a command line of transformers 2, 3 or 4 into the words of transformers 5.

    Args:
        words: After the command's name; flags as `--flag value`, `--flag=value` or, for switches, `--flag` alone, with
            underscores or hyphens.

    Returns:
        The new words, in which all that was not removed stands as it was; and one line for each flag that was.

    Raises:
        InputError: If the value of a removed flag is missing or cannot be translated, or its successor is given too,
            with another value.

    Example:
        >>> translate(["--seed", "1", "--no_cuda", "--evaluation_strategy=epoch"])[0]
        ['--seed', '1', '--use_cpu', '--eval_strategy=epoch']
    """
    new_words: list[str] = []
    warnings: list[str] = []
    settings: dict[str, tuple[str, str]] = {}
    places = [place for place, word in enumerate(words) if word.startswith("--")]
    given = {_name(flag): value for flag, _, value in (_flag_at(words, place) for place in places)}
    position = 0
    while position < len(words):
        flag, equals, value = _flag_at(words, position)
        removed = _removed(flag, value)
        if removed is None:
            new_words.append(words[position])
            position += 1
            if flag.startswith("--"):
                _settle(settings, flag, flag, value or "true")
            continue
        position += 1 if equals or value is None else 2
        successor = _successor(flag, removed, value, given)
        warnings.append(_warning(flag, removed, successor))
        if successor is None:
            continue
        _settle(settings, successor[0], flag, successor[1])
        if equals:
            new_words.append("=".join(successor))
        else:
            new_words += successor[:1] if value is None and removed.becomes else successor
    return new_words, warnings


def _name(flag: str) -> str:
    """A flag without its dashes, as its field is called."""
    return flag.removeprefix("--").replace("-", "_")


def _flag_at(words: Sequence[str], position: int) -> tuple[str, str, str | None]:
    """A flag, "=" where its value stands behind that, and the value; None where it has none."""
    flag, equals, after = words[position].partition("=")
    if equals:
        return flag, equals, after
    following = words[position + 1 : position + 2]
    return flag, equals, following[0] if following and is_value(following[0]) else None


def _removed(flag: str, value: str | None) -> Removed | None:
    """What became of a flag, or of its value; None where they are still there."""
    if not flag.startswith("--"):
        return None
    return REMOVED.get(_name(flag)) or REMOVED_VALUES.get((_name(flag), value or ""))


def _successor(
    flag: str, removed: Removed, typed: str | None, given: Mapping[str, str | None]
) -> tuple[str, str] | None:
    """The flag and value that a removed flag is now; None where it is dropped."""
    if removed.is_switch:
        value = "true" if typed is None else _SWITCH_VALUES.get(typed.lower())
        if value is None:
            raise InputError(f"{flag}: must be true or false, got {typed!r}. Correct it.")
    elif typed is None:
        raise InputError(f"{flag}: must be followed by a value, is not. Give it, or leave the flag out.")
    else:
        value = typed
    if removed.values is not None:
        if value not in removed.values:
            rule = " or ".join(removed.values) or "left out"
            raise InputError(f"{flag}: must be {rule}, got {value!r}. {removed.way_out}")
        return removed.values[value]
    if not removed.accepts(value, given):
        raise InputError(f"{flag}: must be {removed.rule}, got {value!r}. {removed.way_out}")
    return (removed.becomes, removed.form % value) if removed.becomes else None


def _warning(flag: str, removed: Removed, successor: tuple[str, str] | None) -> str:
    """One line; a value that the user typed is not repeated, as it may be a token."""
    what = f"{removed.becomes or ' '.join(successor)} is used in its place" if successor else "is dropped"
    return f"{flag}: {what}" + (f"; {removed.note}." if removed.note else ".")


def _settle(settings: dict[str, tuple[str, str]], flag: str, typed: str, value: str) -> None:
    """Note a setting under its present flag; what was typed under two names must agree."""
    before, value_before = settings.get(_name(flag), (typed, value))
    if _name(before) != _name(typed) and value_before.lower() != value.lower():
        raise InputError(f"{before} and {typed}: must have one value, are both {flag} now. Give {flag} alone.")
    settings[_name(flag)] = typed, value
