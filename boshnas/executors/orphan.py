"""A worker must not outlive the search that started it, even one that was killed without warning."""

import os
import threading
import time

DRIVER_PID_VARIABLE = "BOSHNAS_DRIVER_PID"
ORPHAN_EXIT_CODE = 3
_INTERVAL_S = 0.5


def exit_with_driver() -> None:
    """End this process soon after the search process has gone; to be called at a worker's start.

    The executor names its process in the environment. Does nothing where it has not, as for a worker started by hand.
    """
    value = os.environ.get(DRIVER_PID_VARIABLE, "")
    if not value.isdecimal():
        return
    driver = int(value)
    # Started through another program (a launcher, a profiler) the driver is not our parent and is asked for by its id.
    is_child = os.getppid() == driver
    if not is_child and not _alive(driver):
        os._exit(ORPHAN_EXIT_CODE)
    threading.Thread(target=_watch, args=(driver, is_child), name="exit-with-driver", daemon=True).start()


def _watch(driver: int, is_child: bool) -> None:
    while os.getppid() == driver if is_child else _alive(driver):
        time.sleep(_INTERVAL_S)
    os._exit(ORPHAN_EXIT_CODE)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
