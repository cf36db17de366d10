from dataclasses import replace

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
    assert standing.left_s is not None
    assert standing.correlation is not None
    assert standing.correlation[1] == 6


def test_more_than_the_budget_is_no_more_than_all():
    standing = Standing(1, "score", pairs(*FIVE))
    assert standing.share == 1.0
