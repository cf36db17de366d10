"""A run that is asked to stop: by whom, and how it ends."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pretrain.budget import true_anywhere

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NOTICE = b"\nstopping at the end of this step, with a checkpoint; once more to stop at once\n"


class StoppedError(RuntimeError):
    """The run was asked to stop.

    Attributes:
        checkpoint: What it left, to go on from.
    """

    def __init__(self, checkpoint: Path) -> None:
        super().__init__(f"stopped on request; checkpoint in {checkpoint}")
        self.checkpoint = checkpoint


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Take SIGINT and SIGTERM as a wish to stop, once; the second one ends the process as it always does.

    A signal that is ignored, as a shell does for what runs in the background, stays ignored.

    Yields:
        Says whether one has come.
    """
    came: list[int] = []
    owner = os.getpid()

    def note(number: int, frame: object) -> None:
        came.append(number)
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        if os.getpid() == owner and os.isatty(2):
            os.write(2, _NOTICE)  # not sys.stderr: the signal may have come while that is written to

    before = {number: handler for number in _SIGNALS if (handler := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopOnRequest(TrainerCallback):
    """Ends a run, with a checkpoint, after the step in which it is asked to; in all processes after the same.

    Args:
        is_wanted: Whether to stop; asked after each step.

    Attributes:
        has_stopped: Whether it did so.
    """

    def __init__(self, is_wanted: Callable[[], bool]) -> None:
        self._is_wanted = is_wanted
        self.has_stopped = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Ask, unless the run is at its end."""
        if control.should_training_stop or state.global_step >= state.max_steps:
            return
        if true_anywhere(self._is_wanted()):
            self.has_stopped = True
            control.should_log = control.should_save = control.should_training_stop = True
