"""Evaluations as tasks of a Ray cluster."""

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boshnas.errors import InputError
from boshnas.executors.base import ProcessExecutor, Run
from boshnas.executors.orphan import DRIVER_PID_VARIABLE
from boshnas.executors.outcome import LOG_FILE, ended_result, failed_result
from boshnas.executors.ray import minder
from boshnas.executors.ray.cluster import NAMESPACE, OPTION, connect, needs, node_resources, num_fitting
from boshnas.executors.ray.settings import RaySettings
from boshnas.executors.threads import thread_environment
from boshnas.job import RESULT_FILE, STARTED_FILE, Job, Result
from boshnas.trial import Status

_STATUSES = {
    "OutOfMemoryError": Status.OUT_OF_MEMORY,
    "NodeDiedError": Status.NODE_FAILED,
    "LocalRayletDiedError": Status.NODE_FAILED,
    "OwnerDiedError": Status.NODE_FAILED,
    "ActorDiedError": Status.NODE_FAILED,
    "WorkerCrashedError": Status.KILLED,
    "TaskCancelledError": Status.CANCELLED,
}
"""By the name of Ray's exception; every other is a crash."""
_ANSWER_TIMEOUT_S = 30.0
_WAIT_INTERVAL_S = 0.05
_logger = logging.getLogger(__name__)

Ended = int | tuple[list[str], str]
"""A return code, or the names of an exception's types and what it says."""


