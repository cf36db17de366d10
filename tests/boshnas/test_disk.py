from dataclasses import replace
from pathlib import Path

import pytest
from search_fakes import ended_trial

from boshnas.disk import CheckpointBudget, checkpoint_folder, missing_room
from boshnas.trial import Decision, Proposal

SCORES = [50.0, 80.0, None, 60.0, 70.0]
TRIALS = [ended_trial(number, score) for number, score in enumerate(SCORES)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for trial in TRIALS:
        path = checkpoint_folder(tmp_path, trial.number)
        path.mkdir(parents=True)
        (path / "model.safetensors").write_bytes(bytes(1000))
        (path.parent / "log.txt").write_text("kept")
    return tmp_path


def left(folder: Path) -> list[int]:
    return [trial.number for trial in TRIALS if checkpoint_folder(folder, trial.number).is_dir()]


def test_within_the_budget_all_stay(folder: Path):
    assert CheckpointBudget(folder, 5000, 1).keep(TRIALS, []) == []
    assert left(folder) == [0, 1, 2, 3, 4]


def test_failed_ones_go_first_then_the_worst(folder: Path):
    assert CheckpointBudget(folder, 3000, 1).keep(TRIALS, []) == [2, 0]
    assert left(folder) == [1, 3, 4]
    assert all((folder / "jobs" / f"{number:05d}" / "log.txt").exists() for number in range(5))


def test_the_best_stay_whatever_their_size(folder: Path):
    assert CheckpointBudget(folder, 0, 2).keep(TRIALS, []) == [2, 0, 3]
    assert left(folder) == [1, 4]


def test_a_baseline_takes_no_place_of_the_best(folder: Path):
    baseline = replace(TRIALS[1], proposal=Proposal(id="bert", decision=Decision.BASELINE))
    trials = [TRIALS[0], baseline, *TRIALS[2:]]
    CheckpointBudget(folder, 0, 1).keep(trials, [])
    assert left(folder) == [4]


def test_what_lends_its_weights_stays(folder: Path):
    assert CheckpointBudget(folder, 0, 1).keep(TRIALS, [0]) == [2, 3, 4]
    assert left(folder) == [0, 1]


def test_what_is_deleted_is_told_once(folder: Path):
    budget = CheckpointBudget(folder, 3000, 1)
    budget.keep(TRIALS, [])
    assert budget.keep(TRIALS, []) == []


def test_missing_room_says_how_much_there_is(tmp_path: Path):
    assert missing_room(tmp_path, 1) is None
    assert "PB" not in str(missing_room(tmp_path, 10**18))
    assert str(missing_room(tmp_path, 10**18)).endswith("1000000000.00 GB are to stay free")
