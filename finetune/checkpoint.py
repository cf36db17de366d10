"""An encoder with a fresh head for a task, or an encoder-decoder, and its tokenizer: from a folder or the hub."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import model_info
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from design_space.errors import InputError, first_line
from design_space.model.folder import add_code
from design_space.model.modeling_flexibert import FlexiBertPreTrainedModel
from finetune.heads.by_problem import model_class
from finetune.loaded import require_kind, require_shapes, require_start, require_tokenizer, require_weights
from finetune.messages import silence
from finetune.tasks import Problem, Task
from finetune.tuning.delta import TUNING_FILE, apply_delta, is_delta, read_delta

_TIMEOUT_S = 10.0
_SEPARATOR = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
"""What stands between the words of a label, written one way or the other; the sign of -1 does not."""
_UNNAMED = re.compile(r"LABEL[_ ]\d+", re.IGNORECASE)
_UNLOADABLE = (OSError, ValueError, RuntimeError, KeyError, ImportError)


def load_checkpoint(
    checkpoint: str, task: Task, *, needs_head: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder with a head for a task; the head is fresh where the checkpoint has none of its size.

    A head of another size, as for the labels of another task, is warned of. A model that writes texts has its head.
    What light-weight tuning left (`finetune.tuning.delta`) is put into its base model.

    Args:
        checkpoint: Folder, or name on the hub.
        task: Decides the head.
        needs_head: Whether the checkpoint must have the head already.

    Raises:
        InputError: If there is no such folder, it cannot be loaded, it is of a kind without such a head, the head that
            it needs or its tokenizer is not there, or the hub is out of reach.
    """
    if is_delta(checkpoint):
        return _load_delta(checkpoint, task, needs_head)
    names, local = _own_labels(checkpoint)
    try:
        config = AutoConfig.from_pretrained(checkpoint, **_labels(task), **local)
        require_kind(checkpoint, config, task)
        model, loaded = model_class(task).from_pretrained(
            checkpoint,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **local,
        )
    except InputError:
        raise
    except _UNLOADABLE as error:
        raise _unloadable(checkpoint, error) from None
    tokenizer = _load_tokenizer(checkpoint, local)
    require_weights(checkpoint, model, loaded["missing_keys"], task)
    if task.problem is Problem.TEXT:
        require_start(checkpoint, model)
    elif needs_head and (loaded["missing_keys"] or loaded["mismatched_keys"]):
        has = f"has one of {len(names)} outputs" if loaded["mismatched_keys"] else "has none"
        raise _no_head(checkpoint, task, has)
    require_shapes(checkpoint, model, loaded["mismatched_keys"], task)
    require_tokenizer(checkpoint, model, tokenizer)
    if task.labels and not (loaded["missing_keys"] or loaded["mismatched_keys"]):
        _order_labels(checkpoint, model, names, task, needs_head)
    return model, tokenizer


def label_names(checkpoint: str) -> tuple[str, ...]:
    """Names of the labels that a checkpoint was fine-tuned on; none for a regression.

    Raises:
        InputError: If there is no such checkpoint, or its labels have no names.
    """
    names, _ = _own_labels(checkpoint)
    if len(names) == 1:
        return ()
    if _are_unnamed(names):
        raise InputError(
            f"model: {checkpoint!r} must name its labels in config.json, does not. Give --train_file, whose rows do."
        )
    return tuple(names)


