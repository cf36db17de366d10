"""What a training run tells while it goes, and when it must stop."""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

_PATIENCE = 20  # logged losses above the first one
_LINE_SECONDS = 10.0  # between two lines where there is no terminal
_WATCHED = ("loss", "eval_loss", "train_loss")


class DivergedError(RuntimeError):
    """The loss is no longer a number, or stays above where it began."""


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
    """Ends a run whose loss is NaN or infinite, or 20 logged losses in a row above a multiple of the first one.

    Args:
        factor: Of the first loss.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = factor

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
            DivergedError: If it is not finite, or has been above that multiple for long.
        """
        for name, value in (logs or {}).items():
            if name in _WATCHED and not math.isfinite(value):
                raise DivergedError(f"{name} is {value} at step {state.global_step} of {state.max_steps}")
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        if len(losses) > _PATIENCE and min(losses[-_PATIENCE:]) > self._factor * losses[0]:
            raise DivergedError(
                f"loss is {losses[-1]:.3f} at step {state.global_step}, above its start ({losses[0]:.3f}) "
                f"for {_PATIENCE} logged losses"
            )


class Last(TrainerCallback):
    """Logs the last step, so that the learning curve ends where the run does."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Ask for it."""
        if control.should_training_stop or state.global_step >= state.max_steps:
            control.should_log = True
        if control.should_save and args.save_strategy == "steps":
            control.should_log = True  # a curve that begins at a checkpoint has the same points


class ProgressReport(TrainerCallback):
    """A bar with loss, speed and time left; lines where there is no terminal.

    Args:
        per_step: Tokens or rows a step, of all processes together.
        share: Share of the budget that is used, of a step; steps over steps, or the clock's.
        unit: What `per_step` counts.
        title: Stands before each line.
    """

    def __init__(
        self, per_step: int, share: Callable[[TrainerState], float], *, unit: str = "tokens", title: str = ""
    ) -> None:
        self._per_step = per_step
        self._share = share
        self._unit = unit
        self._title = title
        self._console = Console(file=sys.stderr)
        self._loss = math.nan

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show the bar."""
        self._began, self._first_step, self._last_line = time.monotonic(), state.global_step, time.monotonic()
        columns = (
            TextColumn(self._title + "step {task.fields[step]}"),
            BarColumn(),
            TextColumn("{task.fields[loss]}{task.fields[speed]:,.0f} " + f"{self._unit}/s"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("training", total=1.0, step=state.global_step, loss="", speed=0.0)
        self._bar.start()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note the loss."""
        self._loss = (logs or {}).get("loss", self._loss)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar, or write a line now and then."""
        elapsed, share = time.monotonic() - self._began, min(1.0, self._share(state))
        speed = (state.global_step - self._first_step) * self._per_step / max(elapsed, 1e-9)
        loss = "" if math.isnan(self._loss) else f"loss {self._loss:.3f}, "  # until one is logged
        self._bar.update(self._task, completed=share, step=state.global_step, loss=loss, speed=speed)
        if not self._console.is_terminal and time.monotonic() - self._last_line >= _LINE_SECONDS:
            self._last_line = time.monotonic()
            line = f"{self._title}step {state.global_step}, {share:.0%}: {loss}{speed:,.0f} {self._unit}/s"
            self._console.print(line, highlight=False)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the bar away."""
        self.close()

    def close(self) -> None:
        """Take the bar away, also after an error."""
        if hasattr(self, "_bar"):
            self._bar.stop()
