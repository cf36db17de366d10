"""Signals: a search finishes what runs after the first Ctrl-C; the second, SIGTERM or a closed terminal ends it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """What was asked of a search from outside.

    Attributes:
        asked: The search is to start nothing more.
        num_running: Evaluations that a stop would wait for, as the search tells. With none, the first Ctrl-C ends it.
    """

    def __init__(self) -> None:
        self.asked = False
        self.num_running = 0

    def ask(self, number: int) -> None:
        """Take a signal.

        Raises:
            KeyboardInterrupt: If the search is to end at once.
        """
        if number == signal.SIGINT and self.num_running and not self.asked:
            self.asked = True
            return
        raise KeyboardInterrupt


@contextmanager
def taken_signals() -> Iterator[Interruption]:
    """Take SIGINT, SIGTERM and SIGHUP as wishes for the time being.

    A signal that is ignored, as a shell does for what runs in the background and nohup for its command, stays ignored.
    Signals are of the main thread alone: in another this does nothing.

    Yields:
        What was asked so far.
    """
    interruption, owner = Interruption(), os.getpid()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def take(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            interruption.ask(number)
            return
        # A child that was forked, not started: the wish is not for it.
        signal.signal(number, before[signal.Signals(number)])
        signal.raise_signal(number)

    before = {number: handler for number in _SIGNALS if (handler := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, take)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