def save_beside(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Put what a model needs beside its weights: the tokenizer, without the length at which texts were cut; code."""
    if (backend := getattr(tokenizer, "backend_tokenizer", None)) is not None:
        backend.no_truncation()
        backend.no_padding()
    tokenizer.save_pretrained(folder)
    if isinstance(model, FlexiBertPreTrainedModel) and not is_delta(folder):
        add_code(folder)


def load_config(checkpoint: str) -> PreTrainedConfig:
    """The configuration of a checkpoint, without its weights.

    Raises:
        InputError: If there is no such checkpoint, or it cannot be read.
    """
    config, _ = _own_config(checkpoint)
    return config


def _own_labels(checkpoint: str) -> tuple[list[str], dict[str, bool]]:
    """Names of a checkpoint's labels in their order, and whether the hub is to be left alone."""
    config, local = _own_config(checkpoint)
    names = cast("dict[int, str]", config.id2label)
    return [names[code] for code in sorted(names)], local


def _own_config(checkpoint: str) -> tuple[PreTrainedConfig, dict[str, bool]]:
    """Configuration of a checkpoint, and whether the hub is to be left alone.

    transformers would try for half a minute to reach a hub that does not answer.
    """
    _require_place(checkpoint)
    absence = None if Path(checkpoint).is_dir() else _hub_error(checkpoint)
    local = {"local_files_only": absence is not None}
    try:
        return AutoConfig.from_pretrained(checkpoint, **local), local
    except _UNLOADABLE as error:
        if absence is None:
            raise _unloadable(checkpoint, error) from None
        raise InputError(
            f"model: {checkpoint!r} is no folder here, and the hub does not give it "
            f"({first_line(absence).rstrip('.')}). Give the folder of a saved checkpoint, or check name and network."
        ) from None


def _load_tokenizer(checkpoint: str, local: dict[str, bool]) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(checkpoint, **local)
    except Exception as error:  # of a damaged file; the tokenizers library raises no narrower one
        if "instantiate the backend tokenizer" in str(error):
            raise InputError(f"model: {checkpoint!r} must come with its tokenizer, has none. Save it there.") from None
        what = "its tokenizer.json or tokenizer_config.json cannot be read: "
        raise _unloadable(checkpoint, error, what) from None


def _load_delta(folder: str, task: Task, needs_head: bool) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The base model with what was trained beside it."""
    base = read_delta(folder).base_model
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise InputError(
            f"model: {folder!r} was trained beside {base!r}, which is not there. Put it back, or write its new place "
            f"into {Path(folder, TUNING_FILE)}."
        )
    if not needs_head:
        raise InputError(
            f"model: {folder!r} holds what was trained beside {base!r}, which is not trained further. Give that, or "
            "what `python -m finetune merge` makes of both."
        )
    names, local = _own_labels(folder)
    if task.labels and len(names) != len(task.labels):
        raise _no_head(folder, task, f"has one of {len(names)} outputs")
    with silence():
        model, _ = load_checkpoint(base, task)
    apply_delta(model, folder)
    if task.labels:
        _order_labels(folder, model, names, task, needs_head)
    return model, _load_tokenizer(folder, local)


def _labels(task: Task) -> dict[str, Any]:
    """What the configuration is to say of a task with labels or values."""
    if task.problem not in (Problem.CLASSIFICATION, Problem.REGRESSION):
        return {}
    names = list(task.labels) or ["score"]
    return {
        "num_labels": task.num_outputs,
        "id2label": dict(enumerate(names)),
        "label2id": {name: code for code, name in enumerate(names)},
    }


def _require_place(checkpoint: str) -> None:
    """Refuse what can be neither a folder nor a name on the hub, before the hub is asked."""
    path = Path(checkpoint)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"model: {checkpoint!r} must hold config.json, does not. Give a saved checkpoint.")
    elif path.exists():
        raise InputError(f"model: {checkpoint!r} must be a folder, is a file. Give the folder that it is in.")
    elif path.is_absolute() or checkpoint.startswith((".", "~")) or checkpoint.count("/") > 1:
        raise InputError(f"model: {checkpoint!r} does not exist. Give a folder, or a hub name as owner/name.")


def _hub_error(name: str) -> Exception | None:
    """Why the hub does not give a model, asked once; None where it does."""
    try:
        model_info(name, timeout=_TIMEOUT_S)
    except Exception as error:  # of whichever HTTP library the hub's client uses
        return error
    return None


def _unloadable(checkpoint: str, error: Exception, what: str = "") -> InputError:
    reason = what + first_line(error).rstrip(".:")
    return InputError(f"model: {checkpoint!r} cannot be loaded: {reason}. Give an encoder with its tokenizer.")


def _order_labels(checkpoint: str, model: PreTrainedModel, names: Sequence[str], task: Task, needs_head: bool) -> None:
    """Give a head the task's order of labels; where it has labels of other names and must stay, refuse it."""
    own, asked = ([_SEPARATOR.sub(" ", name).lower() for name in given] for given in (names, task.labels))
    if own == asked or _are_unnamed(names):  # by their places
        return
    if sorted(own) == sorted(asked) and len(set(own)) == len(own):
        order = [own.index(name) for name in asked]
        *_, output = (part for part in model.modules() if isinstance(part, nn.Linear) and part.out_features == len(own))
        for weights in output.parameters():
            weights.data = weights.data[order]
    elif needs_head:
        raise _no_head(checkpoint, task, f"has one for {', '.join(names)}")


def _are_unnamed(names: Sequence[str]) -> bool:
    """Whether labels have the names that transformers gives them."""
    return all(_UNNAMED.fullmatch(name) for name in names)


def _no_head(checkpoint: str, task: Task, has: str) -> InputError:
    needed = f" ({', '.join(task.labels)})" if 0 < len(task.labels) <= 10 else ""
    return InputError(
        f"model: {checkpoint!r} must have a head for {task.name}{needed}, since nothing is trained, {has}. "
        "Give --do_train, or a model that was fine-tuned on it."
    )
