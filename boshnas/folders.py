"""Which folders the jobs of a run may name: the run's own, and that of its data."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from boshnas.errors import InputError
from boshnas.job import read_model, write_model

FOLDERS_FILE = "folders.json"


class Folders(BaseModel):
    """What a run was begun with.

    Attributes:
        data: Folder of the task data, absolute; None: the run reads none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str | None = None


def keep_folders(run_folder: Path, data: str | None) -> None:
    """Write which folder holds the data of a run."""
    write_model(run_folder / FOLDERS_FILE, Folders(data=data))


def inside(run_folder: Path, name: str, value: str) -> Path:
    """A path of a job within its run's folder.

    Args:
        run_folder: Of the run.
        name: Of the field that names the path.
        value: The path, relative to the run's folder.

    Raises:
        InputError: If it leads out of the folder, by itself or by a symbolic link.
    """
    path = run_folder / value
    if not path.resolve().is_relative_to(run_folder.resolve()):
        raise InputError(
            f"job.json: {name} must lie within the run's folder, got {value!r}, which is {path.resolve()}. "
            "Give a path within it."
        )
    return path


def require_data(run_folder: Path, value: str) -> None:
    """Refuse a data folder other than the one that the run was begun with.

    Raises:
        InputError: If it is another.
    """
    named = read_model(run_folder / FOLDERS_FILE, Folders).data
    if named is None or Path(value).resolve() != Path(named).resolve():
        raise InputError(
            f"job.json: settings.data must be the data of the run, {named!r}, got {value!r}. Begin another run for it."
        )
