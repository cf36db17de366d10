import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_runs import IDENTITY, failed, made_trials, run_of, trial

from boshnas.objective import Objective
from boshnas.report import figures
from boshnas.report.facts import facts
from boshnas.report.plots import Panel, panels
from boshnas.report.plots.choices import choice_table, choices, importances
from boshnas.report.plots.embedding import embedding, feature_rows
from boshnas.report.plots.panel import shown, thinned
from boshnas.report.plots.prediction import Predictions, calibration, coverage, predicted
from boshnas.report.plots.progress import by_evaluations, by_hours
from boshnas.report.plots.size import pareto_front, size
from boshnas.report.plots.tasks import tasks
from boshnas.report.plots.time import failures, stages
from boshnas.saved_run import Run
from boshnas.trial import Decision, Status, Trial

NAMES = ["best_by_evaluations", "best_by_hours", "size", "tasks", "map", "choices", "predicted", "calibration"]
NAMES += ["stages", "failures"]


def trace(panel: Panel, name: str) -> Any:
    assert panel.figure is not None
    return next(one for one in panel.figure.data if one.name == name)


def test_a_whole_search_has_every_figure_and_the_same_one_twice():
    run = run_of(made_trials(60))
    drawn = figures(run)
    assert list(drawn) == NAMES
    assert all(figure.layout.title.text for figure in drawn.values())
    assert {name: figure.to_json() for name, figure in figures(run).items()} == {
        name: figure.to_json() for name, figure in drawn.items()
    }


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [trial(0)],
        [failed(number, Status.OUT_OF_MEMORY) for number in range(12)],
        [trial(0, 70.0, Decision.BASELINE, level=0)],
        [trial(0, 70.0, parameters={"num_layers": 2}, params=10, task_scores={"cola": 1.0}, mean=70.0)],
        [trial(number, 70.0, parameters={"a": number % 2, "b": "x"}, mean=70.0, params=1) for number in range(12)],
        [
            trial(number, (-1) ** number * 1e300, parameters={"a": number, "b": -number}, mean=1.0)
            for number in range(12)
        ],
    ],
    ids=["none", "running", "failures", "baseline", "one", "equal", "huge"],
)
@pytest.mark.filterwarnings("error")
def test_a_figure_that_cannot_be_drawn_is_a_sentence(trials: list[Trial]):
    drawn = panels(run_of(trials, identity={}))
    assert list(drawn) == NAMES
    assert all(panel.finding.endswith(".") for panel in drawn.values())
    for panel in drawn.values():
        assert panel.figure is None or json.loads(panel.figure.to_json())


def test_best_so_far_by_evaluations():
    trials = [
        trial(0, 80.0, Decision.BASELINE, level=0, id="bert"),
        *(trial(number, score, Decision.RANDOM) for number, score in ((1, 70.0), (2, 69.0))),
        *(trial(number, score) for number, score in ((3, 72.0), (4, 71.0))),
        trial(5),
    ]
    panel = by_evaluations(run_of(trials))
    best = trace(panel, "best so far")
    assert (list(best.x), list(best.y)) == ([1, 3, 5], [70.0, 72.0, 72.0])
    assert list(trace(panel, "random").x) == [1, 2]
    assert list(trace(panel, "baseline bert_mini").y) == [80.0, 80.0]
    (shaded,) = panel.figure.layout.shapes
    assert (shaded.x0, shaded.x1) == (-0.5, 2.5)
    assert "72.00, is that of evaluation #3; 2 evaluations came after it. It is 8.00 worse" in panel.finding


def test_best_so_far_by_time_is_in_the_order_of_the_ends():
    run = run_of([trial(0, 71.0), trial(1, 70.0), trial(2, 72.0)])
    (begin, _), swapped = run.times[0], dict(run.times)
    swapped[0] = (begin, run.times[2][1])
    panel = by_hours(replace(run, times=swapped))
    assert list(trace(panel, "best so far").y) == [70.0, 71.0, 72.0, 72.0]
    assert panel.figure.layout.xaxis.title.text == "minutes since the start"
    assert list(trace(panel, "optimise").x) == pytest.approx([40.0, 50.0, 50.0])


def test_times_that_are_not_known_are_told():
    panel = by_hours(Run(folder=Path("x"), identity=IDENTITY, trials=[trial(0, 70.0)]))
    assert (panel.figure, "known time" in panel.finding) == (None, True)


