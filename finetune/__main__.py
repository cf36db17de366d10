"""`python -m finetune`: fine-tune and score a checkpoint on one task, or on a whole benchmark; compare two of these."""

import logging
import sys
from collections.abc import Sequence

from torch import distributed
from transformers.utils import logging as transformers_logging

from design_space.command_line import exit_code
from design_space.errors import InputError, did_you_mean
from finetune.compare_command import compare_files
from finetune.flags import translate
from finetune.suite_command import SUITES, run_benchmark
from finetune.task_command import run_task
from pretrain.callbacks import DivergedError
from pretrain.command_line import words

COMPARE = "compare"


def main(arguments: Sequence[str]) -> None:
    """Do what the first word says; one task where it is a flag."""
    command, *rest = arguments or ("--help",)
    if command == COMPARE:
        compare_files(rest)
        return
    benchmark = SUITES.get(command)
    if benchmark is None and not command.startswith("-"):
        known = (*SUITES, COMPARE)
        raise InputError(
            f"python -m finetune: must be followed by a flag or one of {', '.join(known)}, got {command!r}."
            f"{did_you_mean(command, known)} See --help."
        )
    flags, warnings = translate([command, *rest] if benchmark is None else rest)
    for warning in warnings:
        sys.stderr.write(f"{warning}\n")
    if benchmark is None:
        run_task(flags)
    else:
        run_benchmark(command, benchmark, flags)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("finetune").setLevel(logging.INFO)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        code = exit_code(lambda: main(words()), DivergedError)
    finally:
        # A process that ends with its group open may be aborted by the group's threads.
        if distributed.is_initialized():
            distributed.destroy_process_group()
    raise SystemExit(code)