class RayExecutor(ProcessExecutor[Run]):
    """Runs each job as a task of Ray, which runs the worker as a process of its own group on some node.

    The tasks belong to an actor of the cluster, the run's keeper. On a cluster that was there before, both go on when
    the search is killed, and the resumed search finds them by the name of the keeper; on a Ray that was started here
    (`address` None) everything ends with the search. The run's folder must be the same path on every node.

    Args:
        command: Program and arguments of a worker, `{job}` among them for the path of its job.json.
        settings: Where the cluster is and what an evaluation takes.
        run_folder: Of the search; names the keeper.
        grace_s: Between the polite and the final signal of `close`, in seconds.

    Raises:
        InputError: If Ray is absent, the cluster cannot be joined, no node can ever hold an evaluation, or the command
            is empty or without `{job}`.
    """

    cluster = "ray"

    def __init__(
        self, command: Sequence[str], settings: RaySettings, run_folder: Path, *, grace_s: float = 5.0
    ) -> None:
        super().__init__(command, settings.max_in_flight or 1)
        self._settings = settings
        self._grace_s = grace_s
        path = str(run_folder.resolve())
        self._name = f"keeper-{hashlib.sha256(path.encode()).hexdigest()[:8]}"
        self._ray = connect(settings)
        self._left: dict[str, str] = {}  # jobs of an earlier search, by their folder
        try:
            fitting = num_fitting(settings, node_resources(self._ray))
            self._num_slots = settings.max_in_flight or fitting
            self._keeper = self._make_keeper()
            self._left = self._get(self._keeper.jobs.remote())
        except (self._ray.exceptions.RayError, OSError) as error:
            self._ray.shutdown()
            said = " ".join(str(error).split())[:300]
            raise InputError(
                f"{OPTION}: the cluster must be able to start an actor, got {said}. Check `ray status` there."
            ) from None
        except BaseException:
            self._ray.shutdown()
            raise
        self._answer: Any = None  # asked of the keeper, and not yet there
        self._ended: dict[str, Ended] = {}
        self._told: set[str] = set()  # folders whose outcome a caller has

    def close(self) -> None:
        """End all that runs, politely first, and the keeper. May be called again."""
        if self._closed:
            return
        super().close()
        try:
            if self._left:
                self._end_tasks(list(self._left), is_polite=True)
            self._ray.kill(self._keeper)
        except self._ray.exceptions.RayError as error:
            _logger.debug("The keeper was gone before: %s", error)
        self._ray.shutdown()

    def _make_keeper(self) -> Any:
        """The keeper of this run, which an earlier search may have left."""
        from boshnas.executors.ray import remote  # needs Ray

        self._ray.cloudpickle.register_pickle_by_value(remote)
        # Where the head of the cluster ends, so does all else.
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        heads = [node["NodeID"] for node in nodes if "node:__internal_head__" in node["Resources"]]
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        return (
            self._ray.remote(remote.Keeper)
            .options(
                name=self._name,
                namespace=NAMESPACE,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                max_restarts=0,
                # `soft` would leave it to chance.
                scheduling_strategy=strategy(heads[0], soft=False) if heads else "DEFAULT",
                # An evaluation without enough memory is tried again by the search, with half the batch; Ray would
                # repeat it as it is, without end.
                runtime_env={"env_vars": {"RAY_task_oom_retries": "0"}},
            )
            .remote()
        )

    def _find(self, job: Job, folder: Path) -> Run | None:
        left = self._left.get(str(folder.resolve()))
        if left is None or Job.model_validate_json(left) != job:
            return None
        del self._left[str(folder.resolve())]
        return Run(job=job, folder=folder)

    def _end_leftovers(self, folder: Path) -> None:
        if self._left.pop(str(folder.resolve()), None) is not None:
            self._end_tasks([str(folder.resolve())], is_polite=False)

    def _start(self, job: Job, folder: Path) -> Run:
        name = str(folder.resolve())
        wanted = needs(self._settings)
        options = {
            "name": f"boshnas job {job.number}",
            "num_cpus": self._settings.num_cpus,
            "num_gpus": self._settings.num_gpus,
            "max_retries": self._settings.max_retries,
        }
        if "memory" in wanted:
            options["memory"] = wanted["memory"]
        environment = thread_environment(max(1, int(self._settings.num_cpus)))
        if "PYTHONPATH" in os.environ:
            environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
        order = {
            "words": self._words(folder.resolve()),
            "folder": name,
            "cwd": os.getcwd(),
            "environment": environment,
            "pid_variable": DRIVER_PID_VARIABLE,
            "minder": Path(minder.__file__).read_text(encoding="utf-8"),
            "result_file": RESULT_FILE,
            "started_file": STARTED_FILE,
            "log_file": LOG_FILE,
            "grace_s": self._grace_s,
        }
        self._forget_answer([name])
        self._keeper.submit.remote(job.model_dump_json(), order, options)
        return Run(job=job, folder=folder)

    def _refresh(self) -> None:
        """Take in the keeper's answer, where it has come, and ask again; never wait."""
        if not self._running:
            return
        try:
            if self._answer is not None and self._ray.wait([self._answer], timeout=0)[0]:
                self._ended = self._ray.get(self._answer)
                self._answer = None
        except self._ray.exceptions.ActorUnavailableError:
            self._answer = None  # the network: it is asked again
        except self._ray.exceptions.RayError as error:  # dead by itself, with its node, or for want of memory there
            self._replace_keeper(str(error))
            return
        if self._answer is None:
            self._answer = self._keeper.ended.remote(sorted(self._told))
            self._told.clear()

    def _replace_keeper(self, said: str) -> None:
        """What the keeper had started has ended with it."""
        _logger.warning("The keeper of this run in the Ray cluster is gone; its evaluations have failed.")
        gone = (
            ["ActorDiedError"],
            f"the keeper of this run died: {(said.strip() or 'no reason given').splitlines()[0]}",
        )
        self._ended = {str(run.folder.resolve()): gone for run in self._running.values()}
        self._left = {}
        self._answer = None
        self._told.clear()
        self._keeper = self._make_keeper()

    def _outcome(self, run: Run) -> Result | None:
        name = str(run.folder.resolve())
        ended = self._ended.pop(name, None)
        if ended is None:
            return None
        self._told.add(name)
        if isinstance(ended, int):
            return ended_result(run.job, run.folder, ended)
        if (run.folder / RESULT_FILE).exists():
            return ended_result(run.job, run.folder, 0)
        kinds, said = ended
        status = next((_STATUSES[kind] for kind in kinds if kind in _STATUSES), Status.CRASHED)
        return failed_result(run.job, run.folder, status, f"Ray could not run the worker to its end: {said[:500]}")

    def _end(self, runs: Sequence[Run], is_polite: bool) -> None:
        self._end_tasks([str(run.folder.resolve()) for run in runs], is_polite)

    def _end_tasks(self, folders: list[str], is_polite: bool) -> None:
        """Cancel tasks and wait until they have ended; those that do not end politely are ended otherwise."""
        try:
            for polite, limit_s in ((True, 2 * self._grace_s), (False, self._grace_s))[not is_polite :]:
                self._keeper.end.remote(folders, polite)
                if self._have_ended(folders, limit_s):
                    break
            self._forget_answer(folders)
            self._get(self._keeper.ended.remote(folders))
        except self._ray.exceptions.RayError as error:
            _logger.debug("The keeper has gone, and its tasks with it: %s", error)

    def _have_ended(self, folders: list[str], limit_s: float) -> bool:
        deadline = time.monotonic() + limit_s
        while not set(folders) <= set(self._get(self._keeper.ended.remote([]))):
            if time.monotonic() > deadline:
                return False
            time.sleep(_WAIT_INTERVAL_S)
        return True

    def _forget_answer(self, folders: list[str]) -> None:
        """No answer from before speaks of what is started in these folders from now on."""
        self._answer = None
        for name in folders:
            self._ended.pop(name, None)
            self._told.discard(name)

    def _get(self, answer: Any) -> Any:
        return self._ray.get(answer, timeout=_ANSWER_TIMEOUT_S)
