"""Fitted surrogates on disk: numbers and names as JSON, arrays as safetensors, nothing that is run when it is read."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from boshnas.errors import InputError
from boshnas.surrogates.base import Surrogate
from boshnas.surrogates.combined import CombinedSurrogate
from boshnas.surrogates.gp import GPSurrogate
from boshnas.surrogates.kernel import Kernel
from boshnas.surrogates.noise import NoiseModel
from boshnas.surrogates.npn import NPNSurrogate
from boshnas.surrogates.process import Process
from boshnas.surrogates.teacher_student import TeacherStudentSurrogate
from boshnas.surrogates.warp import Warp

STATE_FILE = "surrogate.json"
ARRAYS_FILE = "surrogate.safetensors"
SCHEMA = 1

_SURROGATES: dict[str, type[Surrogate]] = {
    kind.__name__: kind for kind in (NPNSurrogate, TeacherStudentSurrogate, GPSurrogate, CombinedSurrogate)
}
_PARTS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Warp, Kernel, Process, NoiseModel)}


def save(surrogate: Surrogate, folder: str | Path) -> None:
    """Write a surrogate, fitted or not, into a folder, in place of one that is there.

    Both files are written aside and moved in when they are whole, so that a save that fails leaves what was there.

    Args:
        surrogate: One of this package's.
        folder: Is made where it does not exist.

    Raises:
        InputError: If it is no surrogate of this package, has a setting that JSON does not know, or the folder cannot
            be written.
    """
    if type(surrogate) not in _SURROGATES.values():
        raise InputError(
            f"save: surrogate must be one of {', '.join(_SURROGATES)}, got {type(surrogate).__name__}. "
            "Of a pipeline, save the step that is the surrogate, as pipeline[-1]."
        )
    arrays: dict[str, torch.Tensor] = {}
    try:
        state = json.dumps({"schema": SCHEMA, "surrogate": _packed(surrogate, "", arrays)}, indent=1)
    except TypeError as error:
        raise InputError(
            f"save: settings of {type(surrogate).__name__} must be plain numbers, texts and tuples: {error}. "
            "Set it to one."
        ) from None
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".surrogate.", dir=path) as aside:
            save_file(arrays, Path(aside) / ARRAYS_FILE)
            (Path(aside) / STATE_FILE).write_text(state, encoding="utf-8")
            for name in (ARRAYS_FILE, STATE_FILE):
                os.replace(Path(aside) / name, path / name)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"save: {folder} must be a folder that can be written ({reason}). Give another.") from None


def load(folder: str | Path) -> Surrogate:
    """The surrogate that `save` wrote; it predicts the same, up to rounding.

    Raises:
        InputError: If the folder holds none, or one that is damaged or of another version.
    """
    path = Path(folder)
    if not path.is_dir():
        got = "a file" if path.exists() else "nothing there"
        raise InputError(f"{folder}: must hold a saved surrogate, got {got}. Give the folder that save was given.")
    try:
        state = json.loads((path / STATE_FILE).read_text(encoding="utf-8"))
        arrays = load_file(path / ARRAYS_FILE)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{folder}: must hold a saved surrogate: {error}. Save it again.") from None
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise InputError(f"{folder}: schema of {STATE_FILE} must be {SCHEMA}. Save it again with this version.")
    try:
        loaded = _unpacked(state["surrogate"], arrays)
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder}: {STATE_FILE} lacks or misnames {error}. Save it again.") from None
    assert isinstance(loaded, Surrogate)
    return loaded


def _packed(value: Any, name: str, arrays: dict[str, torch.Tensor]) -> Any:
    """A value as JSON; its arrays go into `arrays` under their path."""
    if isinstance(value, torch.Tensor):
        arrays[name] = value.detach().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        arrays[name] = torch.tensor(value)
        return {"array": name}
    if isinstance(value, np.generic):  # a setting out of a grid that numpy made
        return value.item()
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, f"{name}.{place}", arrays) for place, item in enumerate(value)]}
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        return {"part": type(value).__name__, "values": _packed_all(parts, name, arrays)}
    if isinstance(value, Surrogate):
        fitted = {key: item for key, item in vars(value).items() if key.endswith("_")}
        settings = _packed_all(value.get_params(deep=False), f"{name}.settings", arrays)
        return {"kind": type(value).__name__, "settings": settings, "fitted": _packed_all(fitted, name, arrays)}
    return value


def _packed_all(values: Mapping[str, Any], name: str, arrays: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {key: _packed(value, f"{name}.{key}".lstrip("."), arrays) for key, value in values.items()}


def _unpacked(value: Any, arrays: Mapping[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    readers: dict[str, Callable[[], Any]] = {
        "tensor": lambda: arrays[value["tensor"]],
        "array": lambda: arrays[value["array"]].numpy(),
        "tuple": lambda: tuple(_unpacked(item, arrays) for item in value["tuple"]),
        "part": lambda: _PARTS[value["part"]](**_unpacked_all(value["values"], arrays)),
        "kind": lambda: _surrogate(value, arrays),
    }
    return readers[next(iter(value))]()


def _unpacked_all(values: Mapping[str, Any], arrays: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    return {key: _unpacked(value, arrays) for key, value in values.items()}


def _surrogate(value: Mapping[str, Any], arrays: Mapping[str, torch.Tensor]) -> Surrogate:
    surrogate = _SURROGATES[value["kind"]](**_unpacked_all(value["settings"], arrays))
    for key, item in _unpacked_all(value["fitted"], arrays).items():
        setattr(surrogate, key, item)
    return surrogate
