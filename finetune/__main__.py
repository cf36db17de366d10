"""`python -m finetune`: fine-tune and score a checkpoint on a task or a whole benchmark, and what goes with it.

What trains is imported when it is called, as transformers takes seconds.
"""

import logging
import sys
from collections.abc import Sequence

from design_space.command_line import exit_code
from design_space.errors import InputError, did_you_mean
from finetune.commands.flags import translate
from finetune.config import CONFIGS, TrainerDefaults, command_and_example
from pretrain.command_line import help_if_asked

COMPARE, MEMORY, MERGE, SWEEP = "compare", "memory", "merge", "sweep"
BENCHMARKS = ("glue", "superglue")


def main(arguments: Sequence[str]) -> None:
    """Do what the first word says; one task where it is a flag."""
    command, *rest = arguments or ("--help",)
    if command == COMPARE:
        from finetune.commands.compare import compare_files

        compare_files(rest)
    elif command == MEMORY:
        from finetune.commands.memory import show_memory

        show_memory(rest)
    elif command == MERGE:
        from finetune.commands.merge import merge_folder
        from finetune.messages import quieten

        quieten()
        merge_folder(rest)
    elif command == SWEEP:
        from finetune.commands.sweep import run_sweep
        from finetune.messages import quieten

        quieten()
        run_sweep(rest)
    elif command in BENCHMARKS:
        _train(command, rest)
    elif command.startswith("-"):
        _train(None, arguments or ("--help",))
    else:
        known = (*BENCHMARKS, COMPARE, MEMORY, MERGE, SWEEP)
        raise InputError(
            f"python -m finetune: must be followed by a flag or one of {', '.join(known)}, got {command!r}."
            f"{did_you_mean(command, known)} See --help."
        )


def _train(benchmark: str | None, words: Sequence[str]) -> None:
    """Show the help, or put the flags into today's words and run."""
    help_if_asked(words, (CONFIGS[benchmark], TrainerDefaults), command_and_example(benchmark))
    flags, warnings = translate(words)
    for warning in warnings:
        sys.stderr.write(f"{warning}\n")
    from torch import distributed

    from finetune.commands.suite import run_benchmark
    from finetune.commands.task import run_task
    from finetune.messages import quieten
    from pretrain.callbacks import DivergedError

    quieten()
    try:
        if benchmark is None:
            run_task(flags)
        else:
            run_benchmark(benchmark, flags)
    except DivergedError as error:
        raise InputError(str(error)) from None
    finally:
        # A process that ends with its group open may be aborted by the group's threads.
        if distributed.is_initialized():
            distributed.destroy_process_group()


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    raise SystemExit(exit_code(lambda: main(sys.argv[1:])))
