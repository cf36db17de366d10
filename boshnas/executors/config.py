"""The file that `--executor-config` names: settings of an executor, in YAML."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from boshnas.errors import InputError, did_you_mean
from boshnas.executors.local_settings import LocalSettings
from boshnas.executors.ray.settings import RaySettings
from boshnas.executors.slurm import SlurmSettings
from boshnas.validation import first_fault

SETTINGS: dict[str, type[BaseModel]] = {"local": LocalSettings, "slurm": SlurmSettings, "ray": RaySettings}
"""What can be set of each executor."""


class _OnceLoader(yaml.SafeLoader):
    """Refuses a key that is no scalar, and one that stands twice: the last would count, and nobody would be told."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"a name must be text, got a {key.id} in line {key.start_mark.line + 1}")
            if key.value in seen:
                raise ValueError(f"key {key.value!r} stands twice, the second time in line {key.start_mark.line + 1}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


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
        content = yaml.load(path.read_bytes(), _OnceLoader)  # noqa: S506  (a SafeLoader)
    except OSError as error:
        raise InputError(f"--executor-config: {path} cannot be read: {error.strerror}. Check the path.") from None
    except RecursionError:
        raise InputError(f"--executor-config: {path} must be YAML, got too many levels. Write 'NAME: VALUE'.") from None
    except (yaml.YAMLError, ValueError) as error:  # a date or a number that is none is a ValueError
        told = " ".join(str(error).split()).replace('in "<byte string>", ', "in ")
        raise InputError(f"--executor-config: {path} must be YAML: {told}.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(
            f"--executor-config: {path} must hold one mapping of names to values, got {type(content).__name__}. "
            "Write lines such as 'num_cpus: 2'."
        )
    for key in content:
        if not isinstance(key, str):
            raise InputError(
                f"--executor-config: {path}: a name must be text, got {key!r}. Write lines such as 'num_cpus: 2'."
            )
    return content


def _first_of(error: ValidationError, name: str, kind: type[BaseModel], path: Path | None) -> str:
    """One line on the first thing that is wrong."""
    kind_of_fault, where, fault = first_fault(error)
    file = f"{path}: " if path is not None else ""
    if kind_of_fault == "extra_forbidden":
        known = list(kind.model_fields)
        way_out = did_you_mean(where, known, f"There are {', '.join(known)}.")
        return f"--executor-config: {file}{where} is no setting of the executor {name!r}. {way_out}"
    return f"--executor-config: {file}{where} {fault}. Correct it."
