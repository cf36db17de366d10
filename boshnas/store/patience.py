"""Patience with a database that is away for a while: a restart, a cut connection, a full disk."""

import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy
from sqlalchemy.engine import ExceptionContext

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
MAX_WAIT_S = 3600.0

Value = TypeVar("Value")


class UnavailableError(RuntimeError):
    """The database does not take anything at the moment; what was to be written may be tried again."""


def tell_unavailable(
    engine: sqlalchemy.Engine, is_passing: Callable[[BaseException], bool], without_secret: Callable[[str], str]
) -> None:
    """Turn errors that may pass into `UnavailableError`.

    It leaves the engine in place of SQLAlchemy's own error, which Optuna would answer by adding a trial again, without
    a look whether the first one is there.

    Args:
        engine: To watch.
        is_passing: Whether an error of the database's driver may pass.
        without_secret: Takes secrets out of a message.
    """

    @sqlalchemy.event.listens_for(engine, "handle_error")
    def tell(context: ExceptionContext) -> None:
        if is_passing(context.original_exception):
            raise UnavailableError(without_secret(str(context.original_exception)))


class Patience:
    """Writes again and again, until it works or the time is over.

    Args:
        where: What is written to, for messages.
        on_wait: Told once what is waited for, and once that it goes on.
        reconnect: Lets go of broken connections.
        max_wait_s: Longest time to try one write.
    """

    def __init__(
        self, where: str, on_wait: Callable[[str], None], reconnect: Callable[[], None], max_wait_s: float
    ) -> None:
        self._where = where
        self._on_wait = on_wait
        self._reconnect = reconnect
        self._max_wait_s = max_wait_s

    def write(self, write: Callable[[], Value], find: Callable[[], Value | None] = lambda: None) -> Value:
        """Write, waiting while the database is away.

        The first failure is answered at once and in silence: a connection that had been idle is often cut.

        Args:
            write: Does it, whole or not at all.
            find: What an earlier try wrote whose answer was lost; None where there is nothing.

        Raises:
            UnavailableError: If the database stayed away too long.
        """
        start = time.monotonic()
        wait_s, num_failures = FIRST_WAIT_S, 0
        while True:
            try:
                written = find() if num_failures else None
                if written is None:
                    written = write()
                break
            except UnavailableError as error:
                num_failures += 1
                waited_s = time.monotonic() - start
                if num_failures > 1 and waited_s >= self._max_wait_s:
                    raise UnavailableError(
                        f"{self._where}: store must come back within {self._max_wait_s:.0f} s, got: {error}. "
                        "Mend it; what has finished is kept."
                    ) from None
                if num_failures == 2:
                    self._on_wait(f"{self._where}: waiting for the store: {error}")
                if num_failures > 1:
                    time.sleep(min(wait_s, self._max_wait_s - waited_s))
                    wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                self._reconnect()
        if num_failures > 1:
            self._on_wait(f"{self._where}: the store is back after {time.monotonic() - start:.0f} s")
        return written
