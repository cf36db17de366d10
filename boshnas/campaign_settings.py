"""What a person asks of a search over a design space, and the rules for it."""

import math
import os
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

from boshnas.baselines import RandomSearcher
from boshnas.errors import InputError, did_you_mean
from boshnas.executors.base import JOB_WORD
from boshnas.searcher import Searcher
from boshnas.surrogates import GPSurrogate
from boshnas.training import TrainingOptions
from design_space.space import DesignSpace
from design_space.space_file import preset_names
from finetune.data import DEMO, HUB
from pretrain.config import recipe_names

SEARCHERS: dict[str, Callable[..., Searcher]] = {
    "boshnas": Searcher,
    "gp": partial(Searcher, surrogate=GPSurrogate()),
    "random": RandomSearcher,
}


_INTERPRETER = re.compile(r"(python|pypy|bash|dash|zsh|sh)[\d.]*")


@dataclass(frozen=True, kw_only=True)
class CampaignSettings(TrainingOptions):
    """What a person asks for; see `python -m boshnas.run --help`."""

    space: str
    evaluator: str | None = None
    budget: int = 12
    initial: int | None = None
    max_hours: float | None = None
    parallel: int | None = None
    executor: str = "local"
    executor_config: str | None = None
    synchronous: bool = False
    seed: int = 0
    surrogate: str = "boshnas"
    constraints: tuple[str, ...] = ()
    baselines: str | None = None
    max_failures: int = 10
    straggler_factor: float = 10.0
    min_free_gb: float = 1.0
    max_checkpoint_gb: float | None = None
    keep_best: int = 5


def check_numbers(settings: CampaignSettings) -> None:
    """Check what needs no look at the disk.

    Raises:
        InputError: For the first number or name that breaks its rule.
    """
    for name, least in (
        ("budget", 1),
        ("initial", 1),
        ("parallel", 1),
        ("pretrain_steps", 1),
        ("finetune_steps", 1),
        ("max_failures", 0),
        ("seed", 0),
        ("min_free_gb", 0),
        ("max_checkpoint_gb", 0),
        ("keep_best", 1),
    ):
        value = getattr(settings, name)
        if value is not None and not math.isfinite(value):
            raise InputError(f"--{name.replace('_', '-')}: must be a number, got {value}. Leave it out for no limit.")
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')}: must be at least {least}, got {value}.")
    if settings.max_hours is not None and not settings.max_hours > 0:
        raise InputError(f"--max-hours: must be above 0, got {settings.max_hours}.")
    if not (settings.straggler_factor == 0 or settings.straggler_factor > 1):
        raise InputError(
            f"--straggler-factor: must be above 1, or 0 for no limit, got {settings.straggler_factor}. "
            "It multiplies the median time of a stage."
        )
    if settings.surrogate not in SEARCHERS:
        hint = did_you_mean(settings.surrogate, SEARCHERS, "Choose one of these.")
        raise InputError(f"--surrogate: must be one of {', '.join(SEARCHERS)}, got {settings.surrogate!r}. {hint}")


def load_space(name_or_file: str) -> DesignSpace:
    """The space to search.

    Raises:
        InputError: If there is no such space, its file breaks a rule, or there is no model for its members.
    """
    if name_or_file not in preset_names() and not Path(name_or_file).is_file():
        known = [name for name in preset_names() if not DesignSpace.load(name).per_head]
        hint = did_you_mean(name_or_file, known, "Choose one of these, or check the path.")
        raise InputError(f"--space: must be one of {', '.join(known)} or a YAML file, got {name_or_file!r}. {hint}")
    space = DesignSpace.load(name_or_file)
    if space.per_head:
        raise InputError(
            f"--space: {space.name} has one operation a head, for which there is no model to train yet. "
            "Sample and measure it with `python -m design_space`."
        )
    return space


def evaluator_words(settings: CampaignSettings) -> list[str]:
    """The words of a command of one's own.

    Raises:
        InputError: If it is no command with the path of a job, or options of the own worker are given, too.
    """
    text = str(settings.evaluator)
    for field in fields(TrainingOptions):
        value = getattr(settings, field.name)
        if value != field.default:
            raise InputError(
                f"--{field.name.replace('_', '-')}: must not be given with --evaluator, which trains in its own way, "
                f"got {value!r}. Leave one of the two out."
            )
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"--evaluator: must be a command, got {text!r} ({error}). Close the quotes.") from None
    if not any(JOB_WORD in word for word in words):
        raise InputError(
            f"--evaluator: must name {JOB_WORD} where the path of the job goes, got {text!r}. "
            f"For example: 'python train.py {JOB_WORD}'."
        )
    if shutil.which(words[0]) is None:
        raise InputError(f"--evaluator: must begin with a program that is there, got {words[0]!r}. Give its path.")
    script = _script(words)
    if script is not None and not Path(script).is_file():
        raise InputError(f"--evaluator: must name a script that is there, got {script!r}. Give its path.")
    return words


def _script(words: Sequence[str]) -> str | None:
    """The script that an interpreter is given; None where the words name none by its usual ending."""
    if not _INTERPRETER.fullmatch(Path(words[0]).name):
        return None
    first = next((word for word in words[1:] if word in ("-m", "-c") or not word.startswith("-")), "")
    return first if Path(first).suffix in (".py", ".sh") and JOB_WORD not in first else None


def with_absolute_paths(settings: CampaignSettings) -> CampaignSettings:
    """Files and folders by their whole path, so that a run can be resumed from anywhere."""

    def absolute(option: str, text: str) -> str:
        return text if _is_name(option, text) or not Path(text).exists() else str(Path(text).resolve())

    return replace(
        settings,
        space=absolute("space", settings.space),
        data=absolute("data", settings.data),
        corpus=settings.corpus and absolute("corpus", settings.corpus),
        evaluator=settings.evaluator and _with_absolute_words(settings.evaluator),
        recipe=settings.recipe and absolute("recipe", settings.recipe),
        executor_config=settings.executor_config and str(Path(settings.executor_config).resolve()),
    )


def _with_absolute_words(command: str) -> str:
    """A command with its program and its script by their whole path: a worker may run elsewhere.

    Links stay, since a virtual environment's interpreter is one.
    """
    try:
        program, *words = shlex.split(command)
    except ValueError:
        return command  # told with the other checks
    if os.sep in program:
        program = os.path.abspath(program)
    script = next((word for word in words if not word.startswith("-") and Path(word).is_file()), None)
    return shlex.join([program, *(os.path.abspath(word) if word == script else word for word in words)])


def _is_name(option: str, text: str) -> bool:
    """True for what is shipped under a name, whatever lies in the working folder."""
    shipped = {"space": preset_names(), "data": [DEMO, HUB], "corpus": [DEMO], "recipe": recipe_names()}
    return text in shipped[option]
