"""Schedules reckoned by hand, run by the real loop; see `support/simulate_fakes.py`."""

import pytest
from simulate_fakes import campaign

from boshnas.loop import OUT_OF_TIME
from boshnas.simulate.faults import Faults
from boshnas.trial import Status

SPREAD = [0.3, 2.0, 0.7, 1.1, 5.0, 0.2, 0.9, 1.6, 0.4, 3.0, 0.8, 1.2]


def test_two_slots_and_one_two_and_three_hours():
    # slot 1: hour 0 to 1, then 1 to 4; slot 2: hour 0 to 2
    outcome = campaign([1, 2, 3], 2)
    account = outcome.account
    assert account.hours == pytest.approx(4)
    assert account.slot_hours == pytest.approx(6)
    assert account.busy == 1.0  # until hour 1, when the last one started
    assert account.busy_whole == pytest.approx(6 / 8)
    assert [(span.number, span.start / 3600, span.end / 3600) for span in account.spans] == [
        (0, 0, 1),
        (1, 0, 2),
        (2, 1, 4),
    ]
    assert outcome.num_finished == 3
    assert outcome.stopped is None


def test_the_same_in_batches():
    # hour 0 to 2, of which slot 1 idles one; then one alone, hour 2 to 5
    account = campaign([1, 2, 3], 2, synchronous=True).account
    assert account.hours == pytest.approx(5)
    assert account.slot_hours == pytest.approx(6)
    assert account.busy == pytest.approx(3 / 4)
    assert account.busy_whole == pytest.approx(6 / 10)


def test_where_all_start_at_once_there_is_no_time_to_be_busy_in():
    account = campaign([1, 2], 4).account
    assert account.busy is None
    assert account.busy_whole == pytest.approx(3 / 8)


@pytest.mark.parametrize("num_slots", [2, 4])
def test_batches_take_longer_and_leave_slots_idle(num_slots: int):
    apart, batches = (campaign(SPREAD, num_slots, synchronous=synchronous).account for synchronous in (False, True))
    assert apart.hours < batches.hours
    assert apart.slot_hours == pytest.approx(batches.slot_hours) == pytest.approx(sum(SPREAD))
    assert apart.busy == 1.0
    assert batches.busy is not None
    assert batches.busy < 0.9


def test_the_best_grows_with_the_hours():
    outcome = campaign([2, 1, 3], 1)  # scores 0, 1, 2 at hours 2, 3, 6
    assert [outcome.best_at(hour) for hour in (1.9, 2, 3, 5.9, 6)] == [None, 0.0, 1.0, 1.0, 2.0]


# Faults


def test_a_crash_is_tried_once_more():
    outcome = campaign([1.0] * 4, 2, faults=Faults(crash_rate=1.0))
    assert outcome.failures == {"crashed": 4}
    assert outcome.retries == {"crashed": 4}
    assert len(outcome.account.spans) == 8
    assert outcome.account.hours < 4
    assert outcome.best_at(100) is None


def test_running_out_of_memory_is_tried_four_times_more():
    outcome = campaign([1.0], 1, faults=Faults(oom_rate=1.0))
    assert outcome.retries == {"out of memory": 4}
    assert outcome.failures == {"out of memory": 1}


def test_preempted_evaluations_finish_and_lose_no_more_than_a_checkpoints_worth_each_time():
    outcome = campaign([10.0] * 6, 3, faults=Faults(preempt_rate=1.0, checkpoint_minutes=15))
    lost = outcome.account.slot_hours - 60
    assert outcome.num_finished == 6
    assert outcome.retries["preempted"] > 20
    assert 0 < lost < outcome.retries["preempted"] * 0.25


def test_what_hangs_is_ended_by_its_machine_and_not_tried_again():
    outcome = campaign([1.0, 1.0], 1, faults=Faults(hang_rate=1.0, hang_hours=5))
    assert outcome.failures == {"timed out": 2}
    assert not outcome.retries
    assert outcome.account.hours == pytest.approx(10)


def test_a_straggler_is_ended_in_virtual_time():
    outcome = campaign([1.0] * 5 + [100.0, 1.0], 1, straggler_factor=3.0)
    straggler = outcome.trials[5]
    assert straggler.status is Status.TIMED_OUT
    assert straggler.error is not None
    assert "3 times the median" in straggler.error
    (span,) = [span for span in outcome.account.spans if span.number == 5]
    assert 3 * 3600 < span.end - span.start <= 3 * 3600 + 80  # noticed within two steps of a hundredth of the median
    assert outcome.trials[6].status is Status.FINISHED
    assert campaign([1.0] * 5 + [100.0, 1.0], 1).account.hours == pytest.approx(106)


def test_nothing_starts_after_the_deadline():
    outcome = campaign([1.0] * 5, 1, max_hours=1.5)
    assert outcome.stopped == OUT_OF_TIME
    assert outcome.num_finished == 2
    assert outcome.account.hours == pytest.approx(2)


# Repeatable


def test_the_same_seed_gives_the_same_campaign():
    faults = Faults(crash_rate=0.2, preempt_rate=0.3, oom_rate=0.2, hang_rate=0.1)
    first, again, other = (campaign(SPREAD, 3, faults=faults, seed=seed) for seed in (4, 4, 5))
    assert first == again
    assert first.account.spans != other.account.spans


def test_a_campaign_is_gone_on_with():
    whole = campaign([1.0, 2.0, 3.0], 1)
    rest = campaign([1.0, 2.0, 3.0], 1, earlier=whole.trials[:2])
    assert [span.number for span in rest.account.spans] == [2]
    assert rest.account.hours == pytest.approx(3)
    assert rest.trials == whole.trials
