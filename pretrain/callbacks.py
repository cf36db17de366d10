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
