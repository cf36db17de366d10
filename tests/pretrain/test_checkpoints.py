"""Which checkpoints there are, and which stay."""

from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState

from pretrain.budget import Clock
from pretrain.checkpoints import SaveByTime, checkpoints, keep_newest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of 100 bytes at steps 5, 10 and 100, one that is not whole, and other things."""
    for name in ("checkpoint-5", "checkpoint-100", "checkpoint-10", ".partial/checkpoint-200", "checkpoint-old"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "weights").write_bytes(bytes(100))
    (tmp_path / "checkpoint-7").write_text("a file")
    return tmp_path


def names(folder: Path) -> list[str]:
    return [path.name for path in checkpoints(folder)]


def test_whole_checkpoints_come_in_the_order_of_their_steps(folder: Path):
    assert names(folder) == ["checkpoint-5", "checkpoint-10", "checkpoint-100"]


def test_a_folder_that_is_not_there_has_none(tmp_path: Path):
    assert checkpoints(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("max_number", "max_bytes", "kept"),
    [
        (None, None, ["checkpoint-5", "checkpoint-10", "checkpoint-100"]),
        (2, None, ["checkpoint-10", "checkpoint-100"]),
        (None, 250, ["checkpoint-10", "checkpoint-100"]),
        (None, 100, ["checkpoint-100"]),
        (None, 1, ["checkpoint-100"]),
        (3, 250, ["checkpoint-10", "checkpoint-100"]),
    ],
)
def test_the_oldest_go_and_the_newest_stays(
    folder: Path, max_number: int | None, max_bytes: int | None, kept: list[str]
):
    keep_newest(folder, max_number, max_bytes)
    assert names(folder) == kept


def test_time_asks_for_a_checkpoint_at_a_logged_step():
    clock, state = Clock(0.0), TrainerState()
    callback = SaveByTime(clock, 10.0)

    def asked(seconds: float, is_logged: bool) -> bool:
        clock._before = seconds
        control = TrainerControl(should_log=is_logged)
        callback.on_step_end(None, state, control)
        if control.should_save:
            callback.on_save(None, state, control)
        return control.should_save

    moments = [(5.0, True), (11.0, False), (12.0, True), (13.0, True), (22.5, True)]
    assert [asked(*moment) for moment in moments] == [False, False, True, False, True]
