"""Evaluations as jobs of a SLURM cluster."""

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from boshnas.errors import InputError
from boshnas.executors.base import ProcessExecutor
from boshnas.executors.outcome import LOG_FILE, written_result
from boshnas.executors.slurm import commands
from boshnas.executors.slurm.commands import UnavailableError
from boshnas.executors.slurm.queue import Queue
from boshnas.executors.slurm.run import ID_FILE, SlurmRun, batches, failure, read_id, whole_result
from boshnas.executors.slurm.script import SCRIPT_FILE, array_script, environment, job_script, name_prefix
from boshnas.executors.slurm.settings import SlurmSettings
from boshnas.executors.slurm.states import COMPLETING, PENDING, RUNNING, UNKNOWN, Entry
from boshnas.job import JOB_FILE, STARTED_FILE, Job, Result, job_folder, read_model
from boshnas.whole_file import write_whole

_LINGER_S = 60.0  # from a result to the end of its job
_NUM_SIGHTINGS = 2  # of a hopeless reason: one may pass
_logger = logging.getLogger(__name__)


class SlurmExecutor(ProcessExecutor[SlurmRun]):
    """Runs each job by sbatch; what ran when an earlier search was killed goes on and is taken over.

    Submissions between two polls go as one array. Every job can be found by its name, `boshnas-RUN-NUMBER-ATTEMPT`
    (in an array the number of the first, to which that of the task is added), even where the search was killed before
    it could write SLURM's id into the job's folder.

    A result counts as soon as it lies there whole, whatever SLURM says of the job; SLURM's word counts where there is
    none `grace_seconds` after the job has ended. A job that SLURM starts again by itself is waited for.

    Orphans, jobs of this run folder that no submission can claim any more, are ended at the first poll and whenever
    one is seen later. A resumed search with fewer slots submits some jobs later, so one is spared whose job folder asks
    for this very attempt and has no result yet.

    Args:
        command: Program and arguments of a worker, `{job}` among them.
        settings: What SLURM is asked for.
        run_folder: Holds the jobs' folders; on a disk that all nodes see under the same path.

    Raises:
        InputError: If SLURM's commands are missing or do not answer, or the settings do not fit the cluster.
    """

    cluster = "slurm"

    def __init__(self, command: Sequence[str], settings: SlurmSettings, run_folder: Path) -> None:
        super().__init__(command, settings.max_in_flight)
        self._settings = settings
        self._run_folder = run_folder.resolve()
        self._prefix = name_prefix(run_folder)
        self._queue = Queue(self._prefix, settings.poll_seconds)
        cluster = commands.check_cluster(settings)
        with commands.answering():
            self._queue.entries = commands.squeue(self._prefix)
        self._has_accounting = not cluster.get("AccountingStorageType", "").endswith("none")
        self._max_array = int(cluster.get("MaxArraySize", "0"))
        self._unsent: list[SlurmRun] = []
        self._is_in_doubt = False  # whether sbatch may have submitted what it has not told
        self._is_put_off = False  # whether it has been told that SLURM takes no job now
        self._reported: dict[str, float] = {}  # jobs whose result is told and which may be in the queue, since when
        self._has_seen_one_run = False
        self._has_sent_one = False

    def close(self) -> None:
        """End all that runs, or leave it to the next search where the settings say so. May be called again."""
        if not self._settings.cancel_on_exit:
            self._running.clear()
        super().close()

    def _find(self, job: Job, folder: Path) -> SlurmRun | None:
        ids = self._queue.of_trial(job.number, job.attempt)
        if not ids:
            return None
        known = read_id(folder)
        slurm_id = known if known in ids else ids[0]
        run = SlurmRun(job=job, folder=folder.resolve())
        self._identify(run, slurm_id)
        return run

    def _end_leftovers(self, folder: Path) -> None:
        """End earlier attempts, and jobs of an earlier search that asked for something else under the same number."""
        try:
            number = read_model(folder / JOB_FILE, Job).number
        except InputError:
            number = None
        ids = {entry.id for entry in self._queue.entries.values() if entry.number == number}
        if (known := read_id(folder)) is not None:
            ids.add(known)
        self._queue.end({id_ for id_ in ids if self._queue.waiting(id_) or id_ in self._reported}, is_awaited=True)
        for name in (ID_FILE, LOG_FILE):
            (folder / name).unlink(missing_ok=True)

    def _start(self, job: Job, folder: Path) -> SlurmRun:
        folder = folder.resolve()
        script = job_script(self._words(folder), folder, self._settings)
        (folder / SCRIPT_FILE).write_text(script, encoding="utf-8")
        run = SlurmRun(job=job, folder=folder)
        self._unsent.append(run)
        return run

    def _refresh(self) -> None:
        is_answered = self._queue.refresh()
        if is_answered:
            self._observe()
        if self._unsent and (is_answered or not self._is_in_doubt):
            self._send()

    def _outcome(self, run: SlurmRun) -> Result | None:
        result = whole_result(run)
        if result is not None:
            self._has_seen_one_run = True
            self._forget(run)
            return result
        if run.entry is None or run.ended is None:
            return None
        if time.monotonic() < run.ended + self._settings.grace_seconds:
            return None
        self._forget(run)
        return failure(run, run.entry)

    def _end(self, runs: Sequence[SlurmRun], is_polite: bool) -> None:
        if self._is_in_doubt and self._queue.ask():
            self._claim(runs)
        self._unsent = [run for run in self._unsent if run not in runs]
        ids = [run.slurm_id for run in runs if run.slurm_id is not None]
        if not self._queue.end(ids, is_awaited=True):
            self._reported.update(dict.fromkeys(ids, float("-inf")))  # tried again later

    def _send(self) -> None:
        """Submit what waits to be, as few arrays; again after SLURM's next answer where it cannot take it now."""
        if self._is_in_doubt:
            self._claim(self._unsent)
        for runs in batches(self._unsent, self._max_array):
            # An interrupt may come when SLURM has the jobs and we do not know.
            self._is_in_doubt = True
            try:
                self._submit_batch(runs)
            except UnavailableError as error:
                self._put_off(error)
                return
            except InputError as error:
                self._is_in_doubt = False
                if not (self._has_sent_one or self._has_seen_one_run):
                    raise
                self._put_off(error)  # the same settings were right before: a maintenance, say
                return
            self._has_sent_one = True
            self._is_in_doubt = self._is_put_off = False
        self._queue.hurry()

    def _put_off(self, error: Exception) -> None:
        if not self._is_put_off:
            _logger.warning("SLURM takes no job now and is asked again until it does: %s", error)
        self._is_put_off = True

    def _submit_batch(self, runs: Sequence[SlurmRun]) -> None:
        """Submit one job, or an array of jobs of one attempt, and note their ids."""
        first = runs[0].job
        words = [f"--job-name={self._prefix}{first.number}-{first.attempt}", "--export=ALL", "--output=/dev/null"]
        if len(runs) == 1:
            script = (runs[0].folder / SCRIPT_FILE).read_text(encoding="utf-8")
            self._identify(runs[0], commands.sbatch([*words, *self._settings.words()], script, environment()))
            return
        folders = {run.job.number - first.number: run.folder for run in runs}
        words.append(f"--array={','.join(map(str, folders))}")
        slurm_id = commands.sbatch([*words, *self._settings.words()], array_script(folders), environment())
        for run, task in zip(runs, folders, strict=True):
            self._identify(run, f"{slurm_id}_{task}")

    def _identify(self, run: SlurmRun, slurm_id: str) -> None:
        run.slurm_id = slurm_id
        self._unsent = [other for other in self._unsent if other is not run]
        with suppress(OSError):  # its name is enough to find it again
            write_whole(run.folder / ID_FILE, slurm_id + "\n")

    def _claim(self, runs: Sequence[SlurmRun]) -> None:
        """Find what sbatch has submitted without having told it."""
        self._is_in_doubt = False
        for run in runs:
            ids = self._queue.of_trial(run.job.number, run.job.attempt)
            if run.slurm_id is None and ids:
                self._identify(run, ids[-1])

    def _observe(self) -> None:
        """Take in a new answer of squeue."""
        gone = {}
        for run in self._running.values():
            if run.slurm_id is None:
                continue
            entry = self._queue.entries.get(run.slurm_id)
            if entry is None:
                gone[run.slurm_id] = run
            else:
                self._update(run, entry)
        told = self._told_by_accounting(gone)
        for slurm_id, run in gone.items():
            state, code = told.get(slurm_id, (UNKNOWN, 0))
            job = run.job
            entry = Entry(
                id=slurm_id, number=job.number, attempt=job.attempt, state=state, reason="None", returncode=code
            )
            self._update(run, entry)
        self._end_reported()
        self._end_orphans()

    def _told_by_accounting(self, gone: Iterable[str]) -> dict[str, tuple[str, int]]:
        if not self._has_accounting or not gone:
            return {}
        try:
            return commands.sacct(gone)
        except UnavailableError as error:
            _logger.debug("sacct: %s", error)
            return {}

    def _update(self, run: SlurmRun, entry: Entry) -> None:
        """Take in what SLURM says of one job."""
        run.entry = entry
        if entry.has_ended or entry.could_not_start:
            run.ended = run.ended or time.monotonic()
            return
        run.ended = None
        with suppress(OSError):
            if entry.state == RUNNING:
                self._has_seen_one_run = True
                (run.folder / STARTED_FILE).touch()
            elif entry.state == PENDING:
                (run.folder / STARTED_FILE).unlink(missing_ok=True)  # SLURM has put it back into the queue
        if entry.is_held and not run.is_warned:
            run.is_warned = True
            _logger.warning("SLURM job %s is held (%s): `scontrol release` lets it run.", entry.id, entry.reason)
        run.num_hopeless = run.num_hopeless + 1 if entry.is_hopeless else 0
        if run.num_hopeless >= _NUM_SIGHTINGS:
            self._refuse(run, entry)

    def _refuse(self, run: SlurmRun, entry: Entry) -> None:
        """Do not wait for what will never run; where jobs of the same settings have run it is the cluster's change."""
        if not self._has_seen_one_run:
            raise InputError(
                f"{commands.OPTION}: job {entry.id} must be one that the cluster can run, got SLURM's reason "
                f"{entry.reason!r}. Correct the executor's config."
            )
        if not run.is_warned:
            run.is_warned = True
            _logger.warning("SLURM job %s waits for what the cluster no longer allows: %s.", entry.id, entry.reason)

    def _forget(self, run: SlurmRun) -> None:
        """Its result is told; the job itself is watched until it is gone."""
        self._unsent = [other for other in self._unsent if other is not run]
        if run.slurm_id is not None:
            self._reported[run.slurm_id] = time.monotonic()
        self._queue.hurry()

    def _end_reported(self) -> None:
        """End jobs that have told their result and do not go, or have been put back into the queue."""
        late = []
        for slurm_id, since in list(self._reported.items()):
            if not self._queue.waiting(slurm_id):
                del self._reported[slurm_id]
            elif self._queue.entries[slurm_id].state == PENDING or time.monotonic() > since + _LINGER_S:
                late.append(slurm_id)
        self._queue.end(late, is_awaited=False)

    def _end_orphans(self) -> None:
        """End what no submission can claim any more."""
        orphans = [entry.id for entry in self._queue.entries.values() if self._is_orphan(entry)]
        if orphans:
            _logger.warning("Jobs that an earlier search has left in SLURM are ended: %s.", ", ".join(orphans))
            self._queue.end(orphans, is_awaited=False)

    def _is_orphan(self, entry: Entry) -> bool:
        if entry.has_ended or entry.state == COMPLETING or entry.id in self._reported:
            return False
        run = self._running.get(entry.number)
        if run is not None:
            return run.slurm_id != entry.id and (run.slurm_id is not None or run.job.attempt != entry.attempt)
        folder = job_folder(self._run_folder, entry.number)
        try:
            job = read_model(folder / JOB_FILE, Job)
            return job.attempt != entry.attempt or written_result(job, folder) is not None
        except OSError:  # a hiccup of the disk
            return False
        except InputError:
            return True