def test_the_pareto_front_is_small_and_good():
    sizes_and_scores = [(10, 70.0), (20, 69.0), (20, 75.0), (30, 75.0), (5, 60.0), (40, 80.0)]
    trials = [trial(n, score, params=params) for n, (params, score) in enumerate(sizes_and_scores)]
    assert [one.number for one in pareto_front([*trials, trial(9, 99.0), trial(10, params=1)], Objective())] == [
        4,
        0,
        2,
        5,
    ]
    panel = size(run_of(trials))
    assert list(trace(panel, "Pareto front").x) == [5, 10, 20, 40]
    assert panel.figure.layout.xaxis.type is None


def test_sizes_over_decades_are_on_a_logarithmic_axis():
    assert size(run_of([trial(0, 1.0, params=1), trial(1, 2.0, params=100)])).figure.layout.xaxis.type == "log"


def test_tasks_are_told_beside_the_best_of_each():
    trials = [
        trial(0, 70.0, task_scores={"cola": 40.0, "mrpc": 90.0}),
        trial(1, 71.0, task_scores={"cola": 45.0}),
        trial(2, 99.0, Decision.BASELINE, task_scores={"cola": 99.0}),
    ]
    heatmap = tasks(run_of(trials)).figure.data[0]
    assert [row[0] for row in heatmap.z] == [0.0, 5.0]
    assert np.isnan(heatmap.z[0][1])
    assert heatmap.z[1][1] == 0.0
    assert [list(row) for row in heatmap.text] == [["45.0", ""], ["40.0", "90.0"]]


def test_the_map_has_a_point_a_candidate_and_its_path_in_order():
    trials = made_trials(30)
    panel = embedding(run_of(trials))
    known = [one for one in trials if one.score is not None and one.parameters]
    rows = feature_rows(known)
    assert rows is not None
    centred = rows - rows.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    path = np.column_stack([trace(panel, "path").x, trace(panel, "path").y])
    assert np.abs(path) == pytest.approx(np.abs(centred @ axes[:2].T))
    share = (values[:2] ** 2).sum() / (values**2).sum()
    assert f"{share:.0%} of the variance" in panel.finding
    drawn = [one for one in panel.figure.data if one.marker.colorscale]
    assert sorted(score for one in drawn for score in one.marker.color) == sorted(one.score for one in known)


def test_an_absent_choice_is_a_choice_of_its_own():
    table = choice_table([trial(0, 1.0, parameters={"a": 1, "b": "x"}), trial(1, 1.0, parameters={"a": 1})])
    assert list(table.columns) == ["b"]
    assert list(table["b"]) == ["x", "absent"]


def test_the_choice_that_makes_the_score_matters_most():
    rng = np.random.default_rng(0)
    operations, widths = rng.choice(["sa", "c", "l"], 60), rng.choice([128, 256], 60)
    scores = 5.0 * (operations == "sa") + 1.0 * (widths == 256)
    trials = [
        trial(n, float(scores[n]), parameters={"noise": int(rng.integers(2)), "op": str(operations[n]), "w": int(w)})
        for n, w in enumerate(widths)
    ]
    values, explained = importances(choice_table(trials), scores)
    assert list(np.argsort(-values)) == [1, 2, 0]
    assert explained > 0.9
    panel = choices(run_of(trials))
    assert list(panel.figure.layout.yaxis.ticktext) == ["op", "w", "noise"]
    assert "op tells most of the score, as far as the choices tell it at all (100%" in panel.finding


def test_a_number_matters_by_its_quarters():
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.0, 1.0, 80)
    trials = [
        trial(n, float(rate**2), parameters={"lr": float(rate), "op": ["a", "b"][n % 2]})
        for n, rate in enumerate(rates)
    ]
    trials.append(trial(80, 0.5, parameters={"op": "a"}))
    table = choice_table(trials)
    assert (table["lr"].dtype, np.isnan(table["lr"].iloc[-1])) == (np.float64, True)
    panel = choices(run_of(trials))
    assert list(panel.figure.layout.yaxis.ticktext) == ["lr", "op"]
    quarter = np.sort(rates)[-20:]
    assert f"{quarter.min():g} to {quarter.max():g} has a mean score of" in panel.finding
    assert panel.figure.data[0].text[0].count("<br>") == 4  # four quarters and `absent`


