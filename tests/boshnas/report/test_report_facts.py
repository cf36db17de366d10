from datetime import timedelta
from pathlib import Path

import pytest
from report_runs import BEGIN, IDENTITY, failed, run_of, trial

from boshnas.report.facts import facts, lineage
from boshnas.report.gpus import gpus_each
from boshnas.trial import Attempt, Decision, Status


def test_the_best_with_its_lineage_and_its_command(tmp_path: Path):
    trials = [
        trial(0, 70.0, id="a"),
        trial(1, 71.0, id="b", parent_id="a"),
        trial(2, 75.0, id="c", parent_id="b", params=5, parameters={"num_layers": 2}, task_scores={"cola": 40.0}),
        trial(3, 72.0, id="d"),
    ]
    folder = tmp_path / "my runs" / "mini"
    best = facts(run_of(trials, folder)).best
    assert best is not None
    assert best.export is None  # there is no checkpoint to make a model of
    (folder / "jobs" / "00002" / "pretrained").mkdir(parents=True)
    best = facts(run_of(trials, folder)).best
    assert best is not None
    assert (best.row.number, best.row.score, best.row.params, best.row.task_scores) == (2, 75.0, 5, {"cola": 40.0})
    assert [row.id for row in best.lineage] == ["a", "b"]
    assert best.parameters == {"num_layers": 2}
    assert best.export == f"boshnas export '{folder}' --to my-model"


def test_repeated_measurements_of_the_best_have_a_mean_and_a_spread():
    again = trial(2, 74.0, Decision.REPLICATE, id="a")
    best = facts(run_of([trial(0, 76.0, id="a"), trial(1, 70.0), again])).best
    assert best is not None
    assert (best.num_measurements, best.mean) == (2, 75.0)
    assert best.std == pytest.approx(2**0.5)


def test_a_lineage_ends_where_the_parent_is_not_known_and_goes_round_no_circle():
    trials = [trial(0, 70.0, id="a", parent_id="b"), trial(1, 71.0, id="b", parent_id="a"), trial(2, 72.0, id="a")]
    assert [one.number for one in lineage(trials, trials[1])] == [0]
    child = trial(3, 73.0, parent_id="a")
    assert [one.number for one in lineage([*trials, child], child)] == [2]


def test_top_ten_and_baselines_stand_apart():
    baseline = trial(0, 99.0, Decision.BASELINE, id="bert", level=0)
    known = facts(run_of([baseline, *(trial(n, 70.0 + n) for n in range(1, 13))]))
    assert [row.number for row in known.top] == list(range(12, 2, -1))
    assert [(row.name, row.score) for row in known.baselines] == [("bert_mini", 99.0)]


def test_counts_hours_and_stages():
    seconds = {"pretrain": 3600.0, "finetune": 1800.0}
    known = facts(run_of([trial(0, 70.0, stage_seconds=seconds), trial(1, 71.0, stage_seconds=seconds), trial(2)]))
    assert known.counts == {"running": 1, "finished": 2}
    assert known.stage_hours == {"pretrain": 2.0, "finetune": 1.0}
    assert known.evaluation_hours == 3.0
    assert known.gpu_hours is None
    assert known.hours == pytest.approx(40 / 60)
    assert known.ended == (BEGIN + timedelta(minutes=40)).isoformat(sep=" ")


def test_gpu_hours_are_those_of_the_executors_settings(tmp_path: Path):
    config = tmp_path / "slurm.yaml"
    config.write_text("partition: gpu\ngres: gpu:a100:2\n")
    options = {"executor": "slurm", "executor_config": str(config)}
    run = run_of([trial(0, 70.0, stage_seconds={"pretrain": 3600.0})], identity=IDENTITY | {"options": options})
    known = facts(run)
    assert (known.gpus_each, known.gpu_hours) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("executor", "content", "expected"),
    [
        ("local", 'gpus: ["0", "1"]', 1.0),
        ("local", "num_slots: 2", None),
        ("ray", "num_gpus: 0.5", 0.5),
        ("slurm", "gres: gpu", 1.0),
        ("slurm", "gres: gpu:4,shard:1", 4.0),
        ("slurm", "partition: cpu", None),
        ("slurm", "no such key: 1", None),
    ],
)
def test_gpus_of_an_evaluation(executor: str, content: str, expected: float | None, tmp_path: Path):
    config = tmp_path / "executor.yaml"
    config.write_text(content)
    assert gpus_each({"executor": executor, "executor_config": str(config)}) == expected


def test_gpus_are_not_known_once_their_file_has_gone(tmp_path: Path):
    assert gpus_each({"executor": "slurm", "executor_config": str(tmp_path / "gone.yaml")}) is None


def test_failures_by_cause():
    retried = [Attempt(status=Status.OUT_OF_MEMORY, error="too large\nmore")]
    trials = [failed(0, error="boom"), failed(1, error="bang", attempts=retried), trial(2, 70.0, attempts=retried)]
    found = facts(run_of(trials)).failures
    assert [(one.cause, one.num_final, one.num_retried, one.example) for one in found] == [
        ("crashed", 2, 0, "boom"),
        ("out of memory", 0, 2, "too large"),
    ]


def test_a_run_of_an_older_package_lacks_options_and_versions():
    known = facts(run_of([trial(0, 70.0)], identity={"space": "flexibert_mini"}))
    assert (known.settings, known.versions, known.seed) == ({"space": "flexibert_mini"}, {}, None)


def test_settings_are_the_options_and_what_else_belongs_to_the_run():
    known = facts(run_of([], identity=IDENTITY | {"tasks": ["cola"]}))
    assert known.settings["budget"] == 60
    assert known.settings["tasks"] == ["cola"]
    assert known.seed == 7
    assert known.best is None
