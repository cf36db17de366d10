from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from boshnas import Run
from boshnas.errors import InputError
from boshnas.job import Result
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Decision, Proposal, Status, Trial

CHOICES = {"num_layers": [2, 4], "layer1.operation": ["sa-sdp", "c-5"], "layer3.operation": ["sa-sdp", "c-5"]}


def trial(number: int, decision: Decision = Decision.OPTIMISE, **parameters: str | int) -> Trial:
    return Trial(
        number=number,
        proposal=Proposal(id=f"id{number}", decision=decision, mean=70.0, epistemic_std=1.0, aleatoric_std=0.5),
        level=1,
        architecture={"l": 2},
        parameters=parameters,
        seed=0,
        params=4_000_000 + number,
        parent_id="id0" if number else None,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / STORE_FILE, {}, CHOICES, score_name="GLUE score") as store:
        yield store


def finish(store: Store, number: int, score: float) -> None:
    seconds, tasks = {"pretrain": 10.0, "finetune": 5.0}, {"cola": score - 1, "mrpc": score + 1}
    store.finish(
        Result(
            number=number,
            id=f"id{number}",
            status=Status.FINISHED,
            score=score,
            task_scores=tasks,
            stage_seconds=seconds,
        )
    )


def test_one_row_a_trial_with_what_was_foreseen_and_what_was_measured(store: Store, tmp_path: Path):
    store.add(trial(0, **{"num_layers": 2, "layer1.operation": "c-5"}))
    finish(store, 0, 71.0)
    store.add(trial(1, **{"num_layers": 4, "layer1.operation": "c-5", "layer3.operation": "sa-sdp"}))
    store.finish(Result(number=1, id="id1", status=Status.CRASHED, error="boom <b>\nTraceback …"))
    store.add(trial(2, **{"num_layers": 2, "layer1.operation": "sa-sdp"}))
    table = Run.open(tmp_path).to_pandas()
    assert list(table["status"]) == ["finished", "crashed", "running"]
    assert table["score"].iloc[0] == 71.0
    assert table["score"].iloc[1:].isna().all()
    assert list(table["params"]) == [4_000_000, 4_000_001, 4_000_002]
    assert list(table["error"])[1] == "boom <b>"
    assert table.loc[0, ["task.cola", "task.mrpc"]].tolist() == [70.0, 72.0]
    assert table.loc[0, "seconds.pretrain"] == 10.0
    assert table["choice.layer3.operation"].isna().tolist() == [True, False, True]
    assert list(table.columns).index("task.mrpc") < list(table.columns).index("seconds.pretrain")


def test_hours_count_from_the_first_begin(store: Store, tmp_path: Path):
    for number in range(2):
        store.add(trial(number, num_layers=2))
    finish(store, 1, 70.0)
    run = Run.open(tmp_path)
    table = run.to_pandas()
    began, ended = run.times[0][0], run.times[1][1]
    assert ended is not None
    assert table["hours"].iloc[1] == pytest.approx((ended - began) / timedelta(hours=1))
    assert pd.isna(table["hours"].iloc[0])


def test_the_best_is_no_baseline(store: Store, tmp_path: Path):
    store.add(trial(0, Decision.BASELINE))
    store.add(trial(1))
    assert Run.open(tmp_path).best is None
    finish(store, 0, 90.0)
    finish(store, 1, 70.0)
    run = Run.open(tmp_path)
    assert run.best is not None
    assert (run.best.number, run.score_name) == (1, "GLUE score")


def test_a_run_without_trials_is_an_empty_table(store: Store, tmp_path: Path):
    table = Run.open(tmp_path).to_pandas()
    assert len(table) == 0
    assert table["score"].dtype == float


def test_no_run_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"store\.db"):
        Run.open(tmp_path)
