"""`python -m finetune sweep`: one task by every combination of optimizers, ways of tuning and learning rates."""

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from design_space.errors import InputError
from design_space.files import require_writable, written_whole
from finetune.commands.checks import OF_TUNINGS
from finetune.commands.flags import translate
from finetune.commands.parser import Parser
from finetune.commands.task import parse, train
from finetune.messages import silence
from finetune.outcomes.file import to_json
from finetune.outcomes.repeats import SettingOutcome
from finetune.outcomes.sweep import draw, sweep_table
from finetune.output_folder import output_folder
from finetune.processes import in_processes
from finetune.source import find_source
from pretrain.callbacks import DivergedError
from pretrain.command_line import is_value

JSON_FILE, TABLE_FILE, PLOT_FILE = "sweep.json", "sweep.md", "sweep.png"
_EXAMPLE = (
    "python -m finetune sweep --optim adamw,mfac --optim_args mfac:num_grads=64 --tuning full,adapter,lora "
    "--num_runs 5 --model_name_or_path tiny --task_name mrpc --data my-glue/ --output_dir sweep"
)


@dataclass(frozen=True)
class Combination:
    """One setting of a sweep.

    Attributes:
        name: Of its folder.
        tuning: What is trained.
        flags: What it adds to the flags of all.
    """

    name: str
    tuning: str
    flags: tuple[str, ...]


def run_sweep(words: Sequence[str]) -> None:
    """Read the flags, run every combination in a process of its own, and write a table and a plot."""
    given, of_all = _parser().parse_known_args(words)
    of_all, warnings = translate(of_all)
    for warning in warnings:
        sys.stderr.write(f"{warning}\n")
    folder = Path(given.output_dir)
    combinations = _combinations(given.optim, given.optim_args, given.tuning, given.learning_rate)
    if given.parallel < 1:
        raise InputError(f"--parallel: must be at least 1, got {given.parallel}.")
    if (folder / JSON_FILE).exists() and not given.resume:
        raise InputError(f"--output_dir: {folder} holds a sweep already. Give another folder, or --resume.")
    require_writable(folder)
    for_some = _for_some(combinations)
    commands = [
        [*_taken(of_all, one.tuning, for_some), *one.flags, "--output_dir", str(folder / one.name)]
        + (["--resume"] if given.resume else [])
        for one in combinations
    ]
    with silence():  # the processes tell it
        for command in commands:
            config, _ = parse(command)
        find_source(config)
    with output_folder(folder):
        ended = in_processes(
            partial(_try, num_all=len(commands)), list(enumerate(commands, 1)), given.parallel, afresh=True
        )
        found = {one.name: end for one, end in zip(combinations, ended, strict=True)}
        outcomes = {name: end for name, end in found.items() if isinstance(end, SettingOutcome)}
        failed = {name: end for name, end in found.items() if isinstance(end, str)}
        if not outcomes:
            raise InputError(f"sweep: no combination could be run; {next(iter(failed))}: {next(iter(failed.values()))}")
        _keep(outcomes, failed, folder)
    sys.stdout.write((folder / (JSON_FILE if given.json else TABLE_FILE)).read_text())
    if draw(outcomes, folder / PLOT_FILE):
        sys.stderr.write(f"plot: {folder / PLOT_FILE}\n")
    else:
        sys.stderr.write("no plot: it needs matplotlib. Run: pip install matplotlib\n")
    sys.stderr.write(
        f"results: {folder / JSON_FILE}; of each combination: {folder / '<combination>' / 'result.json'}\n"
    )


