import pytest

from boshnas.retry import RETRIES, batch_split, is_retried
from boshnas.trial import Attempt, Status


def attempts(*statuses: Status) -> list[Attempt]:
    return [Attempt(status=status, error="") for status in statuses]


def test_every_way_to_fail_has_a_rule():
    assert RETRIES.keys() == set(Status) - {Status.RUNNING, Status.FINISHED}


@pytest.mark.parametrize(("status", "number"), [(Status.CRASHED, 1), (Status.KILLED, 3), (Status.BAD_INPUT, 0)])
def test_a_failure_is_tried_again_as_often_as_its_rule_says(status: Status, number: int):
    assert [is_retried(attempts(*[status] * before), status) for before in range(number + 1)] == [
        *[True] * number,
        False,
    ]


def test_failures_of_other_kinds_do_not_count():
    assert is_retried(attempts(Status.PREEMPTED, Status.KILLED, Status.OUT_OF_MEMORY), Status.CRASHED)


def test_preemption_has_no_limit():
    assert is_retried(attempts(*[Status.PREEMPTED] * 1000), Status.PREEMPTED)


def test_a_full_disk_is_waited_for_long_and_not_for_ever():
    assert is_retried(attempts(*[Status.DISK_FULL] * 99), Status.DISK_FULL)
    assert not is_retried(attempts(*[Status.DISK_FULL] * 1000), Status.DISK_FULL)


def test_a_time_limit_is_final_unless_there_is_something_newer_to_go_on_from():
    assert not is_retried([], Status.TIMED_OUT)
    assert is_retried(attempts(*[Status.TIMED_OUT] * 9), Status.TIMED_OUT, has_advanced=True)


def test_each_attempt_after_one_out_of_memory_has_half_the_batch():
    assert batch_split([]) == 1
    assert batch_split(attempts(Status.CRASHED)) == 1
    assert batch_split(attempts(Status.OUT_OF_MEMORY, Status.CRASHED, Status.OUT_OF_MEMORY)) == 4
