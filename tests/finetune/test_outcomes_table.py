"""The Markdown tables, cell by cell."""

from dataclasses import replace

import pytest

from design_space.errors import InputError
from finetune.outcomes.repeats import RunOutcome, SettingOutcome
from finetune.outcomes.table import seeds_table, tasks_table


def outcome(task: str, by_seed: dict[int, float], model: str = "mini", data: str = "glue") -> SettingOutcome:
    runs = (
        RunOutcome(task=task, seed=s, score=v, metrics={"accuracy": v / 100}, loss=0.5, num_steps=3, seconds=2.0)
        for s, v in by_seed.items()
    )
    return SettingOutcome(model=model, data=data, task=task, runs=tuple(runs))


def test_a_row_a_metric_with_each_seed_and_the_best_marked():
    assert seeds_table(outcome("rte", {42: 60.0, 43: 64.0})).splitlines() == [
        "| mini, rte | mean ± sd | seed 42 | seed 43 (best) |",
        "|---|---|---|---|",
        "| score | 62.00 ± 2.83 | 60.00 | 64.00 |",
        "| accuracy | 62.00 ± 2.83 | 60.00 | 64.00 |",
    ]


def test_one_run_shows_no_deviation_and_no_best():
    table = seeds_table(outcome("rte", {42: 60.0}))
    assert "±" not in table
    assert "best" not in table
    assert table.splitlines()[2] == "| score | 60.00 | 60.00 |"
    assert "±" not in tasks_table([outcome("rte", {42: 60.0})])


def test_further_figures_stand_below_each_in_its_unit():
    given = outcome("closed_book_qa", {42: 60.0, 43: 64.0})
    details = [
        {"near_misses": 0.25, "words_too_many": 1.5, "a|b exact_match": 0.5, "best_token_f1_threshold": -1.5},
        {"near_misses": 0.75, "words_too_many": 2.5, "a|b exact_match": 0.0},
    ]
    runs = (
        replace(run, details=found, intervals={"accuracy": (0.5, 0.7)})
        for run, found in zip(given.runs, details, strict=True)
    )
    assert seeds_table(replace(given, runs=tuple(runs))).splitlines()[4:] == [
        "| near_misses | 50.00 | 25.00 | 75.00 |  |",
        "| words_too_many | 2.00 | 1.50 | 2.50 |  |",
        "| a\\|b exact_match | 25.00 | 50.00 | 0.00 |  |",
        "| best_token_f1_threshold | -1.5000 | -1.5000 |  |  |",
    ]


def with_intervals(by_seed: dict[int, float]) -> SettingOutcome:
    given = outcome("rte", by_seed)
    runs = (replace(run, intervals={"accuracy": (run.score / 100 - 0.05, 0.7)}) for run in given.runs)
    return replace(given, runs=tuple(runs))


def test_the_interval_of_the_best_run_in_points():
    lines = seeds_table(with_intervals({42: 64.0, 43: 60.0})).splitlines()
    assert lines[0].endswith("| seed 42 (best) | seed 43 | 95 % interval of the best run |")
    assert lines[2:] == [
        "| score | 62.00 ± 2.83 | 64.00 | 60.00 |  |",
        "| accuracy | 62.00 ± 2.83 | 64.00 | 60.00 | [59.00, 70.00] |",
    ]


def test_the_interval_of_one_run():
    lines = seeds_table(with_intervals({42: 64.0})).splitlines()
    assert lines[0] == "| mini, rte | mean | seed 42 | 95 % interval |"
    assert lines[3] == "| accuracy | 64.00 | 64.00 | [59.00, 70.00] |"


def test_the_interval_of_a_score_is_in_points_already():
    (run,) = outcome("rte", {42: 64.0}).runs
    given = SettingOutcome(model="m", data="glue", task="rte", runs=(replace(run, intervals={"score": (60.0, 68.0)}),))
    assert seeds_table(given).splitlines()[2] == "| score | 64.00 | 64.00 | [60.00, 68.00] |"


def test_metrics_on_test_rows_and_their_mean_as_the_score():
    given = outcome("qqp", {42: 60.0})
    runs = (replace(given.runs[0], metrics={"accuracy": 0.5, "f1": 0.7}),)
    lines = seeds_table(replace(given, runs=runs, test={"accuracy": 0.4, "f1": 0.5})).splitlines()
    assert lines[0] == "| mini, qqp | mean | seed 42 | test (best run) |"
    assert [line.split(" | ")[-1] for line in lines[2:]] == ["45.00 |", "40.00 |", "50.00 |"]
    assert "test" not in seeds_table(replace(given, test={}))


def test_a_row_a_task_then_their_mean_with_and_without_wnli():
    tasks = [outcome("rte", {1: 60.0, 2: 64.0}), outcome("wnli", {1: 50.0, 2: 56.0})]
    assert tasks_table(tasks).splitlines() == [
        "| mini | score ± sd | metrics ± sd | runs |",
        "|---|---|---|---|",
        "| rte | 62.00 ± 2.83 | accuracy 62.00 ± 2.83 | 2 |",
        "| wnli | 53.00 ± 4.24 | accuracy 53.00 ± 4.24 | 2 |",
        "| GLUE score over 2 tasks | 57.50 ± 3.54 |  |  |",
        "| GLUE score without WNLI | 62.00 ± 2.83 |  |  |",
    ]


def test_seeds_that_differ_leave_the_mean_over_tasks_without_deviation():
    last = tasks_table([outcome("rte", {1: 60.0, 2: 64.0}), outcome("cola", {1: 50.0, 3: 56.0})]).splitlines()[-1]
    assert last == "| GLUE score over 2 tasks | 57.50 |  |  |"


@pytest.mark.parametrize(
    ("task", "data", "name"),
    [
        ("rte", "glue", "GLUE score over 1 task"),
        ("rte", "demo", "demo GLUE score (synthetic data) over 1 task"),
        ("agnews", "glue", "mean score over 1 task"),
        ("agnews", "demo", "demo mean score (synthetic data) over 1 task"),
    ],
)
def test_the_mean_is_called_what_it_is(task: str, data: str, name: str):
    assert tasks_table([outcome(task, {1: 60.0}, data=data)]).splitlines()[-1].startswith(f"| {name} | 60.00 |")


def test_a_name_cannot_break_the_table():
    assert seeds_table(outcome("rte", {1: 60.0}, model="a|b")).startswith("| a\\|b, rte | mean |")


def test_outcomes_of_two_settings_have_no_table():
    with pytest.raises(InputError, match="must be of one model and data"):
        tasks_table([outcome("rte", {1: 60.0}), outcome("cola", {1: 60.0}, model="base")])
