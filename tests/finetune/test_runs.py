"""Runs of a folder: which are taken as done, whose model is kept, and what is refused before anything is trained."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from design_space.errors import InputError
from finetune import runs
from finetune.arguments import FinetuneArguments
from finetune.data import TaskData
from finetune.heads.head import Reading
from finetune.outcomes.repeats import RunOutcome, SettingOutcome
from finetune.runs import Setting, run_seeds
from finetune.source import Source
from finetune.tasks import GLUE

SCORES = {0: 50.0, 1: 70.0, 2: 60.0, 3: 70.0}
"""Of each seed."""

RunSeeds = Callable[..., SettingOutcome]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds that were trained; a model is a folder with its seed in a file."""
    seeds = []

    def finetune(*places: Any, save_to: str | None, **_: Any) -> RunOutcome:
        seed = places[3].seed
        seeds.append(seed)
        if save_to is not None:
            Path(save_to).mkdir()
            (Path(save_to) / "seed").write_text(str(seed))
        score = SCORES[seed]
        return RunOutcome(
            task="sst2", seed=seed, score=score, metrics={"accuracy": score / 100}, loss=0.5, num_steps=1, seconds=0.1
        )

    monkeypatch.setattr(runs, "finetune", finetune)
    return seeds


@pytest.fixture
def run(tmp_path: Path, separable: TaskData, trained: list[int]) -> RunSeeds:
    """Runs seeds in the folder `out`."""
    setting = Setting(
        checkpoint="tiny",
        source=Source(GLUE["sst2"], separable, "somewhere"),
        arguments=FinetuneArguments(use_cpu=True),
        reading=Reading(),
    )

    def seeds(*which: int, resume: bool = False) -> SettingOutcome:
        (tmp_path / "out").mkdir(exist_ok=True)
        return run_seeds(setting, which, tmp_path / "out", resume)

    return seeds


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[], int]:
    """Seed of the model that is kept."""
    return lambda: int((tmp_path / "out" / "model" / "seed").read_text())


@pytest.mark.parametrize(
    ("seeds", "best"), [((0, 1, 2), 1), ((1, 2, 0), 1), ((2, 0), 2), ((1, 3), 1), ((3, 1), 3)], ids=str
)
def test_the_model_of_the_best_run_is_kept(
    run: RunSeeds, kept: Callable[[], int], seeds: tuple[int, ...], best: int
) -> None:
    assert run(*seeds).best.seed == best
    assert kept() == best


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_run_that_is_lost_is_trained_again_and_the_best_model_stays(
    run: RunSeeds, kept: Callable[[], int], trained: list[int], tmp_path: Path, lost: int
) -> None:
    before = run(0, 1, 2)
    (tmp_path / "out" / f"run-{lost}.json").unlink()
    assert run(0, 1, 2, resume=True) == before
    assert trained == [0, 1, 2, lost]
    assert kept() == 1


def test_further_seeds_are_added(run: RunSeeds, kept: Callable[[], int], trained: list[int]) -> None:
    run(0)
    assert run(0, 1, 2, resume=True).seeds == [0, 1, 2]
    assert trained == [0, 1, 2]
    assert kept() == 1


def test_runs_of_further_seeds_than_asked_for_are_refused(run: RunSeeds, trained: list[int]) -> None:
    run(0, 1, 2)
    message = r"^--resume: .*out holds runs of seeds 1, 2 too.*Give them as well: --seeds 0 1 2 3\.$"
    with pytest.raises(InputError, match=message):
        run(0, 3, resume=True)
    assert trained == [0, 1, 2]


def test_runs_whose_model_is_gone_are_refused(run: RunSeeds, tmp_path: Path, trained: list[int]) -> None:
    run(0, 1)
    (tmp_path / "out" / "model").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"out/model must hold the best model .*Remove .*run-0\.json, .*run-1\.json"):
        run(0, 1, 2, resume=True)
    assert trained == [0, 1]


def test_a_damaged_file_of_a_run_is_refused(run: RunSeeds, tmp_path: Path) -> None:
    run(0)
    (tmp_path / "out" / "run-0.json").write_text("{")
    with pytest.raises(InputError, match=r"run-0\.json must be a finished run, is not\. Remove it\.$"):
        run(0, resume=True)


def test_a_run_is_on_disk_when_the_next_one_fails(
    run: RunSeeds, tmp_path: Path, kept: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SCORES, 2)
    with pytest.raises(KeyError):
        run(0, 1, 2)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["model", "run-0.json", "run-1.json", "setting.json"]
    assert json.loads((tmp_path / "out" / "run-1.json").read_text())["score"] == 70
    assert kept() == 1
