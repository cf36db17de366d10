import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from boshnas.baselines import RandomSearcher
from boshnas.errors import InputError
from boshnas.replay import random_search, regret, replay, suggest
from boshnas.searcher import Searcher
from boshnas.surrogates import GPSurrogate
from boshnas.table import Table
from boshnas.trial import Proposal

rng = np.random.default_rng(0)
WIDTH, DEPTH = rng.integers(1, 30, 60), rng.integers(1, 5, 60)
LOSS = 100.0 + (WIDTH - 17) ** 2 + 3 * DEPTH
FRAME = pd.DataFrame({"width": WIDTH, "depth": DEPTH, "loss": LOSS})


def table(num_empty: int = 0, **options: Any) -> Table:
    frame = FRAME.assign(loss=[None] * num_empty + LOSS[num_empty:].tolist())
    return Table(frame, **{"objective": "loss", "minimize": True, **options})


class Recorder(RandomSearcher):
    """Keeps what it was told and asked."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked: list[int] = []
        self.told: dict[str, float | None] = {}
        self.noise: dict[str, float] = {}

    def tell(self, results: Mapping[str, float | None], noise_std: Mapping[str, float] | None = None) -> None:
        super().tell(results, noise_std)
        self.told |= results
        self.noise |= noise_std or {}

    def propose(self, k: int, pending: Any = ()) -> list[Proposal]:
        self.asked.append(k)
        return super().propose(k, pending)


def test_every_step_has_its_value_and_the_best_so_far():
    data = table()
    steps = list(replay(data, RandomSearcher(data.pool, seed=1), 20))
    assert len({step.id for step in steps}) == 20
    values = [step.value for step in steps]
    assert values == [data.values[step.id] for step in steps]
    assert [step.best for step in steps] == np.minimum.accumulate(values).tolist()
    assert all(data.values[step.best_id] == step.best for step in steps)


def test_results_are_told_as_utilities_with_their_noise():
    data = table(noise_std="depth", features=["width"])
    searcher = Recorder(data.pool)
    steps = list(replay(data, searcher, 7, batch=3))
    assert searcher.asked == [3, 3, 1]
    assert searcher.told == {step.id: -step.value for step in steps}
    assert searcher.noise == {step.id: float(DEPTH[int(step.id)]) for step in steps}


def test_the_measured_rows_may_run_out():
    data = table(num_empty=50)
    steps = list(replay(data, RandomSearcher(data.pool), 100, batch=4))
    assert sorted(int(step.id) for step in steps) == list(range(50, 60))


def test_nothing_measured_is_refused():
    data = table(num_empty=60)
    with pytest.raises(InputError, match="a search needs rows with a value of 'loss', got none"):
        next(replay(data, RandomSearcher(data.pool), 10))


def test_regret_is_the_distance_from_the_tables_best():
    assert regret(table(), LOSS.min()) == 0
    assert regret(table(), LOSS.min() + 2.5) == pytest.approx(2.5)
    assert regret(table(minimize=False), LOSS.max() - 2.5) == pytest.approx(2.5)
    assert regret(table(num_empty=1), LOSS.min()) is None


def test_a_surrogate_finds_the_best_sooner_than_chance():
    data = table()
    found = {}
    for name, searcher in {
        "gp": Searcher(data.pool, GPSurrogate(), seed=0, num_initial=6),
        "random": RandomSearcher(data.pool, seed=0),
    }.items():
        found[name] = list(replay(data, searcher, 14))[-1].best
    assert found["gp"] == LOSS.min() < found["random"]


def test_suggestions_are_unmeasured_rows_with_beliefs_in_the_objectives_unit():
    data = table(num_empty=20)
    searcher = Searcher(data.pool, GPSurrogate(), seed=0, num_initial=0)
    proposals = suggest(data, searcher, 3)
    assert len({proposal.id for proposal in proposals}) == 3
    for proposal in proposals:
        true = LOSS[int(proposal.id)]
        assert int(proposal.id) < 20
        assert proposal.mean is not None
        assert proposal.epistemic_std is not None
        assert proposal.aleatoric_std is not None
        assert 0 < proposal.epistemic_std < 1000
        assert proposal.mean > 50  # a loss, not a utility
        assert abs(proposal.mean - true) < 4 * math.hypot(proposal.epistemic_std, proposal.aleatoric_std, 1.0)


def test_suggesting_learns_from_every_measured_row():
    data = table(num_empty=55, noise_std="depth", features=["width"])
    searcher = Recorder(data.pool)
    suggest(data, searcher, 2)
    assert searcher.told == {str(row): -LOSS[row] for row in range(55, 60)}
    assert set(searcher.noise) == set(searcher.told)


def test_no_more_rows_are_suggested_than_there_are():
    data = table(num_empty=3)
    assert sorted(proposal.id for proposal in suggest(data, RandomSearcher(data.pool), 10)) == ["0", "1", "2"]


@pytest.mark.parametrize("num_measured", [0, 1])
def test_without_two_measured_rows_suggestions_carry_no_belief(num_measured: int):
    data = table(num_empty=60 - num_measured)
    proposals = suggest(data, Searcher(data.pool, num_initial=0), 4)
    assert len(proposals) == 4
    assert all(proposal.mean is None and proposal.epistemic_std is None for proposal in proposals)


def test_a_whole_table_leaves_nothing_to_suggest():
    data = table()
    with pytest.raises(InputError, match="suggestions need rows without a value of 'loss', got none"):
        suggest(data, RandomSearcher(data.pool), 1)


def test_values_that_are_not_measured_are_never_told_as_numbers():
    assert not any(value is not None and math.isnan(value) for value in table(num_empty=5).utilities("01234").values())


class Teller(Recorder):
    """Says what it was limited to, too."""

    def set_candidates(self, ids: Any) -> None:
        super().set_candidates(ids)
        self.limited = ids


def test_rows_beyond_the_constraints_teach_and_are_not_proposed():
    data = table(num_empty=20, constraints=["width<=15"])
    searcher = Teller(data.pool)
    proposals = suggest(data, searcher, 60)
    assert searcher.told == {str(row): -LOSS[row] for row in range(20, 60)}
    assert {int(proposal.id) for proposal in proposals} == {row for row in range(20) if WIDTH[row] <= 15}
    replayed = {int(step.id) for step in replay(data, RandomSearcher(data.pool), 60)}
    assert replayed == {row for row in range(20, 60) if WIDTH[row] <= 15}


def test_costs_and_constraints_go_together():
    data = table(num_empty=20, constraints=["width<=15"], cost="depth")
    proposals = suggest(data, Searcher(data.pool, GPSurrogate(), num_initial=0, costs=data.costs), 2)
    assert all(WIDTH[int(proposal.id)] <= 15 for proposal in proposals)


def test_regret_is_from_the_best_within_the_constraints():
    data = table(constraints=["width<=10"])
    best = LOSS[WIDTH <= 10].min()
    assert best > LOSS.min()
    assert regret(data, best) == 0


@pytest.mark.parametrize("minimize", [False, True])
def test_what_random_search_finds_is_that_of_every_choice_of_rows(minimize: bool):
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]
    data = Table(
        pd.DataFrame({"width": range(8), "loss": [*values, None]}), objective="loss", minimize=minimize, name="t"
    )
    found = random_search(data, 7)
    assert found.evaluations == [1, 2, 3, 4, 5, 6, 7]
    best = min if minimize else max
    for num, mean, low, high in zip(found.evaluations, found.mean, found.low, found.high, strict=True):
        bests = [best(chosen) for chosen in itertools.combinations(values, num)]
        assert mean == pytest.approx(np.mean(bests))
        worst, most = np.quantile(bests, [0.05, 0.95], method="inverted_cdf")[:: -1 if minimize else 1]
        # Ties of a probability with 0.05 itself are settled either way.
        assert (low, high) == (pytest.approx(worst), pytest.approx(most))


def test_a_long_random_search_is_told_at_few_places():
    data = table()
    found = random_search(data, 60)
    assert len(found.evaluations) == 60
    large = Table(pd.DataFrame({"width": range(3000), "loss": range(3000)}), objective="loss", name="t")
    found = random_search(large, 2500)
    assert (found.evaluations[0], found.evaluations[-1], len(found.evaluations)) == (1, 2500, 200)
    assert found.mean[0] == pytest.approx(1499.5)
    assert found.mean == sorted(found.mean)
