"""An encoder with a fresh head for a task, and its tokenizer: from a folder or from the hub."""

import logging
import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import model_info
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

import design_space.model  # noqa: F401  (registers FlexiBERT with the Auto classes)
from design_space.errors import InputError, first_line
from finetune.heads import model_class
from finetune.tasks import Problem, Task

_logger = logging.getLogger(__name__)

_TIMEOUT_S = 10.0
_SEPARATOR = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
"""What stands between the words of a label, written one way or the other; the sign of -1 does not."""


def load_checkpoint(
    checkpoint: str, task: Task, *, needs_head: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder with a head for a task; the head is fresh where the checkpoint has none of its size.

    A head of another size, as for the labels of another task, is warned of.

    Args:
        checkpoint: Folder, or name on the hub.
        task: Decides the head.
        needs_head: Whether the checkpoint must have the head already.

    Raises:
        InputError: If there is no such folder, it cannot be loaded, it is of a kind without such a head, the head that
            it needs or its tokenizer is not there, or the hub is out of reach.
    """
    _require_place(checkpoint)
    absence = None if Path(checkpoint).is_dir() else _hub_error(checkpoint)
    local = {"local_files_only": absence is not None}  # transformers would try for half a minute
    try:
        names = AutoConfig.from_pretrained(checkpoint, **local).id2label
        config = AutoConfig.from_pretrained(checkpoint, **_labels(task), **local)
        model, loaded = model_class(task).from_pretrained(
            checkpoint, config=config, output_loading_info=True, ignore_mismatched_sizes=True, **local
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise _refusal(checkpoint, error, absence) from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, **local)
    except Exception as error:  # of a damaged file; the tokenizers library raises no narrower one
        if "instantiate the backend tokenizer" in str(error):
            raise InputError(f"model: {checkpoint!r} must come with its tokenizer, has none. Save it there.") from None
        what = "its tokenizer.json or tokenizer_config.json cannot be read: "
        raise _refusal(checkpoint, error, absence, what) from None
    _require_encoder(checkpoint, model, loaded["missing_keys"])
    if needs_head and (loaded["missing_keys"] or loaded["mismatched_keys"]):
        has = f"has one of {len(names)} outputs" if loaded["mismatched_keys"] else "has none"
        raise _no_head(checkpoint, task, has)
    _require_shapes(checkpoint, model, loaded["mismatched_keys"], task)
    _require_tokenizer(checkpoint, model, tokenizer)
    if task.labels and not (loaded["missing_keys"] or loaded["mismatched_keys"]):
        _order_labels(checkpoint, model, [names[code] for code in sorted(names)], task, needs_head)
    return model, tokenizer


def label_names(checkpoint: str) -> tuple[str, ...]:
    """Names of the labels that a checkpoint was fine-tuned on; none for a regression.

    Raises:
        InputError: If there is no such checkpoint, or its labels have no names.
    """
    names = load_config(checkpoint).id2label
    if len(names) == 1:
        return ()
    if all(re.fullmatch(r"LABEL_\d+", name) for name in names.values()):
        raise InputError(
            f"model: {checkpoint!r} must name its labels in config.json, does not. Give --train_file, whose rows do."
        )
    return tuple(names[code] for code in sorted(names))


def load_config(checkpoint: str) -> Any:
    """The configuration of a checkpoint, without its weights.

    Raises:
        InputError: If there is no such checkpoint, or it cannot be read.
    """
    _require_place(checkpoint)
    absence = None if Path(checkpoint).is_dir() else _hub_error(checkpoint)
    try:
        return AutoConfig.from_pretrained(checkpoint, local_files_only=absence is not None)
    except (OSError, ValueError, KeyError) as error:
        raise _refusal(checkpoint, error, absence) from None


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


def _refusal(checkpoint: str, error: Exception, absence: Exception | None, what: str = "") -> InputError:
    if absence is not None:
        return InputError(
            f"model: {checkpoint!r} is no folder here, and the hub does not give it "
            f"({first_line(absence).rstrip('.')}). Give the folder of a saved checkpoint, or check name and network."
        )
    reason = what + first_line(error).rstrip(".:")
    return InputError(f"model: {checkpoint!r} cannot be loaded: {reason}. Give an encoder with its tokenizer.")


def _require_encoder(checkpoint: str, model: PreTrainedModel, missing: Collection[str]) -> None:
    """Refuse weights that are not those of the encoder, which would start from chance; a head and a pooler may."""
    prefix = f"{model.base_model_prefix}."
    absent = sorted(name for name in missing if name.startswith(prefix) and "pooler" not in name)
    if absent:
        raise InputError(
            f"model: {checkpoint!r} must hold the weights of its {type(model.base_model).__name__}, lacks "
            f"{len(absent):,} of them, such as {absent[0]}. Give a checkpoint of the kind that config.json names."
        )


def _require_shapes(
    checkpoint: str,
    model: PreTrainedModel,
    mismatched: Collection[tuple[str, Sequence[int], Sequence[int]]],
    task: Task,
) -> None:
    """Refuse an encoder of other shapes, whose weights would start from chance; warn of a head of another size.

    Args:
        checkpoint: Named in the messages.
        model: What was loaded.
        mismatched: Name of each weight that was not taken, its shape in the checkpoint and in the model.
        task: What the head is for.
    """
    if any(name.startswith(f"{model.base_model_prefix}.") for name, _, _ in mismatched):
        raise InputError(
            f"model: {checkpoint!r} cannot be loaded: its weights do not have the shapes that config.json says. "
            "Give an encoder with its tokenizer."
        )
    if mismatched:
        _, saved, _ = min(mismatched)
        _logger.warning(
            "model: %r has a head of %d outputs, %s needs %d: its output layer starts afresh.",
            checkpoint,
            saved[0],
            task.name,
            task.num_outputs,
        )


def _order_labels(checkpoint: str, model: PreTrainedModel, names: Sequence[str], task: Task, needs_head: bool) -> None:
    """Give a head the task's order of labels; where it has labels of other names and must stay, refuse it."""
    own, asked = ([_SEPARATOR.sub(" ", name).lower() for name in given] for given in (names, task.labels))
    if own == asked or all(re.fullmatch(r"label \d+", name) for name in own):  # unnamed: by their places
        return
    if sorted(own) == sorted(asked) and len(set(own)) == len(own):
        order = [own.index(name) for name in asked]
        *_, output = (part for part in model.modules() if isinstance(part, nn.Linear) and part.out_features == len(own))
        for weights in output.parameters():
            weights.data = weights.data[order]
    elif needs_head:
        raise _no_head(checkpoint, task, f"has one for {', '.join(names)}")


def _no_head(checkpoint: str, task: Task, has: str) -> InputError:
    needed = f" ({', '.join(task.labels)})" if 0 < len(task.labels) <= 10 else ""
    return InputError(
        f"model: {checkpoint!r} must have a head for {task.name}{needed}, since nothing is trained, {has}. "
        "Give --do_train, or a model that was fine-tuned on it."
    )


def _require_tokenizer(checkpoint: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer without words or a padding token, and one with more entries than the model embeds."""
    # Where a folder has no tokenizer, transformers makes one of the special tokens alone.
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise InputError(f"model: {checkpoint!r} must come with its tokenizer, has none with words. Save it there.")
    if tokenizer.pad_token is None:
        raise InputError(f"model: the tokenizer of {checkpoint!r} must have a padding token, has none. Give it one.")
    embedded = getattr(model.get_input_embeddings(), "num_embeddings", math.inf)
    if len(tokenizer) > embedded:
        raise InputError(
            f"model: {checkpoint!r} embeds {embedded:,} tokens, its tokenizer has {len(tokenizer):,}. "
            "Give the tokenizer that the model was trained with."
        )
