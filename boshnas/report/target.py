"""Where a report goes, and in which form."""

from enum import StrEnum
from pathlib import Path

from boshnas.errors import InputError

STDOUT = "-"
STEM = "report"
"""How the name of a report in a run's folder begins."""


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MD = "md"
    JSON = "json"
    CSV = "csv"


def chosen_format(out: str | None, given: Format | None) -> Format:
    """The format that was asked for, else that of the file's ending; HTML where there is no file.

    Raises:
        InputError: If the file's ending is that of another format, or of none and no format is asked for.

    Example:
        >>> chosen_format("best.md", None)
        <Format.MD: 'md'>
    """
    if out in (None, STDOUT):
        return given or Format.HTML
    ending = Path(out or "").suffix.lower().removeprefix(".")
    if ending not in list(Format):
        if given is not None:
            return given
        known = ", ".join(f".{one.value}" for one in Format)
        raise InputError(f"--out: must end in one of {known}, got {out!r}. Name a file that does, or give --format.")
    if given not in (None, Format(ending)):
        raise InputError(
            f"--format: must be that of --out, {ending}, got {given}. Leave it out, or end --out in .{given}."
        )
    return Format(ending)


def check_target(target: Path, run: Path) -> None:
    """Refuse a file that could not be written or is not to be lost, before any work.

    Args:
        target: File to write; an older report in its place is replaced.
        run: Folder of the run: the search keeps files of its own there.

    Raises:
        InputError: If it is a folder, a device or a file of the run, or its folder is not there.
    """
    if target.resolve().is_relative_to(run.resolve()) and not target.name.startswith(STEM):
        raise InputError(
            f"--out: a report in the run's folder must be named {STEM}…, got {str(target)!r}. Name it so, or "
            "give a file elsewhere."
        )
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
