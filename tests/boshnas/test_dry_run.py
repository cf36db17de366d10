"""`--dry-run`: what it tells a person, and what it refuses that a real start would."""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from boshnas import calibration, dry_run, forecast
from boshnas.campaign import check, open_store
from boshnas.campaign_settings import CampaignSettings
from boshnas.errors import InputError
from boshnas.executors.gpus import absent_gpus
from boshnas.forecast import forecast_by_past
from boshnas.job import Result
from boshnas.run import main
from boshnas.trial import Decision, Proposal, Status, Trial
from boshnas.wording import clock

EVALUATOR = f"{sys.executable} evaluate.py {{job}}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs, with a space and no cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calibration, "LIMIT_S", 0.0)
    monkeypatch.setattr(forecast, "startup_seconds", lambda: 60.0)
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    (tmp_path / "evaluate.py").touch()
    return tmp_path


def dry(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    """What a dry run writes on stdout and on stderr."""
    assert main(["--space", "tiny.yaml", "--dry-run", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_person_reads_lines_and_no_json(capsys: pytest.CaptureFixture[str]):
    said, _ = dry(capsys, "--budget", "12", "--parallel", "3", "--tasks", "sst2", "--baselines", "bert_mini")
    lines = said.splitlines()
    assert lines[:7] == [
        "Space: tiny",
        "Level 1: 6 evaluations of 156 architectures",
        "Level 2: 4 evaluations of 20,880 architectures",
        "Level 3: 2 evaluations of 20,880 architectures",
        "Proposals: the first 4 at random, then by surrogate boshnas",
        "Baselines: bert_mini",
        "Executor: local, 3 evaluations at a time",
    ]
    assert lines[7:9] == ["Training: recipe demo, 16 steps; data demo", "Tasks: sst2"]
    assert lines[9].startswith("Forecast: ")
    assert lines[9].endswith(", 0 GPU hours")
    assert lines[10].startswith("Minutes an evaluation: ")
    assert lines[11].startswith("A forecast, not a promise.")
    assert len(lines) == 12


def test_what_nobody_has_timed_has_no_forecast(capsys: pytest.CaptureFixture[str]):
    said, _ = dry(capsys, "--evaluator", EVALUATOR, "--surrogate", "random")
    assert "Proposals: all at random\n" in said
    assert f"Evaluator: {sys.executable} {Path.cwd() / 'evaluate.py'} " in said
    assert said.endswith(
        "Forecast: none, no evaluation of this evaluator has finished. Run a few, then: --resume --dry-run.\n"
    )


@pytest.fixture
def begun(folder: Path) -> Path:
    """A run with an evaluator of one's own: five evaluations, four of which finished in 2 to 8 minutes."""
    campaign = check(CampaignSettings(space="tiny.yaml", evaluator=EVALUATOR, budget=8, parallel=1))
    ids = campaign.source.open_level(1, {})
    with open_store(campaign, folder / "begun", resume=False) as store:
        for number in range(5):
            found = campaign.source.describe(ids[number])
            store.add(
                Trial(
                    number=number,
                    proposal=Proposal(id=ids[number], decision=Decision.RANDOM),
                    level=1,
                    architecture=found.architecture,
                    parameters=found.parameters,
                    seed=0,
                )
            )
            if number == 4:
                store.finish(Result(number=4, id=ids[4], status=Status.CRASHED, stage_seconds={"all": 9e6}))
            else:
                seconds = {"first": 60.0, "second": 60.0 + 120.0 * number}
                result = Result(number=number, id=ids[number], status=Status.FINISHED, score=1.0, stage_seconds=seconds)
                store.finish(result)
    return folder / "begun"


def test_what_finished_foretells_the_rest_of_a_resumed_run(begun: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--resume", "--out", str(begun), "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["forecast"]
    assert found["calibrated_on"] == "4 finished evaluations of the run"
    assert 3 * 2 / 60 <= found["hours_range"][0] < found["hours"] < found["hours_range"][1] <= 3 * 8 / 60
    assert 2 <= found["evaluation_minutes"]["median"] <= found["evaluation_minutes"]["max"] <= 8
    assert "each evaluation takes as long as one of 4 finished evaluations of the run" in found["note"].lower()
    assert main(["--resume", "--out", str(begun), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "Finished so far: 4\n" in said
    assert f"Forecast: {clock(3600 * found['hours'])} (" in said
    assert main(["--resume", "--out", str(begun), "--dry-run", "--budget", "4"]) == 0
    assert "Forecast: nothing is left to evaluate.\n" in capsys.readouterr().out


def test_where_an_evaluator_tells_no_seconds_the_clock_does():
    campaign = check(CampaignSettings(space="tiny.yaml", evaluator=EVALUATOR, budget=3, parallel=1))
    id_ = campaign.source.open_level(1, {})[0]
    found = campaign.source.describe(id_)
    done = Trial(
        number=0,
        proposal=Proposal(id=id_, decision=Decision.RANDOM),
        level=1,
        architecture=found.architecture,
        parameters=found.parameters,
        seed=0,
        status=Status.FINISHED,
        score=1.0,
    )
    began = datetime(2026, 1, 1)
    told = forecast_by_past(campaign, [done], {0: (began, began + timedelta(minutes=6))})
    assert told is not None
    assert told["evaluation_minutes"] == {"median": 6.0, "max": 6.0}
    assert told["hours"] == 0.2
    assert told["calibrated_on"] == "1 finished evaluation of the run"
    assert forecast_by_past(campaign, [done], {}) is None


# What would refuse the search, or make it wait


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_disk_with_too_little_room_is_told(capsys: pytest.CaptureFixture[str], more: tuple[str, ...]):
    out, err = dry(capsys, "--evaluator", EVALUATOR, "--min-free-gb", "1e9", "--out", "a/b", *more)
    assert out
    assert "The search would wait at once: " in err
    assert "Make room, or lower --min-free-gb." in err
    _, err = dry(capsys, "--evaluator", EVALUATOR, "--min-free-gb", "0", *more)
    assert "wait" not in err


@pytest.mark.parametrize(("initial", "is_told"), [("5", False), ("6", True), ("9", True)])
def test_a_start_that_is_all_the_budget_is_told(capsys: pytest.CaptureFixture[str], initial: str, is_told: bool):
    out, err = dry(capsys, "--evaluator", EVALUATOR, "--budget", "6", "--initial", initial)
    line = f"--initial {initial} takes the whole budget (6): all evaluations are random."
    assert (line in err, "Proposals: all at random" in out) == (is_told, is_told)


@pytest.mark.parametrize(("gpus", "absent"), [("[0, 7]", "7"), ("['0,3']", "0,3"), ("[GPU-b]", "GPU-b")])
def test_gpus_that_are_not_there_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, gpus: str, absent: str
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("boshnas.executors.gpus._listing", lambda: "GPU 0: A100 (UUID: GPU-a1)\n")
    (folder / "local.yaml").write_text(f"gpus: {gpus}")
    _, err = dry(capsys, "--executor-config", "local.yaml", code=2)
    assert err.startswith(f"--executor-config: gpus must be of this machine, got '{absent}'")


def test_gpus_are_known_by_index_uuid_and_what_the_environment_names(monkeypatch: pytest.MonkeyPatch):
    listing = "GPU 0: A100 (UUID: GPU-a1)\nGPU 1: A100 (UUID: GPU-b2)\n  MIG 1g.5gb Device 0: (UUID: MIG-c3)\n"
    monkeypatch.setattr("boshnas.executors.gpus._listing", lambda: listing)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "other")
    assert absent_gpus(["0", "1", "0,1", "GPU-a1", "GPU-b", "MIG-c3", "other", ""]) == []
    assert absent_gpus(["2", "0,2", "GPU-c", "MIG-a1"]) == ["2", "0,2", "GPU-c", "MIG-a1"]
    assert absent_gpus([]) == []


@pytest.mark.parametrize("name", ["slurm", "ray"])
def test_a_cluster_is_asked_before_anything_is_timed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
):
    def refuse(settings: object) -> None:
        raise InputError(f"--executor {name}: no.")

    monkeypatch.setattr(dry_run, "check_executor", refuse)
    monkeypatch.setattr(dry_run, "forecast", lambda *_: pytest.fail("timed"))
    out, err = dry(capsys, "--executor", name, code=2)
    assert out == ""
    assert err.endswith(f"--executor {name}: no.\n")


def test_without_slurm_a_dry_run_is_refused_as_the_search_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("boshnas.executors.slurm.commands.shutil.which", lambda name: None)
    _, err = dry(capsys, "--executor", "slurm", code=2)
    line = err.splitlines()[-1]
    assert (
        line == "--executor slurm: sbatch must be on PATH, got none. Start the search on a login node of the cluster."
    )
    assert main(["--space", "tiny.yaml", "--executor", "slurm", "--out", "run"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == line
    assert not Path("run").exists()
