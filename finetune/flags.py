"""Flags of `run_glue.py` and `run_qa.py` as they were typed for transformers 3 and 4, in the words of transformers 5.

What those flags did is told by `TrainingArguments` of transformers 3.0 to 4.57 and by the two scripts; what is left of
them, by `TrainingArguments` of transformers 5.23. A flag that chose only where or how fast something is computed, or
what is logged, is dropped; one that would change the scores and has no successor is refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from design_space.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What became of a flag; one without a successor is dropped.

    Attributes:
        is_switch: It is true or false, and true where it stands alone; others take one value.
        becomes: The flag that takes its value now.
        form: The new value, with "%s" for the old one.
        values: The only values that can be translated, each with the flag and value that it is now, or None for none.
        accepts: Whether an old value can be translated.
        rule: What `accepts` asks for.
        note: What the user may want to know of the successor, or of what is done without one.
        way_out: What to do where a value cannot be translated.
    """

    is_switch: bool = False
    becomes: str | None = None
    form: str = "%s"
    values: Mapping[str, tuple[str, str] | None] | None = None
    accepts: Callable[[str], bool] = lambda value: True
    rule: str = ""
    note: str = ""
    way_out: str = ""


def _is_share(value: str) -> bool:
    try:
        return 0 <= float(value) < 1
    except ValueError:
        return False


_ONE_PRECISION = Removed(
    values={"auto": None, "amp": None, "cuda_amp": None, "cpu_amp": None},
    note="--fp16 and --bf16 are PyTorch's mixed precision",
    way_out="Leave it out: --fp16 is PyTorch's mixed precision, whose scores are not those of Apex.",
)

REMOVED: dict[str, Removed] = {
    # Where results go
    "overwrite_output_dir": Removed(
        is_switch=True, note="a folder with a result is not written over, give a new --output_dir"
    ),
    "logging_dir": Removed(note="the environment variable TENSORBOARD_LOGGING_DIR names TensorBoard's folder"),
    "save_safetensors": Removed(is_switch=True, note="weights are always saved as safetensors"),
    "no_save_safetensors": Removed(is_switch=True, note="weights are always saved as safetensors"),
    "push_to_hub_token": Removed(becomes="--hub_token"),
    "push_to_hub_model_id": Removed(becomes="--hub_model_id"),
    "push_to_hub_organization": Removed(values={}, way_out="Give --hub_model_id ORGANIZATION/NAME."),
    "use_auth_token": Removed(is_switch=True, note="the token of 'hf auth login' is used without being asked for"),
    # When to score, and how much
    "evaluation_strategy": Removed(becomes="--eval_strategy"),
    "evaluate_during_training": Removed(is_switch=True, values={"true": ("--eval_strategy", "steps"), "false": None}),
    "max_val_samples": Removed(becomes="--max_eval_samples"),
    "max_test_samples": Removed(becomes="--max_predict_samples"),
    "include_inputs_for_metrics": Removed(
        is_switch=True, values={"true": ("--include_for_metrics", "inputs"), "false": None}
    ),
    "use_legacy_prediction_loop": Removed(is_switch=True, note="there is one way to predict, with the same outcome"),
    "past_index": Removed(
        values={"-1": None}, way_out="Leave it out: no state is carried from one batch to the next any more."
    ),
    # Batches and steps
    "per_gpu_train_batch_size": Removed(becomes="--per_device_train_batch_size"),
    "per_gpu_eval_batch_size": Removed(becomes="--per_device_eval_batch_size"),
    "warmup_ratio": Removed(
        becomes="--warmup_steps",
        accepts=_is_share,
        rule="at least 0 and below 1",
        note="below 1 it is a share of all steps",
        way_out="Give the number of steps as --warmup_steps.",
    ),
    "adafactor": Removed(is_switch=True, values={"true": ("--optim", "adafactor"), "false": None}),
    "group_by_length": Removed(
        is_switch=True,
        values={
            "true": ("--train_sampling_strategy", "group_by_length"),
            "false": ("--train_sampling_strategy", "random"),
        },
    ),
    "split_batches": Removed(
        is_switch=True,
        values={
            "true": ("--accelerator_config", '{"split_batches": true}'),
            "false": ("--accelerator_config", '{"split_batches": false}'),
        },
    ),
    "dispatch_batches": Removed(
        is_switch=True,
        values={
            "true": ("--accelerator_config", '{"dispatch_batches": true}'),
            "false": ("--accelerator_config", '{"dispatch_batches": false}'),
        },
    ),
    # Devices, precision and speed
    "no_cuda": Removed(is_switch=True, becomes="--use_cpu"),
    "use_mps_device": Removed(is_switch=True, note="an Apple GPU is used where there is one, unless --use_cpu"),
    "tpu_num_cores": Removed(note="the launcher starts the processes"),
    "tpu_metrics_debug": Removed(is_switch=True, values={"true": ("--debug", "tpu_metrics_debug"), "false": None}),
    "fp16_opt_level": Removed(note="Apex alone had levels; --fp16 and --bf16 are PyTorch's mixed precision"),
    "half_precision_backend": _ONE_PRECISION,
    "fp16_backend": _ONE_PRECISION,
    "jit_mode_eval": Removed(is_switch=True, note="--torch_compile is there for speed"),
    "use_ipex": Removed(is_switch=True, note="--torch_compile is there for speed"),
    "torchdynamo": Removed(becomes="--torch_compile_backend"),
    "xpu_backend": Removed(
        values={
            "ccl": ("--ddp_backend", "xccl"),
            "gloo": ("--ddp_backend", "gloo"),
            "mpi": ("--ddp_backend", "mpi"),
        },
        way_out="Give --ddp_backend.",
    ),
    "sharded_ddp": Removed(note="every process holds the whole model, unless --fsdp"),
    "fsdp_min_num_params": Removed(becomes="--fsdp_config", form='{"min_num_params": %s}'),
    "fsdp_transformer_layer_cls_to_wrap": Removed(
        becomes="--fsdp_config", form='{"transformer_layer_cls_to_wrap": ["%s"]}'
    ),
    # What others than the Trainer read, and the log
    "ray_scope": Removed(note="searches with Ray alone read it"),
    "mp_parameters": Removed(note="SageMaker's launcher alone read it"),
    "include_tokens_per_second": Removed(is_switch=True, note="--include_num_input_tokens_seen logs tokens"),
}
"""Every flag that is gone, without its dashes."""

