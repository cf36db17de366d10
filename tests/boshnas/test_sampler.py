"""Optuna's own contract suites over BoshnasSampler, and what they do not ask."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase
from optuna.trial import FrozenTrial, Trial, TrialState

from boshnas.policy import Policy
from boshnas.sampler import BoshnasSampler, history
from boshnas.surrogates import CombinedSurrogate, GPSurrogate

optuna.logging.set_verbosity(optuna.logging.WARNING)

Objective = Callable[[Trial], float]


def quick(**settings: Any) -> BoshnasSampler:
    return BoshnasSampler(**{"seed": 0, "num_initial": 5, "surrogate": GPSurrogate(max_steps=10), **settings})


def searched(objective: Objective, num_trials: int, sampler: BaseSampler | None = None) -> optuna.Study:
    study = optuna.create_study(sampler=sampler or quick())
    study.optimize(objective, n_trials=num_trials)
    return study


class TestContract(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """Optuna's suites, the surrogate in use from the first trial it can be."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: quick(num_initial=0, surrogate=GPSurrogate(max_steps=5))


class TestContractOfNetworks(SingleOnlySamplerTestCase):
    """With networks, which the search uses by default."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: quick(surrogate=CombinedSurrogate(num_members=2, num_steps=10, max_steps=5))

    def test_mixed_objective(self, sampler: Callable[[], BaseSampler]) -> None:
        study = searched(mixed, 9, sampler())
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 9


def mixed(trial: Trial) -> float:
    x = trial.suggest_float("x", -2, 2)
    rate = trial.suggest_float("rate", 1e-5, 1, log=True)
    num = trial.suggest_int("num", 1, 9, step=2)
    kind = {"a": 0.0, "b": 0.6, "c": 1.0}[trial.suggest_categorical("kind", ["a", "b", "c"])]
    return (x - 0.7) ** 2 + 0.3 * (np.log10(rate) + 2.5) ** 2 + 0.1 * abs(num - 5) + kind


def conditional(trial: Trial) -> float:
    if trial.suggest_categorical("kind", ["line", "plane"]) == "line":
        return 0.5 + abs(trial.suggest_float("u", -1, 1) - 0.2)
    return abs(trial.suggest_float("v", -1, 1) + 0.4) + 0.1 * trial.suggest_int("w", 0, 5)


def grid(trial: Trial) -> float:
    return trial.suggest_int("i", 0, 3) * (1.0 if trial.suggest_categorical("sign", [True, False]) else -1.0)


def test_finds_a_minimum_much_nearer_than_random() -> None:
    ours = [searched(mixed, 25, quick(seed=seed, surrogate=GPSurrogate())).best_value for seed in range(2)]
    random = [searched(mixed, 25, RandomSampler(seed=seed)).best_value for seed in range(10)]
    assert np.mean(ours) < 0.3 * np.mean(random)


def test_repeats_no_point_of_a_finite_space_until_all_are_known() -> None:
    study = searched(grid, 10)
    assert len({tuple(trial.params.items()) for trial in study.trials[:8]}) == 8
    assert study.best_value == -3


def test_goes_on_after_a_finite_space_is_exhausted() -> None:
    assert len(searched(grid, 12).trials) == 12


def test_running_trials_repel() -> None:
    study = searched(mixed, 9)
    waiting = [study.ask() for _ in range(4)]
    for trial in waiting:
        mixed(trial)
    rows = np.array([[trial.params["x"] / 4, np.log10(trial.params["rate"]) / 5] for trial in waiting])
    gaps = np.linalg.norm(rows[:, None] - rows, axis=2)[np.triu_indices(4, 1)]
    same = [a.params["num"] == b.params["num"] and a.params["kind"] == b.params["kind"] for a, b in _pairs(waiting)]
    assert all(gap > 1e-3 or not equal for gap, equal in zip(gaps, same, strict=True))


def test_running_trials_of_a_finite_space_are_distinct() -> None:
    study = optuna.create_study(sampler=quick(num_initial=2))
    study.optimize(grid, n_trials=1)
    waiting = [study.ask() for _ in range(7)]
    assert len({(grid(trial), trial.params["i"], trial.params["sign"]) for trial in waiting}) == 7
    assert all(trial.params != study.trials[0].params for trial in waiting)


def test_a_suggestion_shared_meanwhile_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    study = searched(grid, 3, quick(num_initial=2))
    earlier, later = study.ask(), study.ask()
    chosen, choose = [], BoshnasSampler._chosen

    def raced(self: BoshnasSampler, *given: Any) -> Any:
        chosen.append(choose(self, *given))
        if len(chosen) == 1:  # the earlier trial's worker is told the same in this moment
            space = given[0].space
            values = history.internal(space.decode(chosen[0]), space.distributions)
            history.share(study, study.trials[earlier.number], values)
        return chosen[-1]

    monkeypatch.setattr(BoshnasSampler, "_chosen", raced)
    grid(later)
    assert len(chosen) == 2
    assert not np.array_equal(*chosen)


@pytest.mark.parametrize("use_function", [True, False])
def test_most_suggestions_are_feasible(use_function: bool) -> None:
    def limits(trial: FrozenTrial) -> Sequence[float]:
        return (trial.params["x"] ** 2 + trial.params["y"] ** 2 - 1,)

    def objective(trial: Trial) -> float:
        x, y = trial.suggest_float("x", -2, 2), trial.suggest_float("y", -2, 2)
        if not use_function:
            trial.set_constraint("disc", x**2 + y**2 - 1)
        return (x - 1.5) ** 2 + (y - 0.5) ** 2  # unconstrained best outside, constrained best 0.338

    study = searched(objective, 20, quick(constraints_func=limits if use_function else None))
    feasible = [max(trial.constraints.values()) <= 0 for trial in study.trials]
    assert np.mean(feasible[8:]) > 0.6
    assert study.best_value < 0.45


def test_looks_for_a_feasible_point_where_none_is_known() -> None:
    def objective(trial: Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("far", 1.8 - x - y)
        return x

    study = searched(objective, 14, quick(seed=1))
    assert not any(trial.constraints["far"] <= 0 for trial in study.trials[:5])
    assert any(trial.constraints["far"] <= 0 for trial in study.trials)


def test_same_seed_same_suggestions_also_when_resumed() -> None:
    whole = [trial.params for trial in searched(conditional, 9).trials]
    assert whole == [trial.params for trial in searched(conditional, 9).trials]
    resumed = searched(conditional, 7)
    resumed.sampler = quick()
    resumed.optimize(conditional, n_trials=2)
    assert [trial.params for trial in resumed.trials] == whole
    assert whole[:6] != [trial.params for trial in searched(conditional, 6, quick(seed=1)).trials]


def test_reseeding_changes_the_suggestions() -> None:
    sampler = quick()
    sampler.reseed_rng()
    assert searched(mixed, 2, sampler).trials[1].params != searched(mixed, 2).trials[1].params


def test_conditional_parameters_are_searched() -> None:
    study = searched(conditional, 24)
    assert study.best_params["kind"] == "plane"
    assert study.best_params["w"] == 0
    assert study.best_value < 0.1


def test_enqueued_and_partly_fixed_parameters_are_taken_as_given() -> None:
    study = searched(mixed, 6)
    study.enqueue_trial({"kind": "b", "num": 9})
    study.optimize(mixed, n_trials=1)
    assert (study.trials[-1].params["kind"], study.trials[-1].params["num"]) == ("b", 9)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.sampler = PartialFixedSampler({"kind": "c"}, quick())
    study.optimize(mixed, n_trials=3)
    assert [trial.params["kind"] for trial in study.trials[-3:]] == ["c"] * 3


def test_a_failed_point_is_not_tried_again() -> None:
    def objective(trial: Trial) -> float:
        if trial.suggest_int("i", 0, 5) == 0:
            raise RuntimeError
        return trial.params["i"]

    study = optuna.create_study(sampler=quick(num_initial=2))
    study.optimize(objective, n_trials=6, catch=RuntimeError)
    assert sorted(trial.params["i"] for trial in study.trials) == list(range(6))


def test_infinite_values_are_learnt_from() -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return float("inf") if x > 0.5 else -x

    study = searched(objective, 15)
    assert np.mean([trial.params["x"] <= 0.5 for trial in study.trials[8:]]) > 0.7


@pytest.mark.parametrize(
    "policy",
    [Policy(acquisition="ucb"), Policy(acquisition="log_noisy_ei"), Policy(uncertainty_probability=1.0)]
    + [Policy(diversity_probability=1.0), Policy(exhaustive_up_to=0)],
)
def test_every_policy_suggests(policy: Policy) -> None:
    assert len(searched(grid, 8, quick(policy=policy)).trials) == 8


def test_categories_of_any_type_and_many_levels() -> None:
    choices = [None, 1.5, "a", True, *range(20, 40)]
    study = searched(lambda trial: float(trial.suggest_categorical("c", choices) != "a"), 10)
    assert all(trial.params["c"] in choices for trial in study.trials)


def test_old_values_out_of_the_new_range_are_kept() -> None:
    study = searched(lambda trial: trial.suggest_float("x", 0, 10), 6)
    study.optimize(lambda trial: -trial.suggest_float("x", 5, 20), n_trials=6)
    assert all(5 <= trial.params["x"] <= 20 for trial in study.trials[6:])
    assert isinstance(quick().infer_relative_search_space(study, study.trials[-1])["x"], FloatDistribution)


def test_values_that_are_all_infinite_break_nothing() -> None:
    study = searched(lambda trial: trial.suggest_float("x", 0, 1) * float("inf"), 4, quick(num_initial=0))
    assert len(study.trials) == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("num_initial", -1),
        ("surrogate", "gp"),
        ("policy", "log_ei"),
        ("constraints_func", [0.0]),
    ],
)
def test_wrong_arguments_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"BoshnasSampler: {name} must be .*, got {value!r}".replace("[", r"\[")):
        BoshnasSampler(**{name: value})  # type: ignore[arg-type]


def _pairs(trials: list[Trial]) -> list[tuple[Trial, Trial]]:
    return [(a, b) for index, a in enumerate(trials) for b in trials[index + 1 :]]
