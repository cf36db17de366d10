"""Folders with what light-weight tuning trained, a small part of a model, beside the name of the base model.

tuning.json         the base model, the way of tuning
delta.safetensors   the trained parameters by their names
config.json, tokenizer.json, …   as of a whole model
"""

import zlib
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from design_space.errors import InputError, first_line
from design_space.files import written_whole
from finetune.tuning.settings import Tuning
from finetune.tuning.tune import tune
from finetune.tuning.virtual_tokens import VirtualTokens

TUNING_FILE = "tuning.json"
_DELTA_FILE = "delta.safetensors"
_MERGEABLE = ("lora", "head", "bitfit")


class Delta(BaseModel):
    """What a folder says of itself.

    Attributes:
        base_model: Folder or hub name of the model that was tuned.
        base_checksum: Of its weights that were not trained.
        problem: What the head is for, of `finetune.tasks.Problem`.
        tuning: How it was tuned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_model: Annotated[str, Field(min_length=1)]
    base_checksum: int
    problem: str
    tuning: Tuning


def is_delta(folder: str | Path) -> bool:
    """Whether a folder holds what was trained beside a base model."""
    return Path(folder, TUNING_FILE).is_file()


def read_delta(folder: str | Path) -> Delta:
    """What a folder says of itself.

    Raises:
        InputError: If its file is damaged.
    """
    file = Path(folder, TUNING_FILE)
    try:
        return Delta.model_validate_json(file.read_bytes())
    except (ValidationError, InputError) as error:
        raise InputError(f"{file}: must say how a model was tuned: {first_line(error)}. Train it anew.") from None


def save_delta(model: PreTrainedModel, tuning: Tuning, base_model: str, problem: str, folder: Path) -> None:
    """Write what is trained, and the configuration; virtual tokens lose the network that made them.

    Args:
        model: As `tune` left it, and trained.
        tuning: What `tune` was told.
        base_model: Folder or hub name of the model that was tuned.
        problem: What the head is for.
        folder: Made where it is not there.
    """
    _settle(model)
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / _DELTA_FILE) as file:
        file.write(save({name: tensor.contiguous() for name, tensor in _trained(model).items()}))
    place = str(Path(base_model).resolve()) if Path(base_model).is_dir() else base_model
    delta = Delta(base_model=place, base_checksum=_checksum(model), problem=problem, tuning=tuning)
    model.config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)
    with written_whole(folder / TUNING_FILE) as file:
        file.write(delta.model_dump_json(indent=1).encode())


def apply_delta(model: PreTrainedModel, folder: str | Path) -> None:
    """Give a base model what a folder holds.

    Args:
        model: The base model, with a head of the right size.
        folder: As `save_delta` wrote it.

    Raises:
        InputError: If the weights are not those that the folder was trained beside, or its file is damaged.
    """
    delta, file = read_delta(folder), Path(folder, _DELTA_FILE)
    tune(model, delta.tuning)
    _settle(model)
    trained = _trained(model)
    try:
        kept = load_file(file)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: cannot be read: {first_line(error)}. Copy it again, or train it anew.") from None
    wrong = sorted(
        {name for name in kept.keys() | trained.keys() if _shape(kept.get(name)) != _shape(trained.get(name))}
    )
    if wrong:
        raise InputError(
            f"{file}: must fit {delta.base_model} with a head of this task, does not: {wrong[0]} and {len(wrong) - 1} "
            "more differ. Give the task that it was trained on."
        )
    if _checksum(model) != delta.base_checksum:
        raise InputError(
            f"{file}: was trained beside other weights than {delta.base_model} has now. Put those back, or train anew."
        )
    for name, tensor in trained.items():
        tensor.copy_(kept[name])
    if model.can_generate():
        model.generation_config = GenerationConfig.from_pretrained(folder)


def require_mergeable(tuning: Tuning) -> None:
    """Refuse ways of tuning after which the base model with other weights does not compute the same.

    Raises:
        InputError: With the way of tuning.
    """
    if tuning.method not in _MERGEABLE:
        raise InputError(
            f"merge: is for {', '.join(_MERGEABLE)}, this was tuned by {tuning.method}, which computes what no weight "
            "of the base model can. Use the folder as it is."
        )


def _settle(model: PreTrainedModel) -> None:
    for part in list(model.modules()):
        if isinstance(part, VirtualTokens) and part.encoder is not None:
            part.settle()


def _trained(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: parameter.data for name, parameter in model.named_parameters() if parameter.requires_grad}


def _checksum(model: PreTrainedModel) -> int:
    """Of all that is not trained."""
    value = 0
    for parameter in model.parameters():
        if not parameter.requires_grad:
            raw = parameter.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            value = zlib.crc32(raw.tobytes(), value)
    return value


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
