"""What the search policy promises, whichever surrogate it uses."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from boshnas.baselines import RandomSearcher
from boshnas.errors import InputError
from boshnas.policy import Policy
from boshnas.pool import Pool
from boshnas.searcher import Searcher
from boshnas.surrogates import (
    CombinedSurrogate,
    GPSurrogate,
    NPNSurrogate,
    Surrogate,
    TeacherStudentSurrogate,
)
from boshnas.trial import Decision

MODES: dict[str, Surrogate | None] = {
    "random": None,  # RandomSearcher
    "npn": NPNSurrogate(num_steps=10, hidden_size=16),
    "teacher_student": TeacherStudentSurrogate(num_steps=10, hidden_size=16),
    "gp": GPSurrogate(max_steps=10),
    "combined": CombinedSurrogate(num_members=2, num_steps=5, max_steps=3),
}

each = pytest.mark.parametrize("mode", MODES)


def pool(num_rows: int = 60) -> Pool:
    X = np.random.default_rng(0).uniform(-2, 1, size=(num_rows, 3))
    return Pool([f"arch{row}" for row in range(num_rows)], X)


def truth(X: NDArray[np.float64]) -> NDArray[np.float64]:
    quality: NDArray[np.float64] = 80 - ((X + 0.5) ** 2).sum(axis=1)
    return quality


def searcher(
    mode: str, num_rows: int = 60, *, seed: int = 3, num_initial: int = 4, num_proposed: int = 0, **policy: Any
) -> Searcher:
    kind = RandomSearcher if mode == "random" else Searcher
    settings = {"seed": seed, "num_initial": num_initial, "num_proposed": num_proposed}
    return kind(pool(num_rows), MODES[mode], policy=Policy(**policy), **settings)  # type: ignore[arg-type]


def values(search: Searcher, ids: list[str]) -> dict[str, float | None]:
    return dict(zip(ids, truth(search.pool.X[search.pool.rows(ids)]).tolist(), strict=True))


def run(search: Searcher, num_rounds: int, k: int = 2) -> list[str]:
    ids: list[str] = []
    for _ in range(num_rounds):
        ids += (asked := search.ask(k))
        search.tell(values(search, asked))
    return ids


@each
def test_never_proposes_twice_nor_what_is_pending_or_failed(mode: str) -> None:
    search = searcher(mode, num_rows=20)
    pending, failed = set(search.ask(3)), set(search.ask(2))
    done: set[str] = set()
    search.tell(dict.fromkeys(failed))
    for _ in range(5):
        asked = search.ask(2, pending=pending)
        assert not set(asked) & (pending | failed | done)
        assert len(set(asked)) == 2
        search.tell(values(search, asked))
        done |= set(asked)


@each
def test_a_batch_is_distinct_and_ends_with_the_pool(mode: str) -> None:
    search = searcher(mode, num_rows=15)
    run(search, 2)
    rest = search.ask(100)
    assert len(rest) == len(set(rest)) == 11
    assert search.ask(1, pending=rest) == []


@each
def test_same_seed_same_ids(mode: str) -> None:
    assert run(searcher(mode), 5) == run(searcher(mode), 5)


def test_another_seed_other_ids() -> None:
    assert run(searcher("gp"), 5) != run(searcher("gp", seed=4), 5)


@each
def test_resumed_search_goes_on_as_if_uninterrupted(mode: str) -> None:
    whole = run(searcher(mode), 6)
    resumed = searcher(mode)
    for start in range(0, 8, 2):
        resumed.tell(values(resumed, whole[start : start + 2]))
    resumed.resume(num_proposed=8)
    assert run(resumed, 2) == whole[8:]


def test_same_ids_in_a_new_process() -> None:
    code = f"""
import sys; sys.path.insert(0, {str(__file__).rsplit("/", 1)[0]!r})
import test_searcher_contract as contract
print(",".join(contract.run(contract.searcher("teacher_student"), 4)))
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip().split(",") == run(searcher("teacher_student"), 4)


