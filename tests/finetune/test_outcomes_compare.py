"""Two settings beside each other: which test, which rows, their sentences, and what cannot be compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from design_space.errors import InputError
from finetune.outcomes.compare import Difference, compare
from finetune.outcomes.repeats import RunOutcome, SettingOutcome
from finetune.outcomes.significance import holm, paired, welch


def outcome(
    task: str,
    by_seed: dict[int, float],
    model: str = "mini",
    data: str = "glue",
    metrics: tuple[str, ...] = ("accuracy",),
    **setting: Any,
) -> SettingOutcome:
    runs = (
        RunOutcome(
            task=task,
            seed=seed,
            score=score,
            metrics=dict.fromkeys(metrics, score / 100),
            loss=0.5,
            num_steps=3,
            seconds=2.0,
        )
        for seed, score in by_seed.items()
    )
    return SettingOutcome(model=model, data=data, task=task, runs=tuple(runs), setting=setting)


A = outcome("rte", {1: 60.0, 2: 61.0, 3: 59.0, 4: 62.0, 5: 60.0}, "adam")
B = outcome("rte", {5: 65.0, 4: 66.0, 3: 62.0, 2: 63.0, 1: 61.0}, "m-fac")
FEW = outcome("rte", {7: 60.0, 8: 62.0}, "adam")
FILES = Path("a/result.json"), Path("b/result.json")


def only(a: SettingOutcome, b: SettingOutcome) -> Difference:
    (difference,) = compare([a], [b]).differences
    return difference


def test_shared_seeds_are_compared_in_pairs_whatever_their_order():
    difference = only(A, B)
    # Differences 1, 2, 3, 4, 5, as in the example that test_significance works out.
    assert (difference.test, difference.num_a, difference.num_b) == ("paired", 5, 5)
    assert (difference.mean_a, difference.mean_b) == (pytest.approx(60.4), pytest.approx(63.4))
    assert difference.difference == pytest.approx(3)
    assert difference.p == pytest.approx(0.0132, abs=5e-5)
    assert difference.p_holm is None


def test_seeds_of_one_side_alone_are_left_out_of_the_pairs():
    more = outcome("rte", {1: 61.0, 2: 64.0, 9: 90.0}, "m-fac")
    difference = only(A, more)
    assert (difference.test, difference.num_a, difference.num_b) == ("paired", 2, 2)
    assert difference.difference == pytest.approx(2)
    assert difference.p == pytest.approx(paired(np.array([60.0, 61.0]), np.array([61.0, 64.0])).p)


@pytest.mark.parametrize("seeds", [(7, 8, 9), (1, 8, 9)])
def test_with_fewer_than_two_shared_seeds_all_runs_are_compared_by_welch(seeds: tuple[int, ...]):
    other = outcome("rte", dict(zip(seeds, (61.0, 64.0, 66.0), strict=True)), "m-fac")
    difference = only(A, other)
    assert (difference.test, difference.num_a, difference.num_b) == ("welch", 5, 3)
    expected = welch(np.array([60.0, 61.0, 59.0, 62.0, 60.0]), np.array([61.0, 64.0, 66.0]))
    assert (difference.p, difference.effect) == (pytest.approx(expected.p), pytest.approx(expected.effect))


def test_the_sentence_of_a_difference():
    assert only(A, B).sentence == "B is better than A by 3.00 points [1.04, 4.96], p = 0.013 (paired, 5 seeds)"
    assert only(B, A).sentence == "A is better than B by 3.00 points [1.04, 4.96], p = 0.013 (paired, 5 seeds)"


def test_the_sentence_where_none_is_shown():
    sentence = only(FEW, B).sentence
    assert sentence.startswith("A and B do not differ significantly: B - A is 2.40 points [-")
    assert sentence.endswith("(welch, 2 and 5 runs)")


def test_the_sentence_where_nothing_varies():
    shifted = outcome("rte", {1: 61.5, 2: 62.5, 3: 60.5, 4: 63.5, 5: 61.5})
    assert only(A, shifted).sentence == (
        "A and B do not differ significantly: B - A is 1.50 points, p = 0.062 (paired, exact, 5 seeds)"
    )
    assert only(A, A).sentence == (
        "A and B do not differ significantly: B - A is 0.00 points, p = 1 (paired, exact, 5 seeds)"
    )


def test_six_equal_differences_are_enough():
    six = {seed: 60.0 for seed in range(6)}
    assert only(outcome("rte", six), outcome("rte", {seed: 61.0 for seed in six})).sentence == (
        "B is better than A by 1.00 points, p = 0.031 (paired, exact, 6 seeds)"
    )


def test_the_score_has_a_row_beside_several_metrics_only():
    both = ("accuracy", "f1")
    a, b = (outcome("qqp", {1: 60.0, 2: 61.0 + extra}, metrics=both) for extra in (0, 1))
    assert [one.metric for one in compare([a], [b]).differences] == ["score", "accuracy", "f1"]
    assert [one.metric for one in compare([A], [B]).differences] == ["accuracy"]
    assert {round(one.difference, 9) for one in compare([a], [b]).differences} == {0.5}


def test_metrics_of_one_side_are_named_and_leave_the_score_out():
    a = outcome("qqp", {1: 60.0, 2: 61.0}, metrics=("accuracy", "f1", "precision"))
    b = outcome("qqp", {1: 60.0, 2: 62.0}, metrics=("f1", "accuracy"))
    comparison = compare([a], [b])
    assert [one.metric for one in comparison.differences] == ["accuracy", "f1"]
    assert comparison.left_out == ("qqp precision",)


def test_several_rows_are_adjusted_together_and_the_verdict_follows():
    tasks = {"rte": (1.3, 2.0, 2.7), "cola": (1.0, 1.1, 1.2), "mrpc": (0.0, 1.0, -1.5)}
    a = [outcome(task, {1: 50.0, 2: 50.0, 3: 50.0}) for task in tasks]
    b = [outcome(task, {seed: 50 + d for seed, d in enumerate(by, 1)}) for task, by in tasks.items()]
    differences = compare(a, b).differences
    assert [one.task for one in differences] == list(tasks)
    assert [one.p_holm for one in differences] == pytest.approx(holm([one.p for one in differences]))
    rte, cola, mrpc = differences
    assert [one.is_significant for one in differences] == [False, True, False]
    assert cola.sentence.endswith(f"p = {cola.p:.2g}, by Holm {3 * cola.p:.2g} (paired, 3 seeds)")
    assert rte.p < 0.05 < 2 * rte.p == pytest.approx(rte.p_holm)
    assert mrpc.p_holm == pytest.approx(mrpc.p)


def test_the_text_has_a_line_and_a_sentence_a_row():
    lines = compare([A, outcome("wnli", {1: 1.0}, "adam")], [B]).text(*FILES).splitlines()
    assert lines == [
        "A: a/result.json (model adam)",
        "B: b/result.json (model m-fac)",
        "Data: glue. Means and differences are in points.",
        "task  metric    A      B      B - A  95 % interval  effect    p      Holm p  test",
        "rte   accuracy  60.40  63.40  3.00   [1.04, 4.96]   d_z 1.90  0.013  -       paired",
        "rte accuracy: B is better than A by 3.00 points [1.04, 4.96], p = 0.013 (paired, 5 seeds).",
        "Only A or only B has: wnli.",
    ]


def test_the_text_names_what_differs_between_the_settings_and_the_seeds_that_were_left_out():
    seeds = {0: 60.0, 1: 61.0, 2: 62.0, 3: 63.0, 4: 64.0}
    fewer = {seed: 62.0 for seed in (0, 1, 2)}
    a = [outcome(task, seeds, rate=1e-4, rows=rows) for task, rows in (("mrpc", 9), ("rte", 5))]
    b = [outcome(task, fewer, rate=3e-4, rows=5) for task in ("mrpc", "rte")]
    lines = compare(a, b).text(*FILES).splitlines()
    assert lines[2:5] == [
        "rate: A 0.0001, B 0.0003",
        "rows: A 9, B 5 (mrpc)",
        "Data: glue. Means and differences are in points.",
    ]
    assert lines[-1] == "Left out of mrpc, rte: seeds 3, 4 of A."


def test_seeds_are_left_out_of_pairs_alone():
    a, b = outcome("rte", {1: 60.0, 2: 61.0, 3: 62.0}), outcome("rte", {8: 60.0, 1: 61.0, 2: 62.5, 9: 63.0})
    comparison = compare([a], [b])
    assert comparison.seeds_left_out == {"rte": {"a": [3], "b": [8, 9]}}
    assert comparison.text(*FILES).endswith("\nLeft out of rte: seed 3 of A and seeds 8, 9 of B.\n")
    assert compare([a], [FEW]).seeds_left_out == compare([A], [B]).seeds_left_out == {}


def test_the_text_of_two_tasks_names_the_effect_of_each_test():
    tasks = [FEW, outcome("cola", {1: 50.0, 2: 50.0}, "adam")], [B, outcome("cola", {1: 50.0, 2: 50.0}, "m-fac")]
    rows = [line.split("  ") for line in compare(*tasks).text(*FILES).splitlines()[4:6]]
    rte, cola = ([cell.strip() for cell in row if cell.strip()] for row in rows)
    assert (rte[6].split()[0], rte[-1]) == ("d", "welch")
    assert cola[5:] == ["-", "-", "1", "1", "paired, exact"]


def test_the_json_is_strict_and_has_the_sentences():
    comparison = compare(
        [A, outcome("cola", {1: 50.0, 2: 50.0, 3: 1.0}, "adam")], [B, outcome("cola", {1: 50.0, 2: 50.0}, "m-fac")]
    )
    content: dict[str, Any] = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert (content["model_a"], content["model_b"], content["data"]) == ("adam", "m-fac", "glue")
    assert content["unit"] == "points"
    assert content["seeds_left_out"] == {"cola": {"a": [3], "b": []}}
    assert content["settings_differ"] is None
    rte, cola = content["differences"]
    assert rte["sentence"] == comparison.differences[0].sentence
    assert (rte["task"], rte["metric"], rte["test"]) == ("rte", "accuracy", "paired")
    assert rte["difference"] == pytest.approx(3)
    assert rte["low"] < 3 < rte["high"]
    assert (cola["low"], cola["effect"], cola["p"], cola["p_holm"]) == (None, None, 1.0, 1.0)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            [A],
            [outcome("rte", {1: 60.0})],
            "^compare: B must have at least 2 runs of rte, got 1. Run it with more seeds",
        ),
        ([outcome("rte", {1: 60.0})], [B], "^compare: A must have at least 2 runs of rte, got 1"),
        (
            [A],
            [outcome("cola", {1: 1.0, 2: 2.0})],
            "^compare: A and B must share a task, got rte and cola. Run both on",
        ),
        (
            [A],
            [outcome("rte", {1: 1.0, 2: 2.0}, data="demo")],
            "^compare: A and B must be of the same data, got 'glue' and 'demo'. Run both on one",
        ),
        (
            [A],
            [outcome("rte", {1: 1.0, 2: 2.0}, metrics=("f1",))],
            "^compare: A and B must share a metric of rte, got accuracy and f1",
        ),
        (
            [outcome("rte", {1: 1.0, 2: 2.0}, num_validation_rows=408)],
            [outcome("rte", {1: 1.0, 2: 2.0}, num_validation_rows=100)],
            "^compare: A and B must be scored on the same rows of rte, got 408 and 100. Run both with",
        ),
        ([A, outcome("cola", {1: 1.0}, "base")], [B], "^runs: must be of one model and data, got 'adam' on 'glue'"),
        ([A], [], "^runs: must be of at least one task, got none"),
    ],
)
def test_what_cannot_be_compared_is_refused(a: list[SettingOutcome], b: list[SettingOutcome], message: str):
    with pytest.raises(InputError, match=message):
        compare(a, b)
