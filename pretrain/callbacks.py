"""What a training run tells while it goes, and when it must stop."""

import math
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


class StepReporter(TrainerCallback):
    """Hands each finished step to a function.

    Args:
        report: Called with the step and the number of steps.
    """

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self._report = report

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Report."""
        self._report(state.global_step, state.max_steps)


class EpochReporter(TrainerCallback):
    """Hands the number of each pass over the data to a function before it begins, in a resumed run too.

    Args:
        report: Called with the number of passes before this one.
    """

    def __init__(self, report: Callable[[int], object]) -> None:
        self._report = report

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Report."""
        self._report(int(state.epoch or 0))


class StopOnDivergence(TrainerCallback):
    """Ends a run whose loss is NaN or infinite."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at each logged loss.

        Raises:
            DivergedError: If it is not finite.
        """
        for name, value in (logs or {}).items():
            if name in ("loss", "eval_loss", "train_loss") and not math.isfinite(value):
                raise DivergedError(f"{name} is {value} at step {state.global_step} of {state.max_steps}")
