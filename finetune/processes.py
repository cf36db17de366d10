"""Work in processes of their own, which end with the command whatever ends it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from finetune.messages import quieten

Item = TypeVar("Item")
Found = TypeVar("Found")

_ORPHAN_EXIT_CODE = 3


def in_processes(do: Callable[[Item], Found], items: Iterable[Item], num_parallel: int) -> list[Found]:
    """Do some pieces of work in other processes, some at a time, each with its share of the threads.

    Args:
        do: Can be pickled.
        items: What it is called with, one after the other.
        num_parallel: Processes at a time.

    Returns:
        What it returned, in the order of the items.

    Raises:
        Exception: The first that is raised in a process; the others are ended.
    """
    with _pool(num_parallel, num_parallel) as pool:
        running = [pool.submit(do, item) for item in items]
        try:
            for done in as_completed(running):
                done.result()
        except BaseException:
            _end_workers()
            raise
    return [done.result() for done in running]


def each_alone(do: Callable[[Item], Found], items: Iterable[Item], num_parallel: int) -> list[Found | None]:
    """As `in_processes`, each piece in a process of its own; None where that died, as of too little memory."""

    def in_a_process(item: Item) -> Found | None:
        with _pool(1, num_parallel) as pool:
            try:
                return pool.submit(do, item).result()
            except BrokenProcessPool:
                return None

    with ThreadPoolExecutor(num_parallel) as waiting:
        running = [waiting.submit(in_a_process, item) for item in items]
        try:
            return [done.result() for done in running]
        except BaseException:
            for one in running:
                one.cancel()
            _end_workers()
            raise


def _pool(num_workers: int, num_parallel: int) -> ProcessPoolExecutor:
    threads = max(1, torch.get_num_threads() // num_parallel)
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(num_workers, mp_context=spawn, initializer=_begin, initargs=(threads,))


def _end_workers() -> None:
    for worker in multiprocessing.active_children():
        worker.kill()


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
