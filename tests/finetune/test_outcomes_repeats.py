"""Runs over seeds: mean and deviation by hand, their mean over tasks, and runs that do not belong together."""

import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from design_space.errors import InputError
from finetune.outcomes.repeats import (
    RunOutcome,
    SettingOutcome,
    common_setting,
    overall,
    overall_without_wnli,
    points,
)


def run(seed: int = 1, accuracy: float = 0.8, f1: float = 0.6, **changes: Any) -> RunOutcome:
    values: dict[str, Any] = {
        "task": "qqp",
        "seed": seed,
        "score": 50 * (accuracy + f1),
        "metrics": {"accuracy": accuracy, "f1": f1},
        "loss": 0.4,
        "num_steps": 7,
        "seconds": 1.5,
    }
    return RunOutcome(**values | changes)


def setting(*runs: RunOutcome, task: str = "qqp", model: str = "mini", data: str = "glue") -> SettingOutcome:
    return SettingOutcome(model=model, data=data, task=task, runs=runs)


def scored(task: str, **by_seed: float) -> SettingOutcome:
    runs = (run(int(seed[1:]), task=task, score=score) for seed, score in by_seed.items())
    return setting(*runs, task=task)


THREE = setting(run(1, 0.80, 0.60), run(2, 0.83, 0.66), run(5, 0.86, 0.60))


def test_mean_and_sample_deviation_by_hand():
    # Accuracy: deviations −.03, 0, .03, squares 2 · .0009, over 2. F1: −.02, .04, −.02, squares .0024, over 2.
    assert THREE.mean == pytest.approx({"score": (70 + 74.5 + 73) / 3, "accuracy": 0.83, "f1": 0.62})
    # Scores 70, 74.5, 73: deviations −2.5, 2, .5, squares 10.5, over 2.
    assert THREE.std == pytest.approx({"score": math.sqrt(5.25), "accuracy": 0.03, "f1": math.sqrt(0.0012)})
    assert list(THREE.mean) == ["score", "accuracy", "f1"]


def test_the_best_run_has_the_greatest_score_and_the_first_of_equal_ones_counts():
    assert THREE.best.seed == 2
    assert setting(run(9), run(3)).best.seed == 9


def test_one_run_has_no_deviation():
    alone = setting(run(4))
    assert alone.std is None
    assert alone.mean == pytest.approx({"score": 70, "accuracy": 0.8, "f1": 0.6})


def test_values_stand_in_the_order_of_the_runs():
    assert THREE.seeds == [1, 2, 5]
    assert THREE.values("score").tolist() == [70, 74.5, 73]
    assert THREE.values("f1").tolist() == [0.6, 0.66, 0.6]


def test_metrics_are_a_hundredfold_in_points_and_the_score_is_not():
    assert points("accuracy", 0.5) == 50
    assert points("score", 50.0) == 50


def test_outcomes_are_frozen():
    with pytest.raises(FrozenInstanceError):
        run().score = 1.0  # type: ignore[misc]


def test_over_tasks_the_mean_is_that_of_the_means_and_the_deviation_that_over_shared_seeds():
    tasks = [scored("cola", s1=50.0, s2=54.0), scored("sst2", s2=90.0, s1=92.0), scored("wnli", s1=40.0, s2=60.0)]
    # Seed 1: (50 + 92 + 40) / 3, seed 2: (54 + 90 + 60) / 3; they differ by 22 / 3: the deviation is that over √2.
    assert overall(tasks).mean == pytest.approx((52 + 91 + 50) / 3)
    assert overall(tasks).std == pytest.approx(22 / 3 / math.sqrt(2))
    without = overall_without_wnli(tasks)
    assert without is not None
    assert (without.mean, without.std) == (pytest.approx(71.5), pytest.approx(1 / math.sqrt(2)))
    assert overall(tasks[:2]) == without


def test_over_tasks_there_is_no_deviation_without_shared_seeds():
    assert overall([scored("cola", s1=50.0, s2=54.0), scored("rte", s1=60.0, s3=62.0)]).std is None
    assert overall([scored("cola", s1=50.0, s2=54.0), scored("rte", s1=60.0)]).std is None
    assert overall([scored("cola", s1=50.0), scored("rte", s1=60.0)]).std is None


def test_wnli_alone_leaves_nothing_over():
    assert overall_without_wnli([scored("wnli", s1=50.0)]) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": {}}, r"^qqp, seed 1: metrics must be at least one, none of them 'score', got \[\]"),
        ({"metrics": {"score": 0.5}}, r"none of them 'score', got \['score'\]"),
        ({"metrics": {"f1": 58.02}}, r"^qqp, seed 1: f1 must be in \[-1, 1\], got 58.02. Divide percentages by 100"),
        ({"metrics": {"f1": math.nan}}, r"f1 must be in \[-1, 1\], got nan"),
        ({"score": math.nan}, "^qqp, seed 1: score must be finite, got nan. Leave runs out that diverged"),
        ({"loss": math.inf}, "loss must be finite, got inf"),
        (
            {"intervals": {"f1": (0.7, 0.6)}},
            r"intervals must be \(low, high\) of some of score, accuracy, f1, got 'f1'",
        ),
        ({"intervals": {"recall": (0.1, 0.2)}}, r"got 'recall': \(0.1, 0.2\). Leave it out"),
    ],
)
def test_a_run_that_cannot_be_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        run(**changes)


def test_an_interval_may_be_of_a_metric_or_of_the_score():
    assert run(intervals={"f1": (0.5, 0.7), "score": (60.0, 80.0)}).intervals["score"] == (60.0, 80.0)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ((), "^qqp: runs must be at least one, got none"),
        ((run(1), run(2), run(1)), "^qqp: seeds must differ, got 1 2 times. Leave one of the runs out"),
        ((run(1), run(2, task="mrpc")), "^qqp: runs must be of this task, got 'mrpc'"),
        (
            (run(1), run(2, metrics={"accuracy": 0.5})),
            "^qqp: runs must have the same metrics, got accuracy for seed 2 and accuracy, f1 for seed 1",
        ),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(runs: tuple[RunOutcome, ...], message: str):
    with pytest.raises(InputError, match=message):
        setting(*runs)


def test_metrics_on_test_rows_are_in_the_range_of_those_of_the_runs():
    assert replace(THREE, test={"f1": -1.0}).test == {"f1": -1.0}
    for value in (58.02, math.nan):
        with pytest.raises(InputError, match=r"^qqp, test rows: f1 must be in \[-1, 1\], got .* Divide percentages"):
            replace(THREE, test={"f1": value})


def test_a_setting_has_one_model_and_data_and_an_outcome_a_task():
    assert common_setting([THREE, scored("rte", s1=1.0)]) == ("mini", "glue")


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ([], "^runs: must be of at least one task, got none"),
        ([THREE, setting(run(1), model="base")], "one model and data, got 'base' on 'glue' and 'mini' on 'glue'"),
        ([THREE, setting(run(1), data="demo")], "got 'mini' on 'demo' and 'mini' on 'glue'. Keep them apart"),
        ([THREE, setting(run(1))], "^runs: each task must have one outcome, got 'qqp' 2 times"),
    ],
)
def test_outcomes_of_several_settings_are_refused(outcomes: list[SettingOutcome], message: str):
    with pytest.raises(InputError, match=message):
        common_setting(outcomes)
