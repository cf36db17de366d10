"""What the loop does when evaluations fail, hang, or find no room."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from search_fakes import COARSE, PLAN, FakeClock, FakeExecutor, FakeSource, KilledError, Run, stored

from boshnas.disk import checkpoint_folder
from boshnas.job import RESULT_FILE, SAVED_FILE, STARTED_FILE, Job, Result, Saved, job_folder, write_model
from boshnas.loop import ROOM_SECONDS
from boshnas.trial import Attempt, Status, Trial


@dataclass
class FaultyExecutor(FakeExecutor):
    """Ends the attempts of some trials as told, in order; later ones finish."""

    faults: Mapping[int, list[Status]] = field(default_factory=dict)
    saves: bool = False
    cancelled: list[int] = field(default_factory=list)

    def submit(self, job: Job, folder: Path) -> int:
        super().submit(job, folder)
        if self.saves:
            write_model(folder / SAVED_FILE, Saved(stage="pretrain", step=job.attempt))
        return job.number

    def cancel(self, handle: int) -> None:
        self.cancelled.append(handle)
        super().cancel(handle)

    def _result(self, job: Job) -> Result:
        faults = self.faults.get(job.number, [])
        if job.attempt > len(faults):
            return super()._result(job)
        return Result(number=job.number, id=job.id, status=faults[job.attempt - 1], error=f"attempt {job.attempt}\nlog")


def statuses(trials: list[Trial]) -> list[Status]:
    return [trial.status for trial in trials]


def test_a_crash_is_tried_again_once_and_both_attempts_are_kept(tmp_path: Path):
    run = Run(tmp_path, executor=FaultyExecutor(faults={1: [Status.CRASHED], 2: [Status.CRASHED, Status.CRASHED]}))
    trials = run.run()
    assert [job.number for job in run.executor.jobs] == [0, 1, 1, 2, 2, 3, 4, 5]
    assert statuses(trials)[:4] == [Status.FINISHED, Status.FINISHED, Status.CRASHED, Status.FINISHED]
    assert trials[1].attempts == trials[2].attempts == (Attempt(status=Status.CRASHED, error="attempt 1\nlog"),)
    assert trials[2].error == "attempt 2\nlog"
    assert run.view.events[2:6] == [("started", 1), ("retried", 1), ("started", 1), ("ended", 1)]
    assert stored(tmp_path) == trials


def test_out_of_memory_halves_the_batch_each_time(tmp_path: Path):
    run = Run(tmp_path, executor=FaultyExecutor(faults={0: [Status.OUT_OF_MEMORY] * 2}))
    run.run()
    assert [(job.attempt, job.batch_split) for job in run.executor.jobs[:4]] == [(1, 1), (2, 2), (3, 4), (1, 1)]


@pytest.mark.parametrize("status", [Status.BAD_INPUT, Status.DIVERGED, Status.CANCELLED])
def test_what_would_fail_again_is_not_tried_again(tmp_path: Path, status: Status):
    run = Run(tmp_path, executor=FaultyExecutor(faults={0: [status]}))
    assert run.run()[0].status is status
    assert [job.number for job in run.executor.jobs] == [0, 1, 2, 3, 4, 5]


def test_a_time_limit_cuts_an_evaluation_into_parts_as_long_as_each_saves_something(tmp_path: Path):
    run = Run(tmp_path / "saves", executor=FaultyExecutor(faults={0: [Status.TIMED_OUT] * 5}, saves=True))
    assert run.run()[0].status is Status.FINISHED
    run = Run(tmp_path / "not", executor=FaultyExecutor(faults={0: [Status.TIMED_OUT]}))
    assert run.run()[0].status is Status.TIMED_OUT


def test_attempts_are_counted_over_an_interruption(tmp_path: Path):
    faults = {0: [Status.CRASHED, Status.CRASHED]}
    with pytest.raises(KilledError):
        Run(tmp_path, executor=FaultyExecutor(faults=faults, stop_at_poll=2)).run()
    assert len(stored(tmp_path)[0].attempts) == 1
    run = Run(tmp_path, executor=FaultyExecutor(faults=faults))
    trials = run.run()
    assert [(job.number, job.attempt) for job in run.executor.jobs[:2]] == [(0, 2), (1, 1)]
    assert trials[0].status is Status.CRASHED


def test_a_synchronous_run_with_faults_ends_as_one_without(tmp_path: Path):
    faults = {1: [Status.KILLED] * 3, 4: [Status.PREEMPTED] * 7}
    whole = Run(tmp_path / "whole", executor=FakeExecutor(2)).run()
    faulty = Run(tmp_path / "faulty", executor=FaultyExecutor(2, faults=faults)).run()
    assert [replace(trial, attempts=()) for trial in faulty] == whole


# Stragglers


def run_with_straggler(folder: Path, clock: FakeClock, is_started: bool = True) -> Run:
    def pass_time() -> None:
        clock.now += 10.0
        if not is_started:
            (job_folder(folder, 5) / STARTED_FILE).unlink(missing_ok=True)

    executor = FaultyExecutor(delay=lambda number: 100 if number == 5 else 1, on_poll=pass_time, saves=True)
    return Run(folder, replace(PLAN, straggler_factor=4.0), executor, clock=clock)


def test_a_straggler_is_ended_for_good(tmp_path: Path):
    run = run_with_straggler(tmp_path, FakeClock())
    trials = run.run()
    assert statuses(trials) == [*[Status.FINISHED] * 5, Status.TIMED_OUT]
    assert "the evaluation took more than 300 seconds, 4 times the median" in (trials[5].error or "")
    assert run.executor.cancelled == [5]
    assert run.executor.num_polls < 50
    assert trials[5].attempts == ()


def test_waiting_in_a_queue_is_not_straggling(tmp_path: Path):
    trials = run_with_straggler(tmp_path, FakeClock(), is_started=False).run()
    assert statuses(trials) == [Status.FINISHED] * 6


# Disk


def test_a_full_disk_pauses_the_search_and_it_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    free = [0]
    monkeypatch.setattr("boshnas.disk.shutil.disk_usage", lambda folder: SimpleNamespace(free=free[0]))
    clock = FakeClock()
    jobs_before: list[int] = []

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if clock.now > 200.0 and not free[0]:
            free[0] = 10**9
            jobs_before.append(len(run.executor.jobs))

    clock.sleep = sleep  # type: ignore[method-assign]
    run = Run(tmp_path, replace(PLAN, min_free_bytes=10**9), clock=clock)
    assert statuses(run.run()) == [Status.FINISHED] * 6
    assert jobs_before == [0]
    assert run.view.waiting == [f"{tmp_path} has 0.00 GB free, 1.00 GB are to stay free", None]


@dataclass
class FullDiskExecutor(FakeExecutor):
    """The first submission finds no room for its files."""

    num_refused: int = 1

    def submit(self, job: Job, folder: Path) -> int:
        if self.num_refused:
            self.num_refused -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().submit(job, folder)


@pytest.mark.parametrize(
    "executor", [FullDiskExecutor(), FaultyExecutor(faults={0: [Status.DISK_FULL]})], ids=["submit", "worker"]
)
def test_an_evaluation_without_room_is_tried_again_after_a_while(tmp_path: Path, executor: FakeExecutor):
    clock = FakeClock()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        clock.now += seconds
        slept.append(seconds)

    clock.sleep = sleep  # type: ignore[method-assign]
    run = Run(tmp_path, executor=executor, clock=clock)
    assert statuses(run.run()) == [Status.FINISHED] * 6
    assert ROOM_SECONDS <= sum(slept) < 2 * ROOM_SECONDS
    assert len(run.view.waiting) == 2
    assert run.view.waiting[1] is None


def test_a_full_disk_does_not_hold_a_search_that_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Run(tmp_path).run()
    monkeypatch.setattr("boshnas.disk.shutil.disk_usage", lambda folder: SimpleNamespace(free=0))
    assert len(Run(tmp_path, replace(PLAN, min_free_bytes=10)).run()) == 6


def test_a_budget_of_the_disk_keeps_the_best_and_takes_no_weights_from_the_deleted(tmp_path: Path):
    def fill(job: Job, folder: Path) -> None:
        (folder / "pretrained" / "weights").write_bytes(bytes(100))

    executor = FakeExecutor()
    submit = executor.submit
    executor.submit = lambda job, folder: (submit(job, folder), fill(job, folder))[0]  # type: ignore[method-assign]
    source = FakeSource(lenders=dict.fromkeys(COARSE, 0.9))
    plan = replace(PLAN, level_budgets=(6,), max_checkpoint_bytes=250, num_kept=1)
    trials = Run(tmp_path, plan, executor, source).run()
    kept = [trial.number for trial in trials if checkpoint_folder(tmp_path, trial.number).is_dir()]
    best = sorted(trials, key=lambda trial: -(trial.score or 0.0))
    assert best[0].number in kept
    assert len(kept) == 2
    gone = {trial.id for trial in trials if trial.number not in kept}
    assert gone
    assert all(parent not in gone for _, trained in source.asked_parents[-1:] for parent in trained)


def test_a_parent_whose_checkpoint_is_gone_lends_nothing(tmp_path: Path):
    executor = FakeExecutor()
    submit = executor.submit

    def without_checkpoint(job: Job, folder: Path) -> int:
        number = submit(job, folder)
        (folder / "pretrained").rmdir()
        return number

    executor.submit = without_checkpoint  # type: ignore[method-assign]
    trials = Run(tmp_path, executor=executor, source=FakeSource(lenders=dict.fromkeys(COARSE, 0.9))).run()
    assert all(trial.parent_id is None for trial in trials)
    assert all(job.parent is None for job in executor.jobs)


def test_a_deleted_job_folder_does_not_stop_the_search(tmp_path: Path):
    clock = FakeClock()

    def delete() -> None:
        folder = job_folder(tmp_path, 1)
        if folder.exists():
            (folder / STARTED_FILE).unlink(missing_ok=True)
            (folder / "pretrained").rmdir()
            folder.rmdir()

    executor = FakeExecutor(delay=lambda number: 2, on_poll=delete)
    assert statuses(Run(tmp_path, executor=executor, clock=clock).run()) == [Status.FINISHED] * 6


# Found by a reader of the code


def test_a_job_that_the_cluster_puts_back_begins_its_time_anew(tmp_path: Path):
    clock = FakeClock()
    started = job_folder(tmp_path, 5) / STARTED_FILE

    def pass_time() -> None:
        clock.now += 10.0
        if started.parent.exists():
            if 200.0 < clock.now < 900.0:
                started.unlink(missing_ok=True)  # preempted: it waits in the queue again
            else:
                started.touch()

    executor = FaultyExecutor(delay=lambda number: 100 if number == 5 else 1, on_poll=pass_time)
    trials = Run(tmp_path, replace(PLAN, straggler_factor=4.0), executor, clock=clock).run()
    assert trials[5].status is Status.TIMED_OUT
    assert clock.now > 900.0 + 300.0


def test_a_straggler_that_has_told_its_result_has_it(tmp_path: Path):
    clock = FakeClock()

    def pass_time() -> None:
        clock.now += 10.0
        folder = job_folder(tmp_path, 5)
        if folder.exists():
            job = next(job for job in executor.jobs if job.number == 5)
            write_model(folder / RESULT_FILE, Result(number=5, id=job.id, status=Status.FINISHED, score=7.0))

    executor = FaultyExecutor(delay=lambda number: 1000 if number == 5 else 1, on_poll=pass_time)
    trials = Run(tmp_path, replace(PLAN, straggler_factor=4.0), executor, clock=clock).run()
    assert (trials[5].status, trials[5].score) == (Status.FINISHED, 7.0)
    assert executor.cancelled == [5]


def test_an_evaluation_that_ran_on_in_a_cluster_teaches_no_time_and_may_be_cut_again(tmp_path: Path):
    """Its begin was not seen, nor what it began with."""
    with pytest.raises(KilledError):
        Run(tmp_path, executor=FakeExecutor(delay=lambda number: 5, stop_at_poll=2)).run()
    write_model(job_folder(tmp_path, 0) / SAVED_FILE, Saved(stage="pretrain", step=7))

    class Adopting(FaultyExecutor):
        def submit(self, job: Job, folder: Path) -> int:
            if job.attempt == 1 and job.number == 0:  # it runs: nothing is started
                self.jobs.append(job)
                self._running[job.number] = (job, 1)
                return job.number
            return super().submit(job, folder)

    trials = Run(tmp_path, executor=Adopting(faults={0: [Status.TIMED_OUT]})).run()
    assert [attempt.status for attempt in trials[0].attempts] == [Status.TIMED_OUT]
    assert trials[0].status is Status.FINISHED


def test_a_lenders_checkpoint_that_goes_while_its_child_runs_ends_nothing(tmp_path: Path):
    def delete(job: Job) -> None:
        if job.parent is not None:
            for path in (tmp_path / job.parent.checkpoint).glob("*"):
                path.unlink()
            (tmp_path / job.parent.checkpoint).rmdir()

    executor = FakeExecutor()
    submit = executor.submit
    executor.submit = lambda job, folder: (submit(job, folder), delete(job))[0]  # type: ignore[method-assign]
    plan = replace(PLAN, max_checkpoint_bytes=10**9, synchronous=False)
    trials = Run(tmp_path, plan, executor, FakeSource(lenders=dict.fromkeys(COARSE, 0.9))).run()
    assert statuses(trials) == [Status.FINISHED] * 6


def test_the_parent_of_an_evaluation_that_waits_for_another_attempt_stays(tmp_path: Path):
    executor = FaultyExecutor(2, faults={1: [Status.CRASHED], 3: [Status.CRASHED]})
    submit = executor.submit

    def fill(job: Job, folder: Path) -> int:
        number = submit(job, folder)
        (folder / "pretrained" / "weights").write_bytes(bytes(100))
        return number

    executor.submit = fill  # type: ignore[method-assign]
    plan = replace(PLAN, level_budgets=(6,), max_checkpoint_bytes=0, num_kept=1, synchronous=False)
    trials = Run(tmp_path, plan, executor, FakeSource(lenders=dict.fromkeys(COARSE, 0.9))).run()
    with_parent = {trial.number for trial in trials if trial.parent_id is not None}
    assert with_parent
    assert all((job.parent is not None) == (job.number in with_parent) for job in executor.jobs)


def test_the_order_of_arrival_does_not_choose_the_lender(tmp_path: Path):
    asked = []
    for newest_first in (False, True):
        source = FakeSource(lenders=dict.fromkeys(COARSE, 0.9))
        Run(tmp_path / str(newest_first), executor=FakeExecutor(2, newest_first=newest_first), source=source).run()
        asked.append(source.asked_parents)
    assert asked[0] == asked[1]
