"""Work in processes of their own, which end with the command whatever ends it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import torch

from finetune.messages import quieten

Item = TypeVar("Item")
Found = TypeVar("Found")

_ORPHAN_EXIT_CODE = 3


def in_processes(
    do: Callable[[Item], Found], items: Iterable[Item], num_parallel: int, *, afresh: bool = False
) -> list[Found]:
    """Do some pieces of work in other processes, some at a time, each with its share of the threads.

    Args:
        do: Can be pickled.
        items: What it is called with, one after the other.
        num_parallel: Processes at a time.
        afresh: Give each piece a process of its own, whose memory holds nothing of the one before.

    Returns:
        What it returned, in the order of the items.

    Raises:
        Exception: The first that is raised in a process; the others are ended.
    """
    threads = max(1, torch.get_num_threads() // num_parallel)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        num_parallel,
        mp_context=spawn,
        initializer=_begin,
        initargs=(threads,),
        max_tasks_per_child=1 if afresh else None,
    ) as pool:
        running = [pool.submit(do, item) for item in items]
        try:
            for done in as_completed(running):
                done.result()
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.kill()
            raise
    return [done.result() for done in running]


def _begin(num_threads: int) -> None:
    """Make a new process ready: quiet, with its share of the threads, and gone soon after the command is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends its workers
    quieten()
    torch.set_num_threads(num_threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(_ORPHAN_EXIT_CODE)
