"""`python -m finetune memory`: of a number of parameters, or of a step of a model."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from design_space.errors import InputError
from finetune.commands.parser import Parser
from finetune.memory.plan import GIB, OPTIMIZERS, PRECISIONS, Memory, check_settings, plan
from finetune.tuning.settings import FULL, METHODS, Tuning

DEVICES = ("cpu", "cuda")
_OF_MODEL: dict[str, Any] = {
    "per_device_train_batch_size": 32,
    "max_seq_length": 128,
    "max_target_length": 128,
    "gradient_checkpointing": False,
    "device": None,
}
"""Flags that --params alone does not need, and what they are where not given."""
_VOCAB_SIZE = 8192  # of `python -m pretrain`
_SHARE = 0.05
_NUM_GRADS = 1024


def show_memory(arguments: Sequence[str]) -> None:
    """Print the memory of each part in GiB."""
    given = _parser().parse_args(arguments)
    if given.gpus < 1:
        raise InputError(f"--gpus: must be at least 1, got {given.gpus}.")
    settings = {
        "tuning": given.tuning,
        "share": _SHARE if given.adapter_share is None else given.adapter_share,
        "optimizer": given.optim,
        "precision": given.precision,
        "num_grads": _NUM_GRADS if given.num_grads is None else given.num_grads,
    }
    if given.vocab_size is not None and given.model_dict is None:
        raise InputError("--vocab_size: belongs to --model_dict; a checkpoint has its own. Leave it out.")
    if given.num_grads is not None and given.optim != "mfac":
        raise InputError(f"--num_grads: is for --optim mfac, got --optim {given.optim}. Leave it out.")
    if given.adapter_share is not None and given.tuning == FULL:
        raise InputError("--adapter_share: is for light-weight tuning, got --tuning full. Leave it out.")
    if given.params is None:
        found, kept = _of_model(given, settings)
    else:
        for name in _OF_MODEL:
            if getattr(given, name) is not None:
                raise InputError(f"--{name}: needs a model. Give --model_name_or_path or --model_dict, not --params.")
        found, kept = plan(given.params, **settings).per_gpu(given.gpus), {}
    if given.json:
        told = asdict(found) | {"total": found.total, "gpus": given.gpus}
        if kept:
            told["peak_in"] = "backward pass" if found.activations else "optimizer step"
        sys.stdout.write(json.dumps(told | ({"kept": dict(kept)} if kept else {})) + "\n")
    else:
        sys.stdout.write(_table(found, kept, given.gpus))


def _parser() -> Parser:
    parser = Parser(
        "python -m finetune memory",
        description="Memory of fine-tuning: with --params activations apart, with a model the peak of a step.",
        epilog="example: python -m finetune memory --params 3e9 --tuning adapter --adapter_share 0.05 --optim adamw; "
        "python -m finetune memory --model_dict bert_small --per_device_train_batch_size 64",
    )
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--params", type=float, help="parameters of the model, such as 11e6")
    way.add_argument("--model_name_or_path", help="checkpoint: a folder or a hub name, of which no weight is read")
    way.add_argument("--model_dict", help="FlexiBERT architecture: a preset, JSON or a file that holds it")
    parser.add_argument("--vocab_size", type=int, help=f"entries of the tokenizer, with --model_dict; {_VOCAB_SIZE}")
    parser.add_argument("--per_device_train_batch_size", type=int, help="rows a device and step; 32")
    parser.add_argument("--max_seq_length", type=int, help="tokens of a row; 128")
    parser.add_argument("--max_target_length", type=int, help="tokens of an answer, where there is a decoder; 128")
    parser.add_argument(
        "--gradient_checkpointing",
        "--activation_checkpointing",
        action="store_true",
        default=None,
        help="compute layers again in the backward pass",
    )
    parser.add_argument("--device", choices=DEVICES, help="whose kernels; cuda where there is one, or several --gpus")
    parser.add_argument("--tuning", default="full", help=f"{', '.join(METHODS)}; full")
    parser.add_argument("--adapter_share", type=float, help="share that is trained, with --params; 0.05")
    parser.add_argument("--optim", default="adamw", help=f"{', '.join(OPTIMIZERS)}; adamw")
    parser.add_argument("--num_grads", type=int, help=f"window of M-FAC; {_NUM_GRADS}")
    parser.add_argument("--precision", default="fp32", help=f"{', '.join(PRECISIONS)}; fp32")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs that share every part but the activations; 1")
    parser.add_argument("--json", action="store_true", help="print bytes as one JSON line")
    return parser


def _of_model(given: argparse.Namespace, settings: Mapping[str, Any]) -> tuple[Memory, Mapping[str, int]]:
    """The peak on each GPU, and what the forward pass keeps, by layer."""
    # With --params nothing of this is needed, and to import it takes seconds.
    import torch

    from finetune.checkpoint import load_config
    from finetune.memory.activations import activation_bytes
    from finetune.memory.model import planned_config, planned_model
    from finetune.memory.peak import peak
    from finetune.messages import quieten
    from finetune.tuning.delta import is_delta, read_delta
    from pretrain.start import is_checkpoint, read_architecture

    quieten()
    check_settings(**settings)
    if given.adapter_share is not None:
        raise InputError("--adapter_share: belongs to --params; of a model the parts that --tuning adds are counted.")
    values = {name: getattr(given, name) for name in _OF_MODEL}
    shape = {name: default if values[name] is None else values[name] for name, default in _OF_MODEL.items()}
    length, has_checkpoints = shape["max_seq_length"], shape.pop("gradient_checkpointing")
    device = shape.pop("device") or ("cuda" if given.gpus > 1 or torch.cuda.is_available() else "cpu")
    if given.model_dict is None or is_checkpoint(given.model_dict):
        checkpoint = given.model_name_or_path or given.model_dict
        if is_delta(checkpoint):
            base = read_delta(checkpoint).base_model
            raise InputError(f"memory: {checkpoint} is not trained further, only {base!r} is. Give that.")
        config = load_config(checkpoint)
    else:
        vocab_size = _VOCAB_SIZE if given.vocab_size is None else given.vocab_size
        config = planned_config(read_architecture(given.model_dict), vocab_size, length)
    model = planned_model(config, tuning=Tuning(method=given.tuning), has_checkpoints=has_checkpoints)
    step = activation_bytes(
        model,
        shape["per_device_train_batch_size"],
        length,
        target_length=shape["max_target_length"],
        device=device,
        precision=given.precision,
    )
    further = {name: settings[name] for name in ("optimizer", "precision", "num_grads")}
    return peak(step, device=device, num_gpus=given.gpus, **further), step.kept


def _table(found: Memory, kept: Mapping[str, int], num_gpus: int) -> str:
    parts = [(name.replace("_", " "), f"{value / GIB:.3f}") for name, value in asdict(found).items() if value]
    if found.activations is None:
        parts.append(("activations", "not counted"))
    head = "GiB" if num_gpus == 1 else f"GiB on each of {num_gpus} GPUs"
    rows = [("", head), *parts, ("total", f"{found.total / GIB:.3f}")]
    if kept:
        when = "in the backward pass" if found.activations else "in the optimizer's step"
        rows[-1] = (f"total, {when}", rows[-1][1])
        rows += [("", ""), ("kept by the forward pass", "GiB")]
        rows += [(name, f"{value / GIB:.3f}") for name, value in kept.items()]
        rows.append(("all of it", f"{sum(kept.values()) / GIB:.3f}"))
    width = max(14, *(len(name) for name, _ in rows))
    return "".join(f"{name:<{width}}  {value:>11}".rstrip() + "\n" for name, value in rows)