def _parser() -> Parser:
    parser = Parser(
        "python -m finetune sweep",
        description="One task by every combination of optimizers, ways of tuning and learning rates: a table with mean "
        "and spread over the seeds, trained parameters, memory and time, and a plot. All other flags are those of "
        "`python -m finetune` and hold for every combination.",
        epilog=f"example: {_EXAMPLE}",
    )
    parser.add_argument("--optim", default="adamw", help="names separated by commas, as --optim of one task takes them")
    parser.add_argument("--optim_args", default="", help="NAME:ARGUMENTS of some of them, separated by ';'")
    parser.add_argument("--tuning", default="full", help="ways of tuning separated by commas")
    parser.add_argument("--learning_rate", default="", help="rates separated by commas; each tuning's own where absent")
    parser.add_argument("--output_dir", required=True, help="folder for the table, the plot, and a folder each")
    parser.add_argument("--resume", action="store_true", help="take the runs that --output_dir holds as done")
    parser.add_argument("--parallel", type=int, default=1, help="combinations at a time")
    parser.add_argument("--json", action="store_true", help="print the results as one JSON line")
    return parser


def _combinations(optimizers: str, optim_args: str, tunings: str, rates: str) -> list[Combination]:
    """Every optimizer with every tuning and every rate."""
    names, ways, learning_rates = (_listed(text) for text in (optimizers, tunings, rates))
    arguments = {}
    for part in optim_args.split(";") if optim_args else ():
        name, colon, value = part.partition(":")
        if not colon or name.strip() not in names:
            raise InputError(
                f"--optim_args: must be NAME:ARGUMENTS with a name of --optim ({', '.join(names)}), "
                f"got {part.strip()!r}. Write mfac:num_grads=64."
            )
        arguments[name.strip()] = value.strip()
    if not names or not ways:  # given, and empty
        raise InputError("--optim and --tuning: must name at least one each. Leave a flag out for its default.")
    made = []
    for optimizer, tuning, rate in product(names, ways, learning_rates or [""]):
        flags = ["--optim", optimizer, "--tuning", tuning]
        flags += ["--optim_args", arguments[optimizer]] if optimizer in arguments else []
        flags += ["--learning_rate", rate] if rate else []
        made.append(Combination("-".join(filter(None, (optimizer, tuning, rate))), tuning, tuple(flags)))
    return made


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _for_some(combinations: Sequence[Combination]) -> set[str]:
    """Names of flags that are for some of the ways of tuning, and not for others."""
    tunings = {one.tuning for one in combinations}
    return {name for name, methods in OF_TUNINGS.items() if tunings & {*methods} and tunings - {*methods}}


def _taken(words: Sequence[str], tuning: str, for_some: Collection[str]) -> list[str]:
    """The words of all without those flags, and their values, that are for other ways of tuning.

    Example:
        >>> _taken(["--seeds", "1", "2", "--lora-rank", "4", "--bf16"], "head", {"lora_rank"})
        ['--seeds', '1', '2', '--bf16']
    """
    taken, is_taken = [], True
    for word in words:
        if not is_value(word):
            name = word.partition("=")[0].removeprefix("--").replace("-", "_")
            is_taken = name not in for_some or tuning in OF_TUNINGS[name]
        if is_taken:
            taken.append(word)
    return taken


def _try(numbered: tuple[int, list[str]], num_all: int) -> SettingOutcome | str:
    """Run one combination; why it could not be, where it could not."""
    number, command = numbered
    config_flags = command[command.index("--optim") : command.index("--output_dir")]
    sys.stderr.write(f"{number} of {num_all}: {' '.join(config_flags)}\n")
    try:
        outcome = train(command)
    except (InputError, DivergedError) as error:
        sys.stderr.write(f"{number} of {num_all}: left out: {error}\n")
        return str(error)
    assert outcome is not None
    return outcome


def _keep(outcomes: dict[str, SettingOutcome], failed: dict[str, str], folder: Path) -> None:
    """Write table and JSON."""
    content = {"combinations": {name: to_json([outcome]) for name, outcome in outcomes.items()}, "failed": failed}
    for file, text in ((JSON_FILE, json.dumps(content) + "\n"), (TABLE_FILE, sweep_table(outcomes, failed))):
        with written_whole(folder / file) as opened:
            opened.write(text.encode())
