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
        InputError: If it is a folder or a device, or its folder is not there.
    """
    try:
        is_other = target.exists() and not target.is_file()
        has_folder = target.parent.is_dir()
    except OSError as error:  # a name that is too long, or a folder that may not be looked into
        raise InputError(f"--out: {str(target)!r} cannot be written ({error.strerror}). Give another file.") from None
    if is_other:
        kind = "folder" if target.is_dir() else "device"
        raise InputError(f"--out: must be a file, or {STDOUT}, got the {kind} {str(target)!r}. Name a file.")
    if not has_folder:
        raise InputError(f"--out: must be a file in a folder that exists, got {str(target)!r}. Make the folder first.")
