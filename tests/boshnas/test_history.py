import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from boshnas.objective import Objective
from boshnas.sampler import history
from boshnas.sampler.history import History
from boshnas.sampler.search_space import SearchSpace

X: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 10)}


def trial(x: float, state: TrialState = TrialState.COMPLETE, **more: object) -> FrozenTrial:
    return create_trial(params={"x": x}, distributions=X, state=state, **more)  # type: ignore[arg-type]


def read(*trials: FrozenTrial, direction: str = "maximize") -> History:
    return history.read(trials, SearchSpace(X), Objective(direction))


def test_completed_trials_are_measured() -> None:
    seen = read(trial(1, value=3.0), trial(2, value=4.0), direction="minimize")
    np.testing.assert_allclose(seen.rows, [[0.1], [0.2]])
    np.testing.assert_array_equal(seen.utility, [-3, -4])


def test_infinite_values_are_the_worst_or_best_finite_one() -> None:
    values = (1.0, float("inf"), 3.0, -float("inf"))
    np.testing.assert_array_equal(read(*(trial(1, value=value) for value in values)).utility, [1, 3, 3, 1])
    np.testing.assert_array_equal(read(*(trial(1, value=value) for value in values[1::2])).utility, [1, -1])


def test_pruned_trials_count_with_their_last_value_at_most_the_median() -> None:
    completed = [trial(x, value=float(x)) for x in (1, 2, 6)]
    reported = [{0: 9.0, 3: 0.5}, {0: 0.5, 3: 9.0}]
    pruned = [trial(7, TrialState.PRUNED, intermediate_values=values) for values in reported]
    seen = read(*completed, *pruned)
    np.testing.assert_array_equal(seen.utility, [1, 2, 6, 0.5, 2])
    np.testing.assert_array_equal(seen.complete, [True] * 3 + [False] * 2)


def test_trials_without_a_value_count_as_failed() -> None:
    nan = {0: float("nan")}
    seen = read(
        trial(1, TrialState.FAIL), trial(2, TrialState.PRUNED), trial(3, TrialState.PRUNED, intermediate_values=nan)
    )
    assert len(seen.rows) == len(seen.utility) == 0
    np.testing.assert_allclose(np.sort(seen.failed[:, 0]), [0.1, 0.2, 0.3])


def test_constraints_by_name_and_feasibility() -> None:
    known = [{"constraints": [1.0, -1.0]}, {"constraints": [0.0, -2.0]}, {}]
    seen = read(*(trial(x, value=1.0, system_attrs=attributes) for x, attributes in enumerate(known)))
    np.testing.assert_array_equal(seen.feasible, [False, True, True])
    np.testing.assert_array_equal(seen.constraints["0"], [1, 0, np.nan])
    np.testing.assert_array_equal(seen.constraints["1"], [-1, -2, np.nan])


@pytest.mark.parametrize("num_parameters", [1, 200])
def test_what_is_shared_is_seen_by_others(num_parameters: int) -> None:
    distributions: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0, 10) for i in range(num_parameters)}
    study = optuna.create_study()
    number = study.ask().number
    history.share(study, study.trials[number], {name: 10 / 3 for name in distributions})
    seen = history.read(study.trials, SearchSpace(distributions), Objective())
    np.testing.assert_allclose(seen.waiting, np.full((1, num_parameters), 1 / 3))


def test_a_running_trial_of_which_nothing_is_known_is_not_seen() -> None:
    study = optuna.create_study()
    study.ask()
    assert len(history.read(study.trials, SearchSpace(X), Objective()).waiting) == 0