def test_less_may_be_better():
    trials = [trial(n, score, params=10 + n) for n, score in enumerate([0.9, 0.5, 0.7, 0.3])]
    trials.append(trial(4, 0.4, Decision.BASELINE, level=0))
    run = replace(run_of(trials), objective=Objective("minimize"))
    drawn = by_evaluations(run)
    assert list(trace(drawn, "best so far").y) == [0.9, 0.5, 0.3, 0.3]
    assert "The best GLUE score, 0.3000, is that of evaluation #3" in drawn.finding
    assert "0.1000 better than the best baseline" in drawn.finding
    assert list(trace(size(run), "Pareto front").y) == [0.9, 0.5, 0.3]
    assert [row.number for row in facts(run).top] == [3, 1, 2, 0]


def test_chance_is_no_importance():
    rng = np.random.default_rng(0)
    trials = [trial(n, float(rng.normal()), parameters={"a": n % 2, "b": n % 3}) for n in range(40)]
    panel = choices(run_of(trials))
    assert (panel.figure, "no better than their mean" in panel.finding) == (None, True)


def test_predictions_have_both_uncertainties():
    trials = [trial(0, 70.0), trial(1, 71.0, mean=70.0, epistemic_std=3.0, aleatoric_std=4.0), trial(2, mean=1.0)]
    found = Predictions.of([one for one in trials if one.score is not None])
    assert (list(found.total_std), list(found.measured)) == ([5.0], [71.0])
    bars = [list(one.error_x.array) for one in predicted(run_of(trials)).figure.data if one.error_x.array is not None]
    assert bars == [[5.0], [3.0]]


def test_the_rank_correlation_is_spearmans():
    found = Predictions.of([trial(n, score, mean=float(n)) for n, score in enumerate((1.0, 3.0, 2.0))])
    assert found.rank_correlation == pytest.approx(0.5)
    assert np.isnan(Predictions.of([trial(0, 1.0, mean=1.0), trial(1, 1.0, mean=2.0)]).rank_correlation)


def test_coverage_is_the_share_within_the_central_interval():
    # One std on either side holds 68 % of a normal distribution.
    offsets = (0.0, 0.9, -0.9, 1.1, -3.0)
    found = Predictions.of([trial(n, 70.0 + by, mean=70.0, epistemic_std=1.0) for n, by in enumerate(offsets)])
    assert list(coverage(found, np.array([0.01, 0.6827, 0.99]))) == [0.2, 0.6, 0.8]


def test_a_surrogate_that_is_too_sure_is_told():
    trials = [trial(n, 70.0 + (-1) ** n * 5, mean=70.0, epistemic_std=1.0) for n in range(20)]
    panel = calibration(run_of(trials))
    assert set(trace(panel, "this run").y) == {0.0}
    assert "mostly too sure" in panel.finding
    assert "held 0% of 20" in panel.finding


def test_time_by_stage_and_failures_by_cause():
    seconds = {"pretrain": 5400.0, "finetune": 1800.0}
    panel = stages(run_of([trial(0, 70.0, stage_seconds=seconds)]))
    assert list(panel.figure.data[0].x) == [1.5, 0.5]
    assert panel.finding == "pretrain took 75% of 2 hours of evaluation."
    panel = failures(run_of([failed(0), failed(1), trial(2, 70.0)]))
    assert list(trace(panel, "failed for good").x) == [2]
    assert panel.finding.startswith("2 of 3 evaluations failed for good")


def test_many_points_are_thinned_and_it_is_told():
    trials = [trial(n, float(n % 1000)) for n in range(5000)]
    kept, sentence = thinned(trials, Objective(), 100)
    assert len(kept) == 100
    assert [one.number for one in kept] == sorted(one.number for one in kept)
    assert sum(one.score == 999.0 for one in kept) >= 5
    assert sentence.startswith(" 100 of 5,000 points are drawn")
    assert thinned(trials[:100], Objective(), 100) == (trials[:100], "")


def test_large_runs_make_small_figures():
    drawn = panels(run_of(made_trials(5000)))
    assert all(len(panel.figure.to_json()) < 600_000 for panel in drawn.values())
    assert "2,000 of" in drawn["map"].caption


def test_texts_of_the_user_are_no_tags():
    assert shown("<b>\n$x$</b>") == "&lt;b&gt; &#36;x&#36;&lt;/b&gt;"
    assert shown("a" * 80, 10) == "aaaaaaaaa…"
    heatmap = tasks(run_of([trial(0, 1.0, task_scores={"<a href=x>": 1.0})])).figure
    assert heatmap.layout.xaxis.ticktext == ("&lt;a href=x&gt;",)
