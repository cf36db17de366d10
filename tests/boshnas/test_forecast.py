"""Forecasts of a search, whose speeds are given or timed for a moment."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boshnas import calibration, forecast
from boshnas.calibration import Speeds, measured_speeds
from boshnas.campaign import Campaign, CampaignSettings, check, open_store
from boshnas.executors.ray.settings import RaySettings
from boshnas.executors.slurm import SlurmSettings
from boshnas.forecast import TaskSize, Work, past_speeds
from boshnas.job import Result
from boshnas.trial import Decision, Proposal, Status, Trial
from design_space.counts import num_flops
from pretrain.throughput import flops_per_token

FREE = Speeds(pretrain=0.0, finetune=0.0, source="nothing")


@pytest.fixture
def space(tmp_path: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A space's file; workers take ten minutes to start."""
    monkeypatch.setattr(forecast, "startup_seconds", lambda: 600.0)
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    return tmp_path / "tiny.yaml"


def campaign_of(space: Path, **settings: Any) -> Campaign:
    values = {"budget": 12, "parallel": 3, "tasks": "sst2"} | settings
    return check(CampaignSettings(space=str(space), **values))


def forecast_of(campaign: Campaign, monkeypatch: pytest.MonkeyPatch, speeds: Speeds = FREE) -> dict[str, Any]:
    monkeypatch.setattr(forecast, "measured_speeds", lambda *_: speeds)
    return forecast.forecast(campaign, campaign.training, [])


def trial(campaign: Campaign, number: int) -> Trial:
    id_ = campaign.source.open_level(1, {})[number]
    found = campaign.source.describe(id_)
    return Trial(
        number=number,
        proposal=Proposal(id=id_, decision=Decision.RANDOM),
        level=1,
        architecture=found.architecture,
        parameters=found.parameters,
        seed=0,
    )


def test_evaluations_of_one_length_take_their_turns_on_the_slots(space: Path, monkeypatch: pytest.MonkeyPatch):
    # 12 evaluations of 10 minutes on 3 slots: 40 minutes
    found = forecast_of(campaign_of(space), monkeypatch)
    assert found["hours"] == pytest.approx(40 / 60, abs=0.01)
    assert found["hours_range"] == [found["hours"]] * 2
    assert found["evaluation_minutes"] == {"median": pytest.approx(10, abs=0.1), "max": pytest.approx(10, abs=0.1)}
    assert found["gpu_hours"] == 0.0
    assert "A forecast, not a promise." in found["note"]


@pytest.mark.parametrize(("num_gpus", "expected"), [(3, 2.0), (1, 2 / 3)])
def test_gpus_that_are_shared_count_once(space: Path, monkeypatch: pytest.MonkeyPatch, num_gpus: int, expected: float):
    campaign = replace(campaign_of(space), gpus=[str(gpu) for gpu in range(num_gpus)])
    assert forecast_of(campaign, monkeypatch)["gpu_hours"] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("executor", "num_gpus"),
    [
        (SlurmSettings(), 0),
        (SlurmSettings(gres="gpu"), 1),
        (SlurmSettings(gres="gpu:2"), 2),
        (SlurmSettings(gres="gpu:a100"), 1),
        (SlurmSettings(gres="gpu:a100:2,shard:4,gpu:t4:1"), 3),
        (SlurmSettings(gres="license:3"), 0),
        (SlurmSettings(extra=["--gpus=a100:4", "--exclusive"]), 4),
        (SlurmSettings(gres="gpu:2", extra=["--gpus-per-node=2"]), 2),
        (SlurmSettings(extra=["--tres-per-task=gres/gpu:2"]), 2),
        (SlurmSettings(extra=["--tres-per-task=cpu=8,gres/gpu:a100=2"]), 2),
        (SlurmSettings(extra=["--tres-per-task=gres:gpu:a100:2"]), 2),
        (SlurmSettings(extra=["--tres-per-task=cpu:8,gres/shard:4"]), 0),
        (RaySettings(), 0),
        (RaySettings(num_gpus=0.5), 0.5),
        (RaySettings(num_gpus=4), 4),
    ],
)
def test_a_clusters_gpus_are_those_that_each_job_asks_for(
    space: Path, monkeypatch: pytest.MonkeyPatch, executor: SlurmSettings | RaySettings, num_gpus: float
):
    campaign = replace(campaign_of(space), executor=executor, gpus=[])
    # 12 evaluations of 10 minutes
    assert forecast_of(campaign, monkeypatch)["gpu_hours"] == pytest.approx(2 * num_gpus, abs=0.02 * num_gpus)


@pytest.mark.parametrize("executor", [SlurmSettings(max_in_flight=500), RaySettings(max_in_flight=500)])
def test_jobs_of_a_cluster_do_not_share_the_cores_of_this_machine(
    space: Path, monkeypatch: pytest.MonkeyPatch, executor: SlurmSettings | RaySettings
):
    campaign = replace(campaign_of(space), executor=executor, gpus=[], num_parallel=500)
    threads: list[int] = []

    def measured(*values: Any) -> Speeds:
        threads.append(values[-1])
        return Speeds(pretrain=1.0, finetune=2.0, source="one")

    monkeypatch.setattr(forecast, "measured_speeds", measured)
    speeds = forecast._calibrated(Work(campaign, campaign.training, [TaskSize(num_trained=1, num_scored=1, length=16)]))
    assert (speeds.pretrain, speeds.finetune, threads) == (1.0, 2.0, [1])


