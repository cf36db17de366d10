"""What an earlier search left running on this machine."""

import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from boshnas.errors import InputError
from boshnas.executors.identity import ProcessIdentity
from boshnas.job import read_model

PROCESS_FILE = "process.json"
"""Which process of this machine runs the job of a folder."""
_LIMIT_S = 5.0
_logger = logging.getLogger(__name__)


def end_leftover(folder: Path) -> None:
    """End the worker that a killed search left in a job's folder: not every program ends with the one that started it.

    Args:
        folder: Of the job.
    """
    path = folder / PROCESS_FILE
    with suppress(InputError):
        left = read_model(path, ProcessIdentity)
        if left.is_alive:
            _logger.info("%s was left by an earlier search: ended.", left)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(left.pid, signal.SIGKILL)
            with suppress(psutil.Error):
                psutil.Process(left.pid).wait(_LIMIT_S)
    path.unlink(missing_ok=True)
