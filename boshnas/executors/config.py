"""The file that `--executor-config` names: settings of an executor, in YAML."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from boshnas.errors import InputError, did_you_mean
from boshnas.executors.local_settings import LocalSettings
from boshnas.executors.ray.settings import RaySettings
from boshnas.executors.slurm import SlurmSettings

SETTINGS: dict[str, type[BaseModel]] = {"local": LocalSettings, "slurm": SlurmSettings, "ray": RaySettings}
"""What can be set of each executor."""


def load_executor_config(name: str, path: Path | None) -> BaseModel:
    """Read the settings of an executor.

    Args:
        name: Of the executor.
        path: A YAML file with one mapping; None: the settings' own defaults.

    Raises:
        InputError: If there is no such executor, or the file is absent, not YAML, not a mapping, or has a key or a
            value that is none of the executor's.
    """
    if name not in SETTINGS:
        known = ", ".join(SETTINGS)
        way_out = did_you_mean(name, SETTINGS, f"Choose one of {known}.")
        raise InputError(f"--executor: must be one of {known}, got {name!r}. {way_out}")
    kind = SETTINGS[name]
    try:
        return kind.model_validate({} if path is None else _mapping(path))
    except ValidationError as error:
        raise InputError(_first_of(error, name, kind, path)) from None


def _mapping(path: Path) -> dict[str, object]:
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise InputError(f"--executor-config: {path} cannot be read: {error.strerror}. Check the path.") from None
    except RecursionError:
        raise InputError(f"--executor-config: {path} must be YAML, got too many levels. Write 'NAME: VALUE'.") from None
    except (yaml.YAMLError, ValueError) as error:  # a date or a number that is none is a ValueError
        raise InputError(f"--executor-config: {path} must be YAML: {' '.join(str(error).split())}.") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(
            f"--executor-config: {path} must hold one mapping of names to values, got {type(content).__name__}. "
            "Write lines such as 'num_cpus: 2'."
        )
    return content


def _first_of(error: ValidationError, name: str, kind: type[BaseModel], path: Path | None) -> str:
    """One line on the first thing that is wrong."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "content"
    file = f"{path}: " if path is not None else ""
    if first["type"] == "extra_forbidden":
        known = list(kind.model_fields)
        way_out = did_you_mean(where, known, f"There are {', '.join(known)}.")
        return f"--executor-config: {file}{where} is no setting of the executor {name!r}. {way_out}"
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"--executor-config: {file}{where} {said[0].lower()}{said[1:]}, got {first['input']!r:.80}. Correct it."