@each
def test_initial_proposals_are_random_and_know_nothing(mode: str) -> None:
    search = searcher(mode)
    proposals = search.propose(2)
    search.tell(values(search, [proposal.id for proposal in proposals]))
    for proposal in [*proposals, *search.propose(2)]:
        assert proposal.decision is Decision.RANDOM
        assert proposal.mean is None


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "random"])
@pytest.mark.parametrize(
    ("uncertainty", "diversity", "decision"),
    [(0.0, 0.0, Decision.OPTIMISE), (1.0, 0.0, Decision.UNCERTAINTY), (0.0, 1.0, Decision.DIVERSITY)],
)
def test_later_proposals_carry_their_posterior(
    mode: str, uncertainty: float, diversity: float, decision: Decision
) -> None:
    search = searcher(mode, uncertainty_probability=uncertainty, diversity_probability=diversity)
    run(search, 3)
    for proposal in search.propose(3):
        assert proposal.decision is decision
        assert proposal.mean is not None
        assert proposal.epistemic_std is not None
        assert proposal.aleatoric_std is not None
        assert np.isfinite(proposal.mean + proposal.epistemic_std + proposal.aleatoric_std)


def test_random_searcher_is_always_random() -> None:
    search = searcher("random", num_initial=0)
    run(search, 3)
    assert {proposal.decision for proposal in search.propose(5)} == {Decision.RANDOM}


def test_random_until_two_results_are_known() -> None:
    search = searcher("gp", num_initial=0)
    search.tell({"arch0": 1.0, "arch1": None})
    assert search.propose(1)[0].decision is Decision.RANDOM


def test_uncertainty_takes_the_most_uncertain_candidate() -> None:
    search = searcher("gp", uncertainty_probability=1.0, k1=0.0)
    told = run(search, 4)
    (proposal,) = search.propose(1)
    std = search._surrogate().posterior(search.pool.X).epistemic_std.copy()
    std[search.pool.rows(told)] = 0
    assert proposal.id == search.pool.ids[int(std.argmax())]


def test_decisions_have_the_asked_shares() -> None:
    search = searcher("gp", num_rows=2000, num_initial=0, uncertainty_probability=0.1, diversity_probability=0.1)
    run(search, 1, k=6)
    decisions = [proposal.decision for proposal in search.propose(400)]
    for decision in (Decision.UNCERTAINTY, Decision.DIVERSITY):
        assert 0.05 < decisions.count(decision) / 400 < 0.15


def test_finds_the_best_sooner_than_chance() -> None:
    search = searcher("gp", num_rows=400, num_initial=6)
    found = run(search, 12)
    best = truth(search.pool.X).max()
    assert best - max(v for v in values(search, found).values() if v is not None) < 0.02


def test_a_batch_spreads() -> None:
    search = searcher("gp", num_rows=2000)
    run(search, 6)
    batch = search.pool.X[search.pool.rows(search.ask(6))]
    best = search.pool.X[np.argsort(-truth(search.pool.X))[:6]]
    assert batch.std(axis=0).mean() > best.std(axis=0).mean()


def test_pending_candidates_repel() -> None:
    search, again = searcher("gp", num_rows=2000), searcher("gp", num_rows=2000)
    for each_search in (search, again):
        run(each_search, 6)
    assert search.ask(2) == again.ask(2)
    (first,) = searcher_after(6).ask(1)
    assert searcher_after(6).ask(1, pending=[first]) != [first]


def searcher_after(num_rounds: int) -> Searcher:
    search = searcher("gp", num_rows=200)
    run(search, num_rounds)
    return search


@each
def test_next_level_learns_from_the_last(mode: str) -> None:
    search = searcher(mode)
    run(search, 3)
    level = [f"level2-{row}" for row in range(10)]
    search.pool.extend(level, np.random.default_rng(1).uniform(-2, 1, size=(10, 3)))
    search.set_candidates(level)
    asked = search.ask(4)
    assert set(asked) <= set(level)
    search.tell(values(search, asked))
    assert set(search.ask(100)) == set(level) - set(asked)
    search.set_candidates(None)
    assert len(search.ask(100, pending=level)) == 54


