from dataclasses import replace
from types import SimpleNamespace

import pytest
from search_fakes import ended_trial

from boshnas.standing import Standing, rank_correlation
from boshnas.trial import Decision, Proposal, Trial


def foreseen(number: int, mean: float | None, score: float | None) -> Trial:
    proposal = Proposal(id=f"a{number}", decision=Decision.OPTIMISE, mean=mean)
    return replace(ended_trial(number, score), proposal=proposal)


def pairs(*values: tuple[float | None, float | None]) -> list[Trial]:
    return [foreseen(number, mean, score) for number, (mean, score) in enumerate(values)]


FIVE = ((1.0, 10.0), (2.0, 30.0), (3.0, 20.0), (4.0, 40.0), (5.0, 50.0))


def test_rank_correlation_by_hand():
    # 1 - 6 * (0 + 1 + 1 + 0 + 0) / (5 * 24)
    assert rank_correlation(pairs(*FIVE)) == (pytest.approx(0.9), 5)


def test_only_what_was_foreseen_and_measured_counts():
    more = ((None, 99.0), (99.0, None))
    assert rank_correlation(pairs(*more, *FIVE)) == (pytest.approx(0.9), 5)


@pytest.mark.parametrize(
    "values",
    [(), FIVE[:4], tuple((1.0, score) for _, score in FIVE), tuple((mean, 1.0) for mean, _ in FIVE)],
)
def test_too_few_or_equal_values_have_none(values: tuple[tuple[float, float], ...]):
    assert rank_correlation(pairs(*values)) is None


def test_a_resumed_search_stands_where_it_was():
    running = Trial(
        number=6,
        proposal=Proposal(id="a6", decision=Decision.RANDOM),
        level=1,
        architecture={},
        parameters={},
        seed=0,
    )
    standing = Standing(12, "score", [*pairs(*FIVE), ended_trial(5, None), running])
    assert (standing.num_ended, standing.num_failed, standing.share, standing.left_s) == (6, 1, 0.5, None)
    assert standing.best is not None
    assert (standing.best.number, standing.correlation) == (4, (pytest.approx(0.9), 5))
    standing.ended(foreseen(6, 0.5, 5.0))
    assert standing.correlation is not None
    assert standing.correlation[1] == 6


def test_more_than_the_budget_is_no_more_than_all():
    standing = Standing(1, "score", pairs(*FIVE))
    assert standing.share == 1.0


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which only tests turn."""
    reading = [1000.0]
    monkeypatch.setattr("boshnas.standing.time", SimpleNamespace(monotonic=lambda: reading[0]))
    return reading


def lasted(number: int, seconds: float) -> Trial:
    return replace(ended_trial(number, 50.0), stage_seconds={"train": seconds})


def test_the_time_left_goes_by_how_many_run_at_a_time(now: list[float]):
    standing = Standing(7, "score")
    for number in range(2):
        standing.started(ended_trial(number, None))
    assert standing.left_s is None
    now[0] += 10
    standing.ended(ended_trial(0, 50.0))
    standing.started(ended_trial(2, None))
    now[0] += 4
    # Of 10 seconds each: number 1 is overdue, number 2 has 6 left, 4 more begin at 0, 6, 10 and 16 seconds.
    assert standing.left_s == pytest.approx(26)


def test_the_time_left_goes_by_what_was_done_before_a_resume(now: list[float]):
    standing = Standing(12, "score", [lasted(number, 60) for number in range(8)])
    standing.started(ended_trial(8, None))
    standing.started(ended_trial(9, None))
    assert standing.left_s == pytest.approx(120)
    standing.ended(lasted(8, 60))  # was taken in from disk at once
    assert standing.left_s == pytest.approx(120)
    assert standing.summary().endswith("0s gone, about 2m00s left")


def test_an_attempt_that_failed_runs_no_longer(now: list[float]):
    standing = Standing(3, "score", [lasted(0, 60)])
    standing.started(ended_trial(1, None))
    now[0] += 50
    standing.retried(ended_trial(1, None))
    assert standing.left_s == pytest.approx(120)


def test_of_what_ends_at_any_moment_no_time_left_is_told(now: list[float]):
    standing = Standing(2, "score", [lasted(0, 60)])
    standing.started(ended_trial(1, None))
    now[0] += 99
    assert (standing.left_s, standing.ahead) == (None, "")


def test_one_is_told_as_one():
    assert (Standing(1, "score").count, Standing(2, "score").count) == ("0 of 1 evaluation", "0 of 2 evaluations")
