import pytest

from boshnas.straggler import MIN_FINISHED, MIN_LIMIT_S, Stragglers


def taught(factor: float, *seconds: float) -> Stragglers:
    stragglers = Stragglers(factor)
    for each in seconds:
        stragglers.learn({"pretrain": each, "cola": 1.0})
    return stragglers


SECONDS = (90.0, 100.0, 110.0, 400.0, 80.0)


def test_a_stage_is_over_its_limit_after_so_many_times_its_median():
    stragglers = taught(3, *SECONDS)
    assert stragglers.overdue(7, "pretrain", 1000.0) is None
    assert stragglers.overdue(7, "pretrain", 1300.0) is None
    reason = stragglers.overdue(7, "pretrain", 1300.1)
    assert reason == "pretrain took more than 300 seconds, 3 times the median of the finished evaluations"


def test_each_stage_begins_anew():
    stragglers = taught(3, *SECONDS)
    stragglers.overdue(7, "cola", 0.0)
    assert stragglers.overdue(7, "pretrain", 1000.0) is None
    assert stragglers.overdue(7, "pretrain", 1299.0) is None


def test_a_limit_is_at_least_five_minutes():
    stragglers = taught(3, *SECONDS)
    stragglers.overdue(7, "cola", 0.0)
    assert stragglers.overdue(7, "cola", MIN_LIMIT_S) is None
    assert stragglers.overdue(7, "cola", MIN_LIMIT_S + 0.1) is not None


def test_few_evaluations_set_no_limit():
    stragglers = taught(3, *SECONDS[: MIN_FINISHED - 1])
    stragglers.overdue(7, "pretrain", 0.0)
    assert stragglers.overdue(7, "pretrain", 1e9) is None


@pytest.mark.parametrize("factor", [float("inf")])
def test_an_infinite_factor_sets_no_limit(factor: float):
    stragglers = taught(factor, *SECONDS)
    stragglers.overdue(7, "pretrain", 0.0)
    assert stragglers.overdue(7, "pretrain", 1e9) is None


def test_an_evaluator_without_stages_is_measured_as_a_whole():
    stragglers = Stragglers(2)
    for number in range(MIN_FINISHED):
        stragglers.overdue(number, None, 0.0)
        stragglers.forget(number, 200.0, is_finished=True)
    stragglers.overdue(9, None, 0.0)
    assert stragglers.overdue(9, None, 400.0) is None
    assert "the evaluation took more than 400 seconds" in str(stragglers.overdue(9, None, 401.0))


def test_another_attempt_begins_anew():
    stragglers = taught(3, *SECONDS)
    stragglers.overdue(7, "pretrain", 0.0)
    stragglers.forget(7, 250.0)
    assert stragglers.overdue(7, "pretrain", 400.0) is None
