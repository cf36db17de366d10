"""Points of the executors' contract that hold without processes, and the draws of faults."""

from pathlib import Path

import pytest

from boshnas.errors import InputError
from boshnas.job import STARTED_FILE, Job
from boshnas.simulate.account import Span
from boshnas.simulate.clock import VirtualClock
from boshnas.simulate.executor import STAGE, Known, SimulatedExecutor
from boshnas.simulate.faults import Faults
from boshnas.trial import Status

KNOWN = {"a": Known(seconds=100.0, score=1.5), "b": Known(seconds=40.0, score=-2.0)}


def job(number: int, id_: str = "a", attempt: int = 1) -> Job:
    return Job(number=number, id=id_, attempt=attempt, architecture={}, seed=0, settings={})


def executor(num_slots: int = 2, faults: Faults | None = None) -> tuple[VirtualClock, SimulatedExecutor]:
    clock = VirtualClock()
    return clock, SimulatedExecutor(clock, KNOWN, num_slots=num_slots, faults=faults)


def test_results_come_when_their_time_has_passed_once_and_by_their_ends(tmp_path: Path):
    clock, machines = executor()
    machines.submit(job(0, "a"), tmp_path / "0")
    machines.submit(job(1, "b"), tmp_path / "1")
    assert (tmp_path / "0" / STARTED_FILE).exists()
    assert machines.poll() == []
    clock.sleep(0.1)
    (first,) = machines.poll()
    assert (first.number, first.id, first.status, first.score) == (1, "b", Status.FINISHED, -2.0)
    assert first.stage_seconds == {STAGE: 40.0}
    clock.spend(1000.0)
    assert [result.score for result in machines.poll()] == [1.5]
    assert machines.poll() == []
    assert machines.spans == [
        Span(number=1, attempt=1, start=0.0, end=40.0, status=Status.FINISHED),
        Span(number=0, attempt=1, start=0.0, end=100.0, status=Status.FINISHED),  # not when it was looked at
    ]


def test_an_evaluation_may_take_longer_than_any_that_is_measured(tmp_path: Path):
    clock = VirtualClock()
    machines = SimulatedExecutor(clock, {"a": Known(seconds=1e12, score=1.0)}, num_slots=1, faults=None)
    machines.submit(job(0), tmp_path / "0")
    clock.spend(1e12)
    assert [result.score for result in machines.poll()] == [1.0]
    assert machines.spans[0].end == 1e12


def test_a_cancelled_job_frees_its_slot_and_is_not_returned(tmp_path: Path):
    clock, machines = executor(num_slots=1)
    handle = machines.submit(job(0), tmp_path / "0")
    clock.spend(25.0)
    machines.cancel(handle)
    machines.cancel(handle)
    assert machines.spans == [Span(number=0, attempt=1, start=0.0, end=25.0, status=Status.CANCELLED)]
    machines.submit(job(1), tmp_path / "1")
    clock.spend(1000.0)
    assert [result.number for result in machines.poll()] == [1]


def test_misuse_is_the_callers_bug(tmp_path: Path):
    _, machines = executor(num_slots=1)
    machines.submit(job(0), tmp_path / "0")
    with pytest.raises(RuntimeError, match="job 0 is already running"):
        machines.submit(job(0), tmp_path / "0")
    with pytest.raises(RuntimeError, match="all 1 slots are taken"):
        machines.submit(job(1), tmp_path / "1")
    with machines:
        pass
    assert len(machines.spans) == 1
    with pytest.raises(RuntimeError, match="is closed"):
        machines.submit(job(1), tmp_path / "1")


def test_a_machine_without_slots_is_refused():
    with pytest.raises(InputError, match="--workers: must be at least 1, got 0"):
        executor(num_slots=0)


def test_the_next_attempt_goes_on_from_the_last_checkpoint(tmp_path: Path):
    faults = Faults(crash_rate=1.0, checkpoint_minutes=0.1)
    clock, machines = executor(faults=faults)
    machines.submit(job(0), tmp_path / "0")
    clock.sleep(0.1)
    (crashed,) = machines.poll()
    assert crashed.status is Status.CRASHED
    assert crashed.score is None
    done = clock.monotonic()
    after, status = faults.first(100.0 - done // 6 * 6, (0, 0, 2))
    machines.submit(job(0, attempt=2), tmp_path / "0")
    clock.sleep(0.1)
    assert status is Status.CRASHED
    assert clock.monotonic() == pytest.approx(done + after)


# Faults

KEYS = [(seed, row, attempt) for seed in range(10) for row in range(10) for attempt in (1, 2)]


def test_without_faults_an_attempt_takes_its_time():
    assert {Faults().first(77.0, key) for key in KEYS} == {(77.0, Status.FINISHED)}


@pytest.mark.parametrize(
    ("faults", "status"),
    [(Faults(crash_rate=0.3), Status.CRASHED), (Faults(oom_rate=0.3), Status.OUT_OF_MEMORY)],
)
def test_a_rate_is_the_share_of_attempts_that_fail_somewhere_within(faults: Faults, status: Status):
    ends = [faults.first(60.0, key) for key in KEYS]
    failed = [after for after, how in ends if how is status]
    assert 0.2 < len(failed) / len(ends) < 0.4
    assert 0 < min(failed) < 20 < 40 < max(failed) < 60
    assert {end for end in ends if end[1] is not status} == {(60.0, Status.FINISHED)}


def test_a_hung_attempt_holds_its_slot_until_the_time_limit():
    faults = Faults(hang_rate=1.0, hang_hours=2.0)
    assert faults.first(60.0, (0, 0, 1)) == (7200.0, Status.TIMED_OUT)


def test_preemptions_come_at_their_rate_an_hour():
    gaps = [Faults(preempt_rate=0.5).first(1e9, key)[0] for key in KEYS]
    assert 2 * 3600 * 0.8 < sum(gaps) / len(gaps) < 2 * 3600 * 1.2


def test_draws_of_one_cause_do_not_depend_on_the_rate_of_another():
    alone = [Faults(preempt_rate=1.0).first(1e5, key) for key in KEYS]
    both = [Faults(preempt_rate=1.0, crash_rate=0.2).first(1e5, key) for key in KEYS]
    changed = [after for (after, _), (before, _) in zip(both, alone, strict=True) if after != before]
    assert 0 < len(changed) < len(KEYS) / 4
    assert all(after <= before for (after, _), (before, _) in zip(both, alone, strict=True))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"crash_rate": 1.5}, "--crash-rate: must be in [0, 1], got 1.5"),
        ({"oom_rate": -0.1}, "--oom-rate: must be in [0, 1], got -0.1"),
        ({"hang_rate": float("nan")}, "--hang-rate: must be in [0, 1], got nan"),
        ({"preempt_rate": 2.0}, "--preempt-rate: must be in [0, 1], got 2"),
        ({"hang_hours": 0.0}, "--hang-hours: must be above 0, got 0"),
        ({"checkpoint_minutes": float("inf")}, "--checkpoint-minutes: must be above 0, got inf"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, float], expected: str):
    with pytest.raises(InputError) as error:
        Faults(**values)
    assert str(error.value).startswith(expected)
