"""`python -m finetune merge FOLDER --to DIR`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from design_space.errors import InputError
from design_space.files import folder_written_whole
from finetune.checkpoint import label_names, load_checkpoint, save_beside
from finetune.commands.parser import Parser
from finetune.tasks import Problem, Task
from finetune.tuning.delta import is_delta, read_delta, require_mergeable
from finetune.tuning.lora import merge_lora


def merge_folder(arguments: Sequence[str]) -> None:
    """Write a base model with what was trained beside it as one model that needs neither."""
    parser = Parser(
        "python -m finetune merge",
        description="Make one model of a base model and what --tuning lora, head or bitfit trained of it.",
        epilog="example: python -m finetune merge out/model --to merged",
    )
    parser.add_argument("folder", help="what light-weight tuning left, such as out/model")
    parser.add_argument("--to", required=True, help="new folder for the model")
    parser.add_argument("--json", action="store_true", help="print what was written as one JSON line")
    given = parser.parse_args(arguments)
    folder, target = Path(given.folder), Path(given.to)
    if not is_delta(folder):
        raise InputError(f"merge: {folder} must hold what light-weight tuning left, does not. Give such as out/model.")
    delta = read_delta(folder)
    require_mergeable(delta.tuning)
    problem = Problem(delta.problem)
    labels = label_names(str(folder)) if problem is Problem.CLASSIFICATION else ()
    model, tokenizer = load_checkpoint(str(folder), Task("merged", (), labels, problem=problem), needs_head=True)
    merge_lora(model)
    with folder_written_whole(target) as scratch:
        model.save_pretrained(scratch)
        save_beside(model, tokenizer, scratch)
    if given.json:
        sys.stdout.write(json.dumps({"model": str(target), "base_model": delta.base_model}) + "\n")
    sys.stderr.write(f"model: {target}\n")
