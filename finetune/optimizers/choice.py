"""The optimizer that `--optim` names, with what `--optim_args` says.

transformers reads `--optim_args` for some of its optimizers and ignores it for others. Those of `OURS` read it here, by
the names of their class's own arguments.
"""

import inspect
import json
from copy import copy
from typing import Any

from torch.optim import Optimizer
from transformers import Trainer, TrainingArguments

from design_space.errors import InputError, did_you_mean
from finetune.config import MFAC as MFAC_NAME
from finetune.optimizers.mfac import MFAC

OURS = (MFAC_NAME, "adafactor", "adagrad", "adamw_torch", "adamw_torch_fused", "rmsprop", "sgd")
_WORDS = {"true": True, "false": False, "none": None}


def read_arguments(text: str | None) -> dict[str, Any]:
    """What `--optim_args` says, as JSON or as names and values.

    Raises:
        InputError: If it is neither.

    Example:
        >>> read_arguments("lr=1e-4, num_grads=1024, warmup=true")
        {'lr': 0.0001, 'num_grads': 1024, 'warmup': True}
        >>> read_arguments('{"lr": 1e-4, "betas": [0.9, 0.99]}')
        {'lr': 0.0001, 'betas': [0.9, 0.99]}
    """
    text = (text or "").strip()
    if text.startswith("{"):
        try:
            read: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"--optim_args: must be JSON or NAME=VALUE,…, got {text!r}: {error.msg}.") from None
        return read
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    for name, equals, _ in pairs:
        if not equals or not name.strip():
            raise InputError(f"--optim_args: must be JSON or NAME=VALUE,…, got {text!r}. Give a value for {name!r}.")
    return {name.strip(): _value(value.strip()) for name, _, value in pairs}


def name_of(arguments: TrainingArguments) -> str:
    """As in `--optim`."""
    return str(getattr(arguments.optim, "value", arguments.optim))


def chosen(arguments: TrainingArguments) -> tuple[type[Optimizer], dict[str, Any]]:
    """Class and arguments, but for the parameters, of an optimizer of `OURS`.

    Raises:
        InputError: If the class has no argument of a name that `--optim_args` gives, or the two learning rates of
            Adafactor stand against each other.
    """
    name = name_of(arguments)
    given = read_arguments(arguments.optim_args)
    kind, settings = _defaults(name, arguments)
    known = [one for one in inspect.signature(kind.__init__).parameters if one not in ("self", "params")]
    for wrong in given:
        if wrong not in known:
            raise InputError(
                f"--optim_args: must be arguments of {name}, which are {', '.join(known)}, got {wrong!r}."
                f"{did_you_mean(wrong, known)}"
            )
    settings |= given
    if settings.get("relative_step"):
        if given.get("lr") is not None:
            raise InputError("--optim_args: must not hold lr with relative_step, which finds its own. Leave one out.")
        settings["lr"] = None
    return kind, settings


def _defaults(name: str, arguments: TrainingArguments) -> tuple[type[Optimizer], dict[str, Any]]:
    """Class and arguments without `--optim_args`."""
    if name == MFAC_NAME:
        return MFAC, {"lr": arguments.learning_rate}
    without = copy(arguments)
    without.optim_args = None
    kind, settings = Trainer.get_optimizer_cls_and_kwargs(without)
    return kind, settings


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
