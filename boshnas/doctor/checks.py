"""What a check says, and how a command is asked that may be absent or hang."""

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

_COMMAND_TIMEOUT_S = 30.0


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: Of the thing, a word or two.
        status: How it is.
        message: What was found.
        remedy: What to do about it; empty where it is well.
    """

    name: str
    status: Outcome
    message: str
    remedy: str = ""


def ok(name: str, message: str) -> Check:
    """It is well."""
    return Check(name=name, status=Outcome.OK, message=message)


def warning(name: str, message: str, remedy: str) -> Check:
    """A search runs, but not as well as it could."""
    return Check(name=name, status=Outcome.WARNING, message=message, remedy=remedy)


def failure(name: str, message: str, remedy: str) -> Check:
    """A search cannot run."""
    return Check(name=name, status=Outcome.FAILURE, message=message, remedy=remedy)


def run_checks(name: str, checks: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Checks of one subject; one that raises is itself a failure, and the others go on."""
    try:
        yield from checks()
    except Exception as error:
        said = " ".join(str(error).split())
        yield failure(
            name, f"could not be checked: {type(error).__name__}: {said}", "Report this line if it makes no sense."
        )


def ask(words: Sequence[str], timeout_s: float = _COMMAND_TIMEOUT_S) -> tuple[bool, str]:
    """Run a command; whether it ended well, and what it wrote (on stderr where it did not)."""
    if shutil.which(words[0]) is None:
        return False, f"{words[0]} is not found"
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return False, f"{words[0]} gave no answer within {timeout_s:g} seconds"
    except OSError as error:
        return False, f"{words[0]}: {error.strerror}"
    if done.returncode == 0:
        return True, done.stdout.strip()
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return False, said[-1] if said else f"{words[0]} ended with return code {done.returncode}"