_SWITCH_VALUES = dict.fromkeys(("yes", "true", "t", "y", "1"), "true") | dict.fromkeys(
    ("no", "false", "f", "n", "0"), "false"
)
"""What transformers' parser reads as true and false."""


def translate(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Put a command line of transformers 3 or 4 into the words of transformers 5.

    Args:
        words: After the command's name; flags as `--flag value`, `--flag=value` or, for switches, `--flag` alone, with
            underscores or hyphens.

    Returns:
        The new words, in which all that was not removed stands as it was; and one line for each flag that was.

    Raises:
        InputError: If the value of a removed flag is missing or cannot be translated, or its successor is given too,
            with another value.

    Example:
        >>> translate(["--seed", "1", "--no_cuda", "--evaluation_strategy=epoch"])[0]
        ['--seed', '1', '--use_cpu', '--eval_strategy=epoch']
    """
    new_words: list[str] = []
    warnings: list[str] = []
    settings: dict[str, tuple[str, str]] = {}
    position = 0
    while position < len(words):
        flag, equals, after = words[position].partition("=")
        following = words[position + 1] if position + 1 < len(words) else None
        value = after if equals else following if _is_value(following) else None
        removed = REMOVED.get(_name(flag)) if flag.startswith("--") else None
        if removed is None:
            new_words.append(words[position])
            position += 1
            if flag.startswith("--"):
                _settle(settings, flag, flag, value or "true")
            continue
        position += 1 if equals or value is None else 2
        successor = _successor(flag, removed, value)
        warnings.append(_warning(flag, removed, successor))
        if successor is None:
            continue
        _settle(settings, successor[0], flag, successor[1])
        if equals:
            new_words.append("=".join(successor))
        else:
            new_words += successor[:1] if value is None and removed.becomes else successor
    return new_words, warnings


def _name(flag: str) -> str:
    """A flag without its dashes, as its field is called."""
    return flag.removeprefix("--").replace("-", "_")


def _is_value(word: str | None) -> bool:
    """Whether a word belongs to the flag before it."""
    return word is not None and (not word.startswith("-") or re.fullmatch(r"-\d*\.?\d+", word) is not None)


def _successor(flag: str, removed: Removed, value: str | None) -> tuple[str, str] | None:
    """The flag and value that a removed flag is now; None where it is dropped."""
    if removed.is_switch:
        given = "true" if value is None else _SWITCH_VALUES.get(value.lower())
        if given is None:
            raise InputError(f"{flag}: must be true or false, got {value!r}. Correct it.")
    elif value is None:
        raise InputError(f"{flag}: must be followed by a value, is not. Give it, or leave the flag out.")
    else:
        given = value
    if removed.values is not None:
        if given not in removed.values:
            rule = " or ".join(removed.values) or "left out"
            raise InputError(f"{flag}: must be {rule} with transformers 5, got {given!r}. {removed.way_out}")
        return removed.values[given]
    if not removed.accepts(given):
        raise InputError(f"{flag}: must be {removed.rule}, got {given!r}. {removed.way_out}")
    return (removed.becomes, removed.form % given) if removed.becomes else None


def _warning(flag: str, removed: Removed, successor: tuple[str, str] | None) -> str:
    """One line; a value that the user typed is not repeated, as it may be a token."""
    what = f"{removed.becomes or ' '.join(successor)} is used in its place" if successor else "is dropped"
    return f"{flag}: {what}" + (f"; {removed.note}." if removed.note else ".")


def _settle(settings: dict[str, tuple[str, str]], flag: str, typed: str, value: str) -> None:
    """Note a setting under its present flag; what was typed under two names must agree."""
    before, value_before = settings.get(_name(flag), (typed, value))
    if _name(before) != _name(typed) and value_before.lower() != value.lower():
        raise InputError(f"{before} and {typed}: must have one value, are both {flag} now. Give {flag} alone.")
    settings[_name(flag)] = typed, value
