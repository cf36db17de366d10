"""How long a run lasts, in steps, tokens or seconds, and how its learning rate follows."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import distributed
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, get_scheduler

from design_space.errors import InputError

DEFAULT_STEPS = 1000
ENDLESS = 2**31 - 1  # steps, where time decides
_RESOLUTION = 10_000  # places of a schedule that follows the clock


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One of four limits; none: 1,000 steps.

    Attributes:
        max_steps: Optimizer steps; −1: not given, as the Trainer has it.
        num_epochs: Readings of the corpus; rounded up to whole steps.
        max_tokens: Tokens read; rounded up to whole steps.
        max_seconds: Wall-clock time of training, held-out losses and checkpoints included; over all parts of a run
            that was resumed.

    Raises:
        InputError: If more than one is given, or one is not positive.
    """

    max_steps: int = -1
    num_epochs: float | None = None
    max_tokens: int | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        given: dict[str, float | None] = {
            "max_steps": None if self.max_steps == -1 else self.max_steps,
            "num_train_epochs": self.num_epochs,
            "max_tokens": self.max_tokens,
            "max_seconds": self.max_seconds,
        }
        named = {name: value for name, value in given.items() if value is not None}
        for name, value in named.items():
            if not value > 0:
                raise InputError(f"--{name}: must be more than 0, got {value}. Give a budget.")
        if len(named) > 1:
            raise InputError(f"{' and '.join(f'--{name}' for name in named)}: must not be given together. Keep one.")

    def num_steps(self, tokens_per_step: int, corpus_tokens: int) -> int:
        """Optimizer steps; a very great number where time decides."""
        if self.max_seconds is not None:
            return ENDLESS
        if self.num_epochs is not None:
            return math.ceil(self.num_epochs * corpus_tokens / tokens_per_step)
        if self.max_tokens is not None:
            return math.ceil(self.max_tokens / tokens_per_step)
        return DEFAULT_STEPS if self.max_steps == -1 else self.max_steps


class Clock:
    """Seconds of training, over all parts of a run that was resumed.

    Args:
        before: Seconds of the parts before this one.
    """

    def __init__(self, before: float = 0.0) -> None:
        self._before = before
        self._start: float | None = None

    def start(self) -> None:
        """Begin to count; a second call changes nothing."""
        self._start = self._start or time.monotonic()

    @property
    def seconds(self) -> float:
        """Counted so far."""
        return self._before + (0.0 if self._start is None else time.monotonic() - self._start)


class TimeLimit(TrainerCallback):
    """Ends a run when its time is up.

    Args:
        clock: Of the run.
        max_seconds: After which no step begins.
    """

    def __init__(self, clock: Clock, max_seconds: float) -> None:
        self._clock = clock
        self._max_seconds = max_seconds

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Look at the clock."""
        if agreed(self._clock.seconds) >= self._max_seconds:
            control.should_log = control.should_training_stop = True


def schedule_by_time(arguments: TrainingArguments, optimizer: Optimizer, progress: Callable[[], float]) -> LambdaLR:
    """The schedule that `--lr_scheduler_type` names, as a function of the share of the time that has passed.

    Args:
        arguments: Warm-up as a share: steps have no meaning where time decides.
        optimizer: Whose rates are set.
        progress: Share of the budget that is used, >= 0.

    Raises:
        InputError: If the warm-up is a number of steps.
    """
    if not 0 <= arguments.warmup_steps < 1:
        raise InputError(
            f"--warmup_steps: must be a share below 1 with --max_seconds, got {arguments.warmup_steps:g}. Give a share."
        )
    made = get_scheduler(
        arguments.lr_scheduler_type,
        optimizer=optimizer,
        num_warmup_steps=round(arguments.warmup_steps * _RESOLUTION),
        num_training_steps=_RESOLUTION,
        scheduler_specific_kwargs=arguments.lr_scheduler_kwargs or {},  # type: ignore[arg-type]
    )
    if not isinstance(made, LambdaLR):
        raise InputError(
            "--lr_scheduler_type: must be a function of the step with --max_seconds, "
            f"got {arguments.lr_scheduler_type}. Take linear or cosine."
        )
    made.lr_lambdas = [_by_time(rate, progress) for rate in made.lr_lambdas]
    return made


def _by_time(rate: Callable[[int], float], progress: Callable[[], float]) -> Callable[[int], float]:
    return lambda step: rate(min(_RESOLUTION, 1 + int(progress() * _RESOLUTION)))


def agreed(value: float) -> float:
    """The first process's value, in all processes: clocks differ, decisions must not."""
    if not _has_others():
        return value
    shared = _shared(value)
    distributed.broadcast(shared, src=0)
    return float(shared)


def true_anywhere(value: bool) -> bool:
    """Whether it is true in one process at least, in all processes."""
    if not _has_others():
        return value
    shared = _shared(value)
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    return bool(shared)


def _has_others() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _shared(value: float) -> torch.Tensor:
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    return torch.tensor([value], dtype=torch.float64, device=device)
