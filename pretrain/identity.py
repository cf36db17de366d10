"""What a run was begun with: a run that is resumed must go on with the same."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from design_space.errors import InputError
from design_space.files import written_whole
from design_space.model.presets import PRESETS
from pretrain.arguments import PretrainArguments

IDENTITY_FILE = "run.json"
_NUM_PROBED = 1000  # blocks that are compared
_LENGTHS = ("max_steps", "num_epochs", "max_tokens", "max_seconds")
_ARGUMENTS = (
    "seed",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "world_size",
    "learning_rate",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "weight_decay",
    "max_grad_norm",
    "warmup_steps",
    "lr_scheduler_type",
    "optim",
    "bf16",
    "fp16",
)


def identity(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    blocks: NDArray[np.int32],
    arguments: PretrainArguments,
    further: dict[str, Any],
) -> dict[str, Any]:
    """What decides the losses of a run, by name; JSON values.

    Args:
        model: Its configuration counts, not its weights.
        tokenizer: Its vocabulary counts.
        blocks: Of training, shape (n, block_size): their number and 1,000 of them count.
        arguments: Of the Trainer.
        further: Objective and budget.
    """
    probed = blocks[np.unique(np.linspace(0, len(blocks) - 1, _NUM_PROBED).astype(int))]
    named = {name: getattr(arguments, name) for name in _ARGUMENTS}
    found = {
        "model": model.config.model_dict,
        "position_embedding_type": model.config.position_embedding_type,
        # Before the tokenizer, which is trained from it where none is given.
        "corpus": f"{len(blocks)} blocks of {blocks.shape[1]}, {_digest(np.ascontiguousarray(probed).tobytes())}",
        "vocab_size": model.config.vocab_size,
        "tokenizer": _digest(json.dumps(sorted(tokenizer.get_vocab().items())).encode()),
        **named,
        **further,
    }
    return json.loads(json.dumps(found, default=str))  # type: ignore[no-any-return]


def keep(folder: Path, found: dict[str, Any]) -> None:
    """Write what a run is begun with."""
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / IDENTITY_FILE) as file:
        file.write(json.dumps(found, indent=1).encode())


def require_same(folder: Path, found: dict[str, Any]) -> None:
    """Compare with what the run was begun with.

    Raises:
        InputError: If something differs, or the folder does not say.
    """
    path = folder / IDENTITY_FILE
    try:
        kept = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise InputError(f"--resume: {path} must say how the run was begun, does not. Begin another run.") from None
    for name, value in found.items():
        if kept.get(name) != value:
            before, now = _models(kept.get(name), value) if name == "model" else (repr(kept.get(name)), repr(value))
            further = (
                f" A finished run is made longer by --model_dict {folder} --output_dir NEW." if name in _LENGTHS else ""
            )
            raise InputError(
                f"--resume: {folder} was begun with {name} {before}, got {now}. "
                f"Give the same, or another --output_dir.{further}"
            )


def _models(before: Any, now: Any) -> tuple[str, str]:
    """Two architectures in few words: their presets' names, else the first thing that differs."""
    names = {json.dumps(made.to_model_dict(), sort_keys=True): name for name, made in PRESETS.items()}
    found = [names.get(json.dumps(model, sort_keys=True)) for model in (before, now)]
    if found[0] is not None and found[1] is not None:
        return found[0], found[1]
    try:
        if before["l"] != now["l"]:
            return f"of {before['l']} layers", f"one of {now['l']}"
        layer, key = next(
            (layer, key) for layer in range(now["l"]) for key in "ohnfp" if before[key][layer] != now[key][layer]
        )
        return f"whose layer {layer} has {key} = {before[key][layer]!r}", f"{now[key][layer]!r}"
    except (TypeError, KeyError, IndexError, StopIteration):  # what is kept is no architecture
        return "of another form", "this one"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