def test_unknown_pending_ids_are_ignored() -> None:
    assert len(searcher("gp").ask(2, pending=["elsewhere"])) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"num_initial": -1}, "num_initial must be >= 0"),
        ({"k1": -0.5}, "k1 must be >= 0"),
        ({"k2": float("nan")}, "k2 must be >= 0, got nan"),
        ({"uncertainty_probability": 1.5}, r"uncertainty_probability must be in \[0, 1\], got 1.5"),
        ({"uncertainty_probability": 0.6, "diversity_probability": 0.6}, "must be at most 1"),
        ({"num_proposed": -1}, "num_proposed must be >= 0"),
    ],
)
def test_refuses_settings_out_of_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        searcher("gp", **settings)  # type: ignore[arg-type]


def test_refuses_unknown_ids_and_values() -> None:
    search = searcher("gp")
    with pytest.raises(InputError, match="ids must be in the pool, got 'nobody'"):
        search.tell({"nobody": 1.0})
    with pytest.raises(InputError, match="ids must be in the pool, got 'nobody'"):
        search.set_candidates(["nobody"])
    with pytest.raises(InputError, match=r"objective of 'arch0' must be finite, .*got nan"):
        search.tell({"arch0": float("nan")})
    for k in ("2", 2.5, 2.0, True, None):
        with pytest.raises(InputError, match=f"k must be a whole number, got {k!r}"):
            search.ask(k)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="k must be >= 1, got 0"):
        search.propose(0)


def test_known_noise_reaches_the_surrogate() -> None:
    exact, noisy = (searcher("gp") for _ in range(2))
    ids = exact.ask(4)
    assert noisy.ask(4) == ids
    told = values(exact, ids)
    exact.tell(told, noise_std=dict.fromkeys(ids, 0.0))
    noisy.tell(told, noise_std=dict.fromkeys(ids, 3.0))
    stds = [search.propose(1)[0].aleatoric_std for search in (exact, noisy)]
    assert stds[0] is not None
    assert stds[1] is not None
    assert stds[0] < 0.1 < 2 < stds[1]


@pytest.mark.parametrize("std", [-1.0, float("nan"), float("inf")])
def test_noise_must_be_a_deviation(std: float) -> None:
    search = searcher("gp")
    with pytest.raises(InputError, match="noise_std of 'arch0' must be finite and >= 0"):
        search.tell({"arch0": 1.0}, noise_std={"arch0": std})


def test_dear_candidates_wait() -> None:
    search = searcher("gp", num_rows=400)
    told = run(search, 6)
    first = search.ask(1)[0]
    costs = dict.fromkeys(search.pool.ids, 1.0) | {first: 1e6}
    again = Searcher(search.pool, MODES["gp"], seed=3, num_initial=4, costs=costs, num_proposed=12)
    again.tell(values(search, told))
    assert again.ask(1) != [first]


def test_equal_costs_change_nothing() -> None:
    plain, costed = (
        searcher("gp"),
        Searcher(pool(), MODES["gp"], seed=3, num_initial=4, policy=Policy(), costs=dict.fromkeys(pool().ids, 7.0)),
    )
    assert run(plain, 5) == run(costed, 5)


@pytest.mark.parametrize("cost", [0.0, -1.0, float("inf"), float("nan")])
def test_costs_are_positive(cost: float) -> None:
    with pytest.raises(InputError, match="cost of 'arch3' must be finite and > 0"):
        Searcher(pool(), costs={"arch3": cost})


def test_every_candidate_has_a_cost_or_none() -> None:
    search = Searcher(pool(), MODES["gp"], num_initial=2, costs={"arch3": 1.0})
    search.tell({"arch0": 1.0, "arch1": 2.0})
    search.resume(5)
    with pytest.raises(InputError, match="costs must be known for every id"):
        search.ask(1)


