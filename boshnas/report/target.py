"""Where a report goes, and in which form."""

from enum import StrEnum
from pathlib import Path

from boshnas.errors import InputError

STDOUT = "-"


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MD = "md"
    JSON = "json"
    CSV = "csv"


def chosen_format(out: str | None, given: Format | None) -> Format:
    """The format that was asked for, else that of the file's ending, else HTML.

    Example:
        >>> chosen_format("best.md", None)
        <Format.MD: 'md'>
    """
    ending = Path(out or "").suffix.lower().removeprefix(".")
    return given or (Format(ending) if ending in list(Format) else Format.HTML)


def check_target(target: Path) -> None:
    """Refuse a file that could not be written, before any work.

    Raises:
        InputError: If it is a folder, or its folder is not there.
    """
    if target.is_dir():
        raise InputError(f"--out: must be a file, got the folder {str(target)!r}. Name a file in it.")
    if not target.parent.is_dir():
        raise InputError(f"--out: must be a file in a folder that exists, got {str(target)!r}. Make the folder first.")
