"""The loop over a real store; see `support/search_fakes.py`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest
from search_fakes import (
    COARSE,
    NUM_COARSE,
    PLAN,
    ROWS,
    FakeClock,
    FakeExecutor,
    FakeSource,
    KilledError,
    Run,
    ended_trial,
    score_of,
    stored,
)

from boshnas.job import CHECKPOINT_FOLDER, PROGRESS_FILE, Progress, job_folder, write_model
from boshnas.loop import INTERRUPTED
from boshnas.plan import split_budget
from boshnas.ranking import best_trial, results_of
from boshnas.searcher import Searcher
from boshnas.source import Candidate
from boshnas.surrogates import GPSurrogate
from boshnas.trial import Decision, Proposal, Status, Trial

# Budget


@pytest.mark.parametrize(
    ("budget", "num_levels", "shares"),
    [(12, 3, [6, 4, 2]), (60, 3, [30, 20, 10]), (3, 3, [1, 1, 1]), (2, 3, [1, 1, 0]), (7, 1, [7]), (6, 2, [4, 2])],
)
def test_split_budget_known_values(budget: int, num_levels: int, shares: list[int]):
    assert split_budget(budget, num_levels) == shares


@pytest.mark.parametrize("num_levels", [1, 2, 3, 4, 7])
def test_split_budget_spends_all_and_favours_coarse_levels(num_levels: int):
    for budget in range(1, 61):
        shares = split_budget(budget, num_levels)
        assert len(shares) == num_levels
        assert sum(shares) == budget
        assert shares == sorted(shares, reverse=True)
        assert min(shares) >= int(budget >= num_levels)
        assert shares[0] >= 1


# Main path


def test_every_level_gets_its_budget_with_its_own_candidates(tmp_path: Path):
    run = Run(tmp_path)
    trials = run.run()
    assert [trial.level for trial in trials] == [1, 1, 1, 1, 2, 2]
    assert [trial.number for trial in trials] == list(range(6))
    assert all((trial.id in COARSE) == (trial.level == 1) for trial in trials)
    assert all(trial.status is Status.FINISHED and trial.score == score_of(trial.id) for trial in trials)
    assert run.stopped is None
    assert stored(tmp_path) == trials


def test_jobs_carry_seed_settings_architecture_memory_and_their_folder(tmp_path: Path):
    run = Run(tmp_path)
    trials = run.run()
    assert [(job.number, job.id) for job in run.executor.jobs] == [(trial.number, trial.id) for trial in trials]
    for job, folder in zip(run.executor.jobs, run.executor.folders, strict=True):
        assert job.architecture == {"name": job.id}
        assert job.settings == {"tasks": ["cola"]}
        assert job.memory_bytes == crc32(job.id.encode())
        assert job.seed == 5
        assert folder == tmp_path / "jobs" / f"{job.number:05d}" == job_folder(tmp_path, job.number)


def test_a_level_opens_with_the_scores_of_coarser_levels_only(tmp_path: Path):
    run = Run(tmp_path, replace(PLAN, level_budgets=(2, 2, 2)))
    trials = run.run()
    by_level = {level: {t.id: t.score for t in trials if t.level < level} for level in (1, 2, 3)}
    assert run.source.opened == [(1, {}), (2, by_level[2]), (3, by_level[3])]
    assert len(by_level[3]) == 4


def test_failed_evaluations_open_no_level(tmp_path: Path):
    all_failing = dict.fromkeys(COARSE, Status.CRASHED)
    run = Run(tmp_path, executor=FakeExecutor(failing=all_failing))
    assert [trial.level for trial in run.run()] == [1, 1, 1, 1, 2, 2]
    assert run.source.opened[-1] == (2, {})


def test_the_view_sees_each_start_and_end_and_the_progress_file(tmp_path: Path):
    progress = Progress(stage="pretrain", step=3, num_steps=9)
    run = Run(tmp_path, replace(PLAN, level_budgets=(2,)), FakeExecutor(delay=lambda number: 1))

    def report() -> None:
        (tmp_path / "jobs" / "00000").mkdir(parents=True, exist_ok=True)
        write_model(tmp_path / "jobs" / "00000" / PROGRESS_FILE, progress)

    run.executor.on_poll = report
    run.run()
    assert run.view.events == [("started", 0), ("ended", 0), ("started", 1), ("ended", 1)]
    assert {0: progress} in run.view.ticks
    assert {1: None} in run.view.ticks


def test_the_surrogate_decides_after_the_initial_ones(tmp_path: Path):
    trials = Run(tmp_path, replace(PLAN, level_budgets=(8,)), surrogate=GPSurrogate()).run()
    assert [trial.proposal.decision for trial in trials[:3]] == [Decision.RANDOM] * 3
    guided = [trial for trial in trials[3:] if trial.proposal.decision is not Decision.RANDOM]
    assert guided
    assert all(trial.proposal.mean is not None for trial in guided)


# Baselines


def test_baselines_run_first_outside_the_budget_and_never_win(tmp_path: Path):
    run = Run(tmp_path, replace(PLAN, baselines=("outside", COARSE[3])))
    trials = run.run()
    assert [(trial.id, trial.level) for trial in trials[:2]] == [("outside", 0), (COARSE[3], 0)]
    assert all(trial.proposal.decision is Decision.BASELINE for trial in trials[:2])
    assert [trial.level for trial in trials[2:]] == [1, 1, 1, 1, 2, 2]
    assert COARSE[3] not in [trial.id for trial in trials[2:]]
    assert trials[0].score == 99.0 == max(trial.score or 0 for trial in trials)
    best = best_trial(trials)
    assert best is not None
    assert best.number >= 2
    assert best.score == max(trial.score or 0 for trial in trials[2:])
    assert best_trial(trials[:2]) is None
    assert results_of(trials)[0].id == "outside"


def test_baselines_are_told_to_the_searcher_where_the_pool_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    told: list[dict[str, float | None]] = []
    tell = Searcher.tell
    monkeypatch.setattr(Searcher, "tell", lambda self, results: (told.append(dict(results)), tell(self, results))[1])
    Run(tmp_path, replace(PLAN, level_budgets=(1,), baselines=("outside", COARSE[3]))).run()
    assert told[0] == {COARSE[3]: score_of(COARSE[3])}
    assert len(told) == 2


def test_baselines_lend_no_weights(tmp_path: Path):
    lenders = {"outside": 0.9, **dict.fromkeys(COARSE, 0.9)}
    run = Run(tmp_path, replace(PLAN, baselines=("outside",)), source=FakeSource(lenders=lenders))
    trials = run.run()
    assert {trial.parent_id for trial in trials} == {None, trials[1].id}
    assert all("outside" not in trained for _, trained in run.source.asked_parents)


# Parents


def test_the_parents_checkpoint_and_overlap_reach_the_job(tmp_path: Path):
    run = Run(tmp_path, source=FakeSource(lenders=dict.fromkeys(COARSE, 0.875)))
    trials = run.run()
    first, *others = run.executor.jobs
    assert first.parent is None
    for job in others:
        assert job.parent is not None
        assert job.parent.id == trials[0].id
        assert job.parent.checkpoint == f"jobs/00000/{CHECKPOINT_FOLDER}"
        assert job.parent.overlap == 0.875
    assert [trial.parent_id for trial in stored(tmp_path)] == [None] + [trials[0].id] * 5


def test_only_finished_evaluations_may_be_parents(tmp_path: Path):
    dry = Run(tmp_path / "dry", replace(PLAN, level_budgets=(4,)))
    first = dry.run()[0].id
    run = Run(tmp_path, executor=FakeExecutor(failing={first: Status.DIVERGED}))
    run.source.lenders = dict.fromkeys(COARSE, 1.0)
    trials = run.run()
    assert trials[0].id == first
    assert trials[1].parent_id is None
    assert trials[2].parent_id == trials[1].id


# Failures and limits


def test_failures_are_recorded_with_their_reason_and_the_loop_goes_on(tmp_path: Path):
    second = Run(tmp_path / "dry").run()[1].id
    run = Run(tmp_path, executor=FakeExecutor(failing={second: Status.OUT_OF_MEMORY}))
    trials = run.run()
    assert len(trials) == 6
    assert [trial.failed for trial in trials] == [False, True, False, False, False, False]
    failed = stored(tmp_path)[1]
    assert (failed.status, failed.error, failed.score) == (Status.OUT_OF_MEMORY, "no\nmore", None)
    assert second not in [trial.id for trial in trials if trial.number != 1]
    assert run.stopped is None


@pytest.mark.parametrize("max_failures", [0, 2])
def test_too_many_failures_stop_the_run_and_say_so(tmp_path: Path, max_failures: int):
    run = Run(tmp_path, replace(PLAN, max_failures=max_failures))
    run.executor.failing = dict.fromkeys(ROWS, Status.CRASHED)
    assert len(run.run()) == max_failures + 1
    failed = "1 evaluation" if max_failures == 0 else f"{max_failures + 1} evaluations"
    assert run.stopped == f"{failed} failed, more than --max-failures {max_failures}"


def test_failures_count_in_the_budget_and_stop_nothing_once_it_is_used_up(tmp_path: Path):
    failing = dict.fromkeys(ROWS, Status.DIVERGED)
    run = Run(tmp_path, replace(PLAN, level_budgets=(3,), max_failures=2), FakeExecutor(failing=failing))
    assert [trial.status for trial in run.run()] == [Status.DIVERGED] * 3
    assert run.stopped is None


def test_too_many_failures_let_what_runs_finish(tmp_path: Path):
    plan = replace(PLAN, synchronous=False, level_budgets=(6,), max_failures=0)
    first = Run(tmp_path / "dry", plan).run()[0].id
    executor = FakeExecutor(3, delay=lambda number: 5 * number, failing={first: Status.CRASHED})
    trials = Run(tmp_path, plan, executor).run()
    assert [trial.status for trial in trials] == [Status.CRASHED, Status.FINISHED, Status.FINISHED]


def test_nothing_starts_after_the_deadline_and_what_runs_is_kept(tmp_path: Path):
    clock = FakeClock()

    def pass_time() -> None:
        clock.now += 1

    executor = FakeExecutor(2, delay=lambda number: 2, on_poll=pass_time)
    run = Run(tmp_path, replace(PLAN, synchronous=False, deadline=104.5, level_budgets=(20,)), executor, clock=clock)
    trials = run.run()
    assert len(trials) == 4
    assert all(trial.status is Status.FINISHED for trial in trials)
    assert run.stopped == "--max-hours is over"


def test_a_deadline_in_the_past_starts_nothing(tmp_path: Path):
    run = Run(tmp_path, replace(PLAN, deadline=99.0, baselines=("outside",)))
    assert run.run() == []
    assert run.stopped == "--max-hours is over"
    assert run.executor.jobs == []


@pytest.mark.parametrize("synchronous", [False, True])
def test_once_asked_to_stop_it_finishes_what_runs_and_goes_on_when_resumed(tmp_path: Path, synchronous: bool):
    whole = Run(tmp_path / "whole", replace(PLAN, synchronous=True), FakeExecutor(num_slots=2)).run()
    run = Run(tmp_path / "run", replace(PLAN, synchronous=synchronous), FakeExecutor(num_slots=2))
    run.executor.delay = lambda number: 2 + number
    seen: list[int] = []

    def ask() -> None:
        seen.append(run.interruption.num_running)
        run.interruption.asked = run.executor.num_polls >= 3

    run.executor.on_poll = ask
    trials = run.run()
    assert run.stopped == INTERRUPTED
    assert [trial.status for trial in trials] == [Status.FINISHED] * len(trials)
    assert 0 < len(trials) < len(whole)
    assert run.view.events.count(("stops", 2)) == 1
    assert max(seen) == 2
    assert run.interruption.num_running == 0
    rest = Run(tmp_path / "run", replace(PLAN, synchronous=synchronous), FakeExecutor(num_slots=2))
    resumed = rest.run()
    assert [trial.status for trial in resumed] == [Status.FINISHED] * len(whole)
    assert len({trial.id for trial in resumed}) == len(whole)
    if synchronous:
        assert [trial.id for trial in resumed] == [trial.id for trial in whole]


def test_ended_at_once_it_says_which_evaluations_it_ends(tmp_path: Path):
    executor = FakeExecutor(num_slots=2, delay=lambda number: 9 * number)
    run = Run(tmp_path, replace(PLAN, synchronous=False), executor)

    def interrupt() -> None:
        if executor.num_polls == 4:
            raise KeyboardInterrupt

    executor.on_poll = interrupt
    with pytest.raises(KeyboardInterrupt):
        run.run()
    running = [trial.number for trial in stored(tmp_path) if trial.status is Status.RUNNING]
    assert len(running) == 2
    assert run.view.events[-2:] == [("ended at once", number) for number in running]


def test_ended_before_anything_runs_it_ends_nothing(tmp_path: Path):
    executor = FakeExecutor()

    def interrupt() -> None:
        raise KeyboardInterrupt

    run = Run(tmp_path, executor=executor)
    executor.on_poll = interrupt
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run.view.events == []


def test_asked_while_it_seeks_a_proposal_it_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = Run(
        tmp_path, executor=FakeExecutor(num_slots=2, delay=lambda number: 3), plan=replace(PLAN, synchronous=False)
    )
    describe = run.source.describe

    def ask(id_: str) -> Candidate:
        run.interruption.asked = len(run.executor.jobs) == 2
        return describe(id_)

    monkeypatch.setattr(run.source, "describe", ask)
    run.executor.delay = lambda number: number  # the first ends, the second runs while another is sought
    trials = run.run()
    assert run.stopped == INTERRUPTED
    assert len(trials) == len(run.executor.jobs) == 2


def test_asked_to_stop_it_tries_no_failed_one_again_but_after_a_resume(tmp_path: Path):
    executor = FakeExecutor(failing={id_: Status.KILLED for id_ in COARSE})
    run = Run(tmp_path, executor=executor)
    executor.on_poll = lambda: setattr(run.interruption, "asked", bool(executor.jobs))
    (trial,) = run.run()
    assert (trial.status, len(trial.attempts), len(executor.jobs)) == (Status.RUNNING, 1, 1)
    assert len(Run(tmp_path).run()) == 6


@pytest.mark.parametrize("synchronous", [True, False])
def test_a_pool_used_up_ends_the_run(tmp_path: Path, synchronous: bool):
    plan = replace(PLAN, level_budgets=(NUM_COARSE + 1, 10), synchronous=synchronous)
    run = Run(tmp_path, plan, FakeExecutor(4), FakeSource(num_refined=3))
    trials = run.run()
    assert sorted(trial.id for trial in trials if trial.level == 1) == sorted(COARSE)
    assert sum(trial.level == 2 for trial in trials) == 3
    assert run.stopped is None


def test_a_level_used_up_is_not_opened_again(tmp_path: Path):
    run = Run(tmp_path, replace(PLAN, level_budgets=(NUM_COARSE + 3, 1)))
    assert len(run.run()) == NUM_COARSE + 4
    assert [level for level, _ in run.source.opened] == [1, 2]


# Several at a time


@pytest.mark.parametrize("newest_first", [False, True])
def test_asynchronous_runs_lose_nothing_and_repeat_nothing(
    tmp_path: Path, newest_first: bool, monkeypatch: pytest.MonkeyPatch
):
    told: list[str] = []
    tell = Searcher.tell
    monkeypatch.setattr(Searcher, "tell", lambda self, results: (told.extend(results), tell(self, results))[1])
    asked: list[tuple[list[str], list[str]]] = []
    propose = Searcher.propose

    def watched(self: Searcher, k: int, pending: Sequence[str] = ()) -> list[Proposal]:
        found = propose(self, k, pending)
        asked.append(([proposal.id for proposal in found], list(pending)))
        return found

    monkeypatch.setattr(Searcher, "propose", watched)
    executor = FakeExecutor(3, delay=lambda number: (7 * number) % 5, newest_first=newest_first)
    plan = replace(PLAN, level_budgets=(9, 4), synchronous=False)
    trials = Run(tmp_path, plan, executor, surrogate=GPSurrogate(max_steps=10)).run()
    ids = [trial.id for trial in trials]
    assert len(ids) == len(set(ids)) == 13
    assert sorted(told) == sorted(ids)
    assert sorted(job.number for job in executor.jobs) == list(range(13))
    assert all(not set(found) & set(pending) for found, pending in asked)
    assert any(pending for _, pending in asked)
    assert all(trial.status is Status.FINISHED for trial in trials)


def test_a_free_slot_is_filled_at_once_only_without_synchronous(tmp_path: Path):
    def most_ahead(folder: Path, synchronous: bool) -> int:
        executor = FakeExecutor(2, delay=lambda number: 20 if number == 0 else 0)
        run = Run(folder, replace(PLAN, level_budgets=(6,), synchronous=synchronous), executor)
        run.run()
        return run.view.events.index(("ended", 0))

    assert most_ahead(tmp_path / "synchronous", True) == 3  # two started, the other one ended
    assert most_ahead(tmp_path / "asynchronous", False) == 11  # all the others started and ended


def test_a_synchronous_batch_stays_within_one_level(tmp_path: Path):
    run = Run(tmp_path, replace(PLAN, level_budgets=(4, 2)), FakeExecutor(3))
    trials = run.run()
    coarse = {trial.id: trial.score for trial in trials if trial.level == 1}
    assert run.source.opened == [(1, {}), (2, coarse)]


# Interruption


def interrupted_then_resumed(first: Run) -> list[Trial]:
    with pytest.raises(KilledError):
        first.run()
    executor = FakeExecutor(first.executor.num_slots, delay=first.executor.delay)
    return Run(first.folder, first.plan, executor, FakeSource(lenders=LENDERS), first.surrogate).run()


RUNS = [(1, "random"), (2, "random"), (3, "gp")]
LENDERS = dict.fromkeys(COARSE[::3], 0.9)


def delay(number: int) -> int:
    return number % 2


def a_run(folder: Path, num_slots: int, mode: str, **stops: int) -> Run:
    return Run(
        folder,
        replace(PLAN, level_budgets=(4, 2), baselines=("outside",)),
        FakeExecutor(num_slots, delay=delay, **stops),
        FakeSource(lenders=LENDERS),
        GPSurrogate(max_steps=3) if mode == "gp" else None,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, str], tuple[list[Trial], int]]:
    """Uninterrupted runs, with how many polls they took."""
    runs = {}
    for num_slots, mode in RUNS:
        run = a_run(tmp_path_factory.mktemp("whole"), num_slots, mode)
        runs[num_slots, mode] = (run.run(), run.executor.num_polls)
    return runs


@pytest.mark.parametrize(("num_slots", "mode"), RUNS)
def test_a_synchronous_run_interrupted_at_any_poll_ends_the_same(
    tmp_path: Path, whole: dict[tuple[int, str], tuple[list[Trial], int]], num_slots: int, mode: str
):
    expected, num_polls = whole[num_slots, mode]
    assert len(expected) == 7
    for stop in range(num_polls):
        folder = tmp_path / f"poll{stop}"
        first = a_run(folder, num_slots, mode, stop_at_poll=stop)
        assert interrupted_then_resumed(first) == expected, f"interrupted at poll {stop} of {num_polls}"


@pytest.mark.parametrize(("num_slots", "mode"), RUNS)
def test_a_synchronous_run_interrupted_in_the_middle_of_a_batch_ends_the_same(
    tmp_path: Path, whole: dict[tuple[int, str], tuple[list[Trial], int]], num_slots: int, mode: str
):
    expected, _ = whole[num_slots, mode]
    for stop in range(len(expected)):
        folder = tmp_path / f"submit{stop}"
        first = a_run(folder, num_slots, mode, stop_at_submit=stop)
        assert interrupted_then_resumed(first) == expected, f"interrupted at the start of trial {stop}"


def test_resuming_a_finished_run_does_nothing(tmp_path: Path):
    trials = Run(tmp_path).run()
    again = Run(tmp_path)
    assert again.run() == trials
    assert again.executor.jobs == []
    assert again.view.events == []


def test_a_resumed_run_may_have_a_greater_budget(tmp_path: Path):
    trials = Run(tmp_path).run()
    again = Run(tmp_path, replace(PLAN, level_budgets=(4, 5)))
    more = again.run()
    assert more[:6] == trials
    assert len({trial.id for trial in more}) == 9


def test_what_was_running_is_started_again_with_its_parent(tmp_path: Path):
    first = Run(tmp_path, executor=FakeExecutor(stop_at_poll=3), source=FakeSource(lenders=dict.fromkeys(COARSE, 0.9)))
    with pytest.raises(KilledError):
        first.run()
    running = [trial for trial in stored(tmp_path) if trial.status is Status.RUNNING]
    assert [trial.number for trial in running] == [2]
    again = Run(tmp_path, source=FakeSource(lenders=dict.fromkeys(COARSE, 0.9)))
    trials = again.run()
    assert again.executor.jobs[0] == first.executor.jobs[-1]
    assert again.executor.jobs[0].parent is not None
    assert len({trial.id for trial in trials}) == 6


@pytest.mark.parametrize("num_slots", [1, 3])
def test_an_asynchronous_run_interrupted_at_any_poll_loses_and_repeats_nothing(tmp_path: Path, num_slots: int):
    plan = replace(PLAN, baselines=("outside",), synchronous=False)
    for stop in range(0, 6, 2):
        folder = tmp_path / str(stop)
        first = Run(folder, plan, FakeExecutor(num_slots, delay=delay, stop_at_poll=stop))
        with pytest.raises(KilledError):
            first.run()
        before = stored(folder)
        again = Run(folder, plan, FakeExecutor(num_slots, delay=delay))
        trials = again.run()
        assert len(trials) == len({trial.id for trial in trials}) == 7
        assert all(trial.status is Status.FINISHED for trial in trials)
        kept = {trial.number: trial for trial in before if trial.status is Status.FINISHED}
        assert all(trials[number] == trial for number, trial in kept.items())
        assert not kept.keys() & {job.number for job in again.executor.jobs}


def test_a_run_may_be_resumed_with_fewer_slots(tmp_path: Path):
    plan = replace(PLAN, synchronous=False)
    with pytest.raises(KilledError):
        Run(tmp_path, plan, FakeExecutor(3, stop_at_poll=1)).run()
    assert sum(trial.status is Status.RUNNING for trial in stored(tmp_path)) == 3
    trials = Run(tmp_path, plan, FakeExecutor(1)).run()
    assert len({trial.id for trial in trials}) == 6
    assert all(trial.status is Status.FINISHED for trial in trials)


# Ranking


def test_the_best_is_the_earliest_of_the_greatest():
    trials = [
        ended_trial(0, None),
        ended_trial(1, 1.0),
        ended_trial(2, 5.0),
        ended_trial(3, 5.0),
        ended_trial(4, 9.0, Decision.BASELINE),
    ]
    assert best_trial(trials) == trials[2]
    assert best_trial(list(reversed(trials))) == trials[2]
    assert [trial.number for trial in results_of(trials)] == [4, 2, 3, 1]
    assert best_trial([trials[0]]) is None
    assert best_trial([]) is None


def test_a_negative_best_is_found():
    trials = [ended_trial(0, -3.0), ended_trial(1, -1.0), ended_trial(2, 0.0, Decision.BASELINE)]
    assert best_trial(trials) == trials[1]
    assert [trial.number for trial in results_of(trials)] == [2, 1, 0]