def test_gradient_ascent_and_scoring_all_agree_on_a_smooth_objective() -> None:
    scored, ascended = searcher("gp", num_rows=3000), searcher("gp", num_rows=3000, exhaustive_up_to=100)
    for search in (scored, ascended):
        run(search, 10)
    best = truth(scored.pool.X).max()
    for search in (scored, ascended):
        assert best - max(truth(search.pool.X[search.pool.rows(list(search._told))])) < 0.05


def test_a_noisy_leader_is_measured_again_and_says_so() -> None:
    rng = np.random.default_rng(0)
    X = np.linspace(0, 1, 12)[:, None]
    search = Searcher(Pool([f"arch{row}" for row in range(12)], X), GPSurrogate(), policy=Policy(replicate=True))
    search.resume(10)
    for _ in range(3):  # the tops are known but for their noise, the rest is far below
        search.tell({f"arch{row}": float(-20 * (X[row, 0] - 0.5) ** 2 + rng.normal()) for row in range(0, 12, 2)})
    decisions = [proposal.decision for proposal in search.propose(4)]
    assert Decision.REPLICATE in decisions
    assert len({proposal.id for proposal in search.propose(4)}) == 4


def test_without_noise_nothing_is_measured_again() -> None:
    plain, replicating = searcher("gp", num_rows=300), searcher("gp", num_rows=300, replicate=True)
    ids = run(plain, 8)
    assert run(replicating, 8) == ids


def test_converged_when_the_best_has_not_moved() -> None:
    search = searcher("gp", num_initial=2, patience=3)
    for row, value in enumerate([1.0, 2.0, 3.0, 0.0, 0.0]):
        search.tell({f"arch{row}": value})
        assert not search.converged
    search.tell({"arch5": None})
    assert not search.converged
    search.tell({"arch6": 3.0})
    assert search.converged
    search.tell({"arch7": 4.0})
    assert not search.converged


def implicit(num_listed: int, num_proposed: int = 0) -> Searcher:
    """A search of the points of a 21 × 21 grid, of which the pool lists some; the best is in the middle."""
    listed = [f"{x},{y}" for x in range(21) for y in range(21)][:num_listed]
    known = Pool(listed, np.array([[int(part) for part in id_.split(",")] for id_ in listed], dtype=np.float64))

    def neighbors(ids: Sequence[str]) -> list[str]:
        steps = [(x + i, y + j) for x, y in (map(int, id_.split(",")) for id_ in ids) for i, j in ((1, 0), (0, 1))]
        found = [f"{x},{y}" for x, y in steps if x < 21 and y < 21]
        known.extend(found, np.array([[int(part) for part in id_.split(",")] for id_ in found], dtype=np.float64))
        return found

    return Searcher(known, MODES["gp"], seed=3, num_initial=4, num_proposed=num_proposed, neighbors=neighbors)


def height(search: Searcher, ids: list[str]) -> dict[str, float | None]:
    X = search.pool.X[search.pool.rows(ids)]
    return dict(zip(ids, (-((X - 10) ** 2).sum(axis=1)).tolist(), strict=True))


def test_local_search_leaves_the_listed_candidates() -> None:
    search = implicit(60)  # columns 0, 1 and most of 2
    found: list[float] = []
    for _ in range(12):
        results = height(search, search.ask(2))
        found += [value for value in results.values() if value is not None]
        search.tell(results)
    assert max(found[:4]) < -60
    assert max(found) >= -4


def test_local_search_goes_on_the_same_after_a_resume() -> None:
    whole = implicit(60)
    told = [height(whole, ids) for ids in (whole.ask(2),)]
    for results in told:
        whole.tell(results)
    for _ in range(5):
        told.append(height(whole, whole.ask(2)))
        whole.tell(told[-1])
    resumed = implicit(60)
    for results in told:
        X = np.array([[int(part) for part in id_.split(",")] for id_ in results], dtype=np.float64)
        resumed.pool.extend(list(results), X)
        resumed.tell(results)
    resumed.resume(whole.num_proposed)
    assert resumed.ask(3) == whole.ask(3)
