"""`python -m finetune memory --params N`."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from design_space.errors import InputError
from finetune.commands.parser import Parser
from finetune.memory import GIB, OPTIMIZERS, PRECISIONS, Memory, plan
from finetune.tuning.settings import METHODS


def show_memory(arguments: Sequence[str]) -> None:
    """Print the memory of each part in GiB."""
    parser = Parser(
        "python -m finetune memory",
        description="Memory of fine-tuning, activations apart.",
        epilog="example: python -m finetune memory --params 3e9 --tuning adapter --adapter_share 0.05 --optim adamw",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--params", type=float, required=True, help="parameters of the model, such as 11e6")
    parser.add_argument("--tuning", default="full", help=", ".join(METHODS))
    parser.add_argument("--adapter_share", type=float, default=0.05, help="share that is trained, or added and trained")
    parser.add_argument("--optim", default="adamw", help=", ".join(OPTIMIZERS))
    parser.add_argument("--num_grads", type=int, default=1024, help="window of M-FAC")
    parser.add_argument("--precision", default="fp32", help=", ".join(PRECISIONS))
    parser.add_argument("--gpus", type=int, default=1, help="GPUs that share every part")
    parser.add_argument("--json", action="store_true", help="print bytes as one JSON line")
    given = parser.parse_args(arguments)
    if given.gpus < 1:
        raise InputError(f"--gpus: must be at least 1, got {given.gpus}.")
    whole = plan(
        given.params,
        tuning=given.tuning,
        share=given.adapter_share,
        optimizer=given.optim,
        precision=given.precision,
        num_grads=given.num_grads,
    )
    found = whole.per_gpu(given.gpus)
    if given.json:
        sys.stdout.write(json.dumps(asdict(found) | {"total": found.total, "gpus": given.gpus}) + "\n")
    else:
        sys.stdout.write(_table(found, given.gpus))


def _table(found: Memory, num_gpus: int) -> str:
    parts = {name.replace("_", " "): value for name, value in asdict(found).items() if value}
    rows = [*parts.items(), ("total", found.total)]
    head = "GiB" if num_gpus == 1 else f"GiB on each of {num_gpus} GPUs"
    return "".join(
        f"{name:<14}  {text:>10}\n" for name, text in [("", head), *((n, f"{v / GIB:.3f}") for n, v in rows)]
    )
