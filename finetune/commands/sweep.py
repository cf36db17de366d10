"""`python -m finetune sweep`: one task by every combination of optimizers, ways of tuning and learning rates."""

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from design_space.errors import InputError, first_line
from design_space.files import require_writable, written_whole
from finetune.commands.checks import OF_TUNINGS
from finetune.commands.flags import translate
from finetune.commands.parser import Parser
from finetune.commands.task import Command, parse, setting_of, train
from finetune.messages import silence
from finetune.outcomes.file import to_json
from finetune.outcomes.repeats import SettingOutcome
from finetune.outcomes.sweep import draw, sweep_table
from finetune.output_folder import output_folder
from finetune.processes import each_alone
from finetune.runs import require_same
from finetune.source import find_source
from pretrain.callbacks import DivergedError
from pretrain.command_line import is_value

_DIED = "its process died, perhaps of too little memory"
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
    commands = _commands(combinations, of_all, folder, given.resume)
    with output_folder(folder):
        ended = each_alone(_try, commands, given.parallel)
        found = {one.name: end or _DIED for one, end in zip(combinations, ended, strict=True)}
        outcomes = {name: end for name, end in found.items() if isinstance(end, SettingOutcome)}
        failed = {name: end for name, end in found.items() if isinstance(end, str)}
        if not outcomes:
            raise InputError(f"sweep: no combination could be run; {next(iter(failed))}: {next(iter(failed.values()))}")
        _keep(outcomes, failed, folder)
    sys.stdout.write((folder / (JSON_FILE if given.json else TABLE_FILE)).read_text())
    if draw(outcomes, folder / PLOT_FILE):
        sys.stderr.write(f"plot: {folder / PLOT_FILE}\n")
    else:
        sys.stderr.write("no plot: it needs matplotlib. Run: pip install -c constraints.txt -e '.[bench]'\n")
    if failed:
        sys.stderr.write(f"left out: {len(failed)} of {len(found)} combinations\n")
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
    parser.add_argument("--learning_rate", help="rates separated by commas; each tuning's own where absent")
    parser.add_argument("--output_dir", required=True, help="folder for the table, the plot, and a folder each")
    parser.add_argument("--resume", action="store_true", help="take the runs that --output_dir holds as done")
    parser.add_argument("--parallel", type=int, default=1, help="combinations at a time")
    parser.add_argument("--json", action="store_true", help="print the results as one JSON line")
    return parser


def _combinations(optimizers: str, optim_args: str, tunings: str, rates: str | None) -> list[Combination]:
    """Every optimizer with every tuning and every rate."""
    names, ways = _listed("optim", optimizers), _listed("tuning", tunings)
    learning_rates = [""] if rates is None else _listed("learning_rate", rates)
    arguments = {}
    for part in optim_args.split(";") if optim_args else ():
        name, colon, value = part.partition(":")
        if not colon or name.strip() not in names or name.strip() in arguments:
            raise InputError(
                f"--optim_args: must be NAME:ARGUMENTS with a name of --optim ({', '.join(names)}) once, "
                f"got {part.strip()!r}. Write mfac:num_grads=64."
            )
        arguments[name.strip()] = value.strip()
    made = []
    for optimizer, tuning, rate in product(names, ways, learning_rates):
        flags = ["--optim", optimizer, "--tuning", tuning]
        flags += ["--optim_args", arguments[optimizer]] if optimizer in arguments else []
        flags += ["--learning_rate", rate] if rate else []
        made.append(Combination("-".join(filter(None, (optimizer, tuning, rate))), tuning, tuple(flags)))
    return made


def _listed(flag: str, text: str) -> list[str]:
    """What stands between commas, each once."""
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise InputError(f"--{flag}: must name at least one, got {text!r}. Leave it out for its default.")
    return parts


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


def _commands(combinations: Sequence[Combination], of_all: Sequence[str], folder: Path, resume: bool) -> list[Command]:
    """What each combination runs, checked as far as can be before anything is run."""
    for_some, commands = _for_some(combinations), []
    with silence():  # the processes tell it
        for one in combinations:
            words = [*_taken(of_all, one.tuning, for_some), *one.flags, "--output_dir", str(folder / one.name)]
            commands.append(parse([*words, "--resume"] if resume else words))
        if not commands[0].trains:
            raise InputError("sweep: must train, which --do_eval and --do_predict alone do not. Give --do_train.")
        source = find_source(commands[0].config, with_test=commands[0].arguments.do_predict)
        for one, command in zip(combinations, commands, strict=True):
            require_same(setting_of(command, source), folder / one.name)
    return commands


def _try(command: Command) -> SettingOutcome | str:
    """Run one combination; why it could not be, where it could not."""
    name = Path(command.arguments.output_dir).name
    sys.stderr.write(f"{name}\n")
    try:
        outcome = train(command)
    except (InputError, DivergedError) as error:
        reason = str(error)
    except (torch.OutOfMemoryError, MemoryError) as error:
        reason = f"out of memory: {first_line(error)}"
    else:
        assert outcome is not None
        return outcome
    sys.stderr.write(f"{name}: left out: {reason}\n")
    return reason


def _keep(outcomes: dict[str, SettingOutcome], failed: dict[str, str], folder: Path) -> None:
    """Write table and JSON."""
    content = {"combinations": {name: to_json([outcome]) for name, outcome in outcomes.items()}, "failed": failed}
    for file, text in ((JSON_FILE, json.dumps(content) + "\n"), (TABLE_FILE, sweep_table(outcomes, failed))):
        with written_whole(folder / file) as opened:
            opened.write(text.encode())