def test_baselines_and_the_time_limit_count(space: Path, monkeypatch: pytest.MonkeyPatch):
    more = forecast_of(campaign_of(space, baselines="bert_mini,bert_tiny", parallel=1), monkeypatch)
    assert more["hours"] == pytest.approx(14 / 6, abs=0.02)
    limited = forecast_of(campaign_of(space, parallel=1, max_hours=0.9), monkeypatch)
    assert limited["hours"] == pytest.approx(1.0, abs=0.02)


def test_larger_candidates_take_longer_and_draws_differ(space: Path, monkeypatch: pytest.MonkeyPatch):
    found = forecast_of(campaign_of(space), monkeypatch, Speeds(pretrain=1e-6, finetune=1e-6, source="a slow machine"))
    low, high = found["hours_range"]
    assert low < found["hours"] < high
    assert found["evaluation_minutes"]["median"] < found["evaluation_minutes"]["max"]
    assert found["calibrated_on"] == "this machine (a slow machine)"


def test_work_is_counted_by_steps_and_rows(space: Path):
    campaign = campaign_of(space)
    recipe = campaign.training.worker.pretrain
    (one,) = campaign.space.sample(1, 1, np.random.default_rng(0))
    work = Work(campaign, campaign.training, [TaskSize(num_trained=100, num_scored=60, length=20)])
    assert work.finetune(one) == 360 * num_flops(one, 20)
    tokens = 16 * recipe.per_device_train_batch_size * recipe.max_seq_length
    per_token = flops_per_token(one, recipe.vocab_size, recipe.max_seq_length, recipe.mlm_probability)
    assert recipe.max_steps == 16
    assert work.pretrain(one) == pytest.approx(tokens * per_token)


def test_finished_evaluations_take_the_place_of_a_calibration(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    campaign = campaign_of(space, budget=6, parallel=1)
    monkeypatch.setattr(forecast, "measured_speeds", lambda *_: pytest.fail("calibrated"))
    work = Work(
        campaign, campaign.training, [forecast._task_size(campaign.training, task) for task in campaign.training.tasks]
    )
    folder = tmp_path / "run"
    with open_store(campaign, folder, resume=False) as store:
        for number in range(3):
            one = trial(campaign, number)
            store.add(one)
            architecture = campaign.source.architectures[one.id]
            seconds = {"pretrain": 2e-7 * work.pretrain(architecture), "sst2": 3e-7 * work.finetune(architecture)}
            store.finish(
                Result(number=number, id=one.id, status=Status.FINISHED, score=50.0 + number, stage_seconds=seconds)
            )
        store.add(trial(campaign, 3))  # was running
        trials = store.trials()
        speeds = past_speeds(work, trials)
    assert speeds is not None
    assert (speeds.pretrain, speeds.finetune) == (pytest.approx(2e-7), pytest.approx(3e-7))
    found = forecast.forecast(campaign, campaign.training, trials)
    assert found["calibrated_on"] == "3 finished evaluations of the run"
    # 3 of 6 are left
    minutes = found["evaluation_minutes"]
    assert 3 * 10 / 60 < found["hours"] < 3 * minutes["max"] / 60


def test_evaluations_that_took_anothers_weights_say_nothing_of_pre_training(space: Path):
    campaign = campaign_of(space)
    work = Work(campaign, campaign.training, [TaskSize(num_trained=100, num_scored=60, length=20)])
    done = replace(trial(campaign, 0), status=Status.FINISHED, score=1.0, stage_seconds={"transfer": 1.0, "sst2": 9.0})
    assert past_speeds(work, [done, trial(campaign, 1)]) is None


def test_steps_of_both_kinds_are_timed(space: Path, monkeypatch: pytest.MonkeyPatch):
    campaign = campaign_of(space)
    monkeypatch.setattr(calibration, "LIMIT_S", 0.0)
    (one,) = campaign.space.sample(1, 1, np.random.default_rng(0))
    speeds = measured_speeds(one, campaign.training.worker, 16, num_threads=1)
    assert 0 < speeds.pretrain < 1e-6
    assert 0 < speeds.finetune < 1e-6
    assert speeds.source
    assert forecast._calibrated(
        Work(campaign, campaign.training, [TaskSize(num_trained=1, num_scored=1, length=16)])
    ).source


def test_the_size_of_a_task_is_that_of_its_steps_rows_and_words(space: Path):
    campaign = campaign_of(space)
    (size,) = [forecast._task_size(campaign.training, task) for task in campaign.training.tasks]
    settings = campaign.training.worker.finetune
    assert size.num_trained == settings.max_steps * settings.per_device_train_batch_size
    assert size.num_scored > 0
    assert 3 < size.length <= settings.max_seq_length
