"""Tuning finds the better arguments, goes on where it was, and ends what is not worth it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from design_space.errors import InputError
from finetune.arguments import FinetuneArguments
from finetune.autotune import STUDY_FILE, Ranges, ReportToTrial, autotune
from pretrain.callbacks import DivergedError

Make = Callable[..., FinetuneArguments]


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def best_at_1e4(arguments: FinetuneArguments, watch: ReportToTrial) -> float:
    return -abs(arguments.learning_rate - 1e-4) - arguments.per_device_train_batch_size


def stored(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="autotune", storage=f"sqlite:///{folder / STUDY_FILE}")


def test_the_best_trial_is_returned_and_all_are_kept(tmp_path: Path, arguments: Make) -> None:
    found = autotune(best_at_1e4, arguments(), 8, tmp_path)
    study = stored(tmp_path)
    assert len(study.trials) == 8
    assert found.learning_rate == study.best_params["learning_rate"]
    assert found.per_device_train_batch_size == 32
    assert all(2e-5 <= trial.params["learning_rate"] <= 5e-4 for trial in study.trials)


def test_a_study_goes_on_to_the_number_asked_for(tmp_path: Path, arguments: Make) -> None:
    autotune(best_at_1e4, arguments(), 2, tmp_path)
    drawn = []
    autotune(lambda given, watch: drawn.append(given) or best_at_1e4(given, watch), arguments(), 5, tmp_path)
    assert len(drawn) == 3
    assert len(stored(tmp_path).trials) == 5


def test_a_trial_that_was_killed_counts_as_failed(tmp_path: Path, arguments: Make) -> None:
    autotune(best_at_1e4, arguments(), 1, tmp_path)
    stored(tmp_path).ask()
    autotune(best_at_1e4, arguments(), 3, tmp_path)
    states = [trial.state.name for trial in stored(tmp_path).trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_trial_below_the_median_is_ended(tmp_path: Path, arguments: Make) -> None:
    seen: list[int] = []

    def train(given: FinetuneArguments, watch: ReportToTrial) -> float:
        score = -float(len(seen))  # each trial is worse than those before it
        seen.append(0)
        for epoch in (1, 2, 3):
            # Batches differ from trial to trial, and with them the steps of an epoch.
            state = type("State", (), {"epoch": epoch - 1e-9, "global_step": epoch * len(seen)})()
            watch.on_evaluate(given, state, None, metrics={"eval_score": score})  # type: ignore[arg-type]
            seen[-1] = epoch
        return score

    autotune(train, arguments(), 5, tmp_path)
    assert seen[:3] == [3, 3, 3]
    assert seen[3:] == [0, 0]
    assert [trial.state.name for trial in stored(tmp_path).trials[3:]] == ["PRUNED", "PRUNED"]


def test_epochs_are_tuned_where_asked_for(tmp_path: Path, arguments: Make) -> None:
    found = autotune(best_at_1e4, arguments(), 3, tmp_path, Ranges(epochs=(2, 4), batch_sizes=(8,)))
    assert found.num_train_epochs in (2.0, 4.0)
    assert found.per_device_train_batch_size == 8


def test_diverged_trials_are_passed_over_and_all_of_them_are_refused(tmp_path: Path, arguments: Make) -> None:
    def train(given: FinetuneArguments, watch: ReportToTrial) -> float:
        raise DivergedError("loss is nan")

    with pytest.raises(InputError, match="none of 2 trials came to an end"):
        autotune(train, arguments(), 2, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"learning_rate": (1e-3, 1e-4)}, "the lower first, got 0.001 and 0.0001"),
        ({"batch_sizes": (0, 8)}, "numbers from 1 on, got 0, 8"),
        ({"epochs": (-1,)}, "numbers from 1 on, got -1"),
    ],
)
def test_ranges_that_hold_nothing_are_refused(wrong: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Ranges(**wrong)  # type: ignore[arg-type]


def test_less_than_one_trial_is_refused(tmp_path: Path, arguments: Make) -> None:
    with pytest.raises(InputError, match="at least 1 trial, got 0"):
        autotune(best_at_1e4, arguments(), 0, tmp_path)


def test_a_study_that_goes_on_draws_new_trials(tmp_path: Path, arguments: Make) -> None:
    autotune(best_at_1e4, arguments(), 3, tmp_path)
    autotune(best_at_1e4, arguments(), 6, tmp_path)
    rates = [trial.params["learning_rate"] for trial in stored(tmp_path).trials]
    assert len(set(rates)) == 6


@pytest.mark.parametrize("other", [{"fixed": {"model": "b"}}, {"ranges": Ranges(batch_sizes=(8,))}], ids=str)
def test_a_study_of_something_else_is_refused(tmp_path: Path, arguments: Make, other: dict[str, Any]) -> None:
    same: dict[str, Any] = {"fixed": {"model": "a"}, "ranges": Ranges()}
    autotune(best_at_1e4, arguments(), 1, tmp_path, **same)
    autotune(best_at_1e4, arguments(), 2, tmp_path, **same)
    with pytest.raises(InputError, match=r"autotune\.db was begun with (model 'a', got 'b'|batch_sizes \[32,)"):
        autotune(best_at_1e4, arguments(), 3, tmp_path, **(same | other))


def test_a_study_whose_runs_are_there_does_not_go_on(tmp_path: Path, arguments: Make) -> None:
    found = autotune(best_at_1e4, arguments(), 2, tmp_path)
    assert autotune(best_at_1e4, arguments(), 2, tmp_path, may_go_on=False) == found
    with pytest.raises(InputError, match="holds runs of what 2 trials found. Give --autotune 2, or another"):
        autotune(best_at_1e4, arguments(), 4, tmp_path, may_go_on=False)
