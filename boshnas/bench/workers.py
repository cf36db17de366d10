"""Runs tasks in processes of one thread each, and outlives any of them."""

import multiprocessing
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import optuna
from threadpoolctl import threadpool_limits

from boshnas.bench.measure import Plan, Run, Task, measure
from boshnas.surrogates.training import one_thread
from boshnas.table import Table

_GRACE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A task that came to nothing, and why, in one line."""

    task: Task
    reason: str


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    task: Task | None = None


def run_tasks(
    table: Table, plan: Plan, tasks: Sequence[Task], num_jobs: int, report: Callable[[int], None] = lambda num: None
) -> Iterator[Run | Failure]:
    """Run tasks, some at a time.

    Args:
        table: Every row measured.
        plan: How long each is.
        tasks: In the order in which they start; once one fails, the others of its method are left out.
        num_jobs: Processes, >= 1; each has one thread.
        report: Told how many evaluations have been done since it was last told.

    Yields:
        What came out of each, as they end. Leaving the iterator ends the processes.
    """
    waiting, failed = deque(tasks), set[str]()
    workers: list[_Worker] = []
    try:
        while True:
            waiting = deque(task for task in waiting if task.method not in failed)
            _hand_out(waiting, workers, num_jobs, table, plan)
            busy = [worker for worker in workers if worker.task is not None]
            if not busy:
                return
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                message = _message(worker, workers)
                if isinstance(message, int):
                    report(message)
                    continue
                if isinstance(message, Failure):
                    failed.add(message.task.method)
                worker.task = None
                yield message
    finally:
        for worker in workers:
            _end(worker)


def _hand_out(waiting: deque[Task], workers: list[_Worker], num_jobs: int, table: Table, plan: Plan) -> None:
    """Give tasks to idle workers, starting as many as there may be."""
    while waiting:
        idle = next((worker for worker in workers if worker.task is None), None)
        if idle is None and len(workers) == num_jobs:
            return
        if idle is None:
            idle = _start(table, plan)
            workers.append(idle)
        idle.task = waiting.popleft()
        idle.connection.send(idle.task)


def _start(table: Table, plan: Plan) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, table, plan), daemon=True)
    resource_tracker.ensure_running()  # starting it would lift what is blocked below
    # A terminal sends Ctrl-C to every process: one that is still starting must not take it, this one must not lose it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # so that the end of the process is the end of the connection
    return _Worker(process, ours)


def _message(worker: _Worker, workers: list[_Worker]) -> int | Run | Failure:
    """What a worker says; where it has died, it is struck off."""
    assert worker.task is not None, "only busy workers are heard"
    try:
        message: int | Run | Failure = worker.connection.recv()
    except (EOFError, ConnectionError):
        workers.remove(worker)
        _end(worker)
        reason = f"its process ended with code {worker.process.exitcode}"
        return Failure(task=worker.task, reason=reason)
    return message


def _end(worker: _Worker) -> None:
    worker.connection.close()
    if worker.process.is_alive():
        worker.process.terminate()
    worker.process.join(_GRACE_S)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _serve(connection: Connection, table: Table, plan: Plan) -> None:
    """What a worker does, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the first process ends the others
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")  # advice to the peers' users
    with one_thread(), threadpool_limits(1):
        while True:
            try:
                task: Task = connection.recv()
                connection.send(_outcome(connection, table, plan, task))
            except (EOFError, ConnectionError):
                return


def _outcome(connection: Connection, table: Table, plan: Plan, task: Task) -> Run | Failure:
    try:
        return measure(table, plan, task, connection.send)
    except ConnectionError:
        raise
    except Exception as error:  # whatever a peer raises: the other methods go on
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Failure(task=task, reason=reason)
