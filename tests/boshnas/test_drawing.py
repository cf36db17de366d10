from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import search_fakes

from boshnas.drawing import DrawingView
from boshnas.saved_run import PICTURE_FILE
from boshnas.trial import Decision, Trial
from boshnas.view import SilentView
from design_space.model.presets import preset


def scored(number: int, score: float | None, name: str, decision: Decision = Decision.OPTIMISE) -> Trial:
    architecture = preset(name).to_model_dict()
    return replace(search_fakes.ended_trial(number, score, decision), architecture=architecture)


def num_layers(folder: Path) -> int:
    picture = ElementTree.parse(folder / PICTURE_FILE).getroot()
    return sum(element.get("class") == "layer" for element in picture.iter())


def test_the_best_so_far_is_drawn(tmp_path: Path):
    view = DrawingView(SilentView(), tmp_path, None)
    view.ended(scored(0, None, "bert_tiny"))
    assert not (tmp_path / PICTURE_FILE).exists()
    view.ended(scored(1, 99.0, "bert_mini", Decision.BASELINE))
    assert not (tmp_path / PICTURE_FILE).exists()
    view.ended(scored(2, 70.0, "bert_tiny"))
    assert num_layers(tmp_path) == 2
    view.ended(scored(3, 71.0, "bert_mini"))
    assert num_layers(tmp_path) == 4
    view.ended(scored(4, 70.5, "bert_tiny"))
    assert num_layers(tmp_path) == 4


def test_a_resumed_search_draws_only_what_is_better(tmp_path: Path):
    view = DrawingView(SilentView(), tmp_path, scored(0, 70.0, "bert_tiny"))
    assert num_layers(tmp_path) == 2
    view.ended(scored(1, 69.0, "bert_mini"))
    assert num_layers(tmp_path) == 2


def test_what_is_ended_at_once_reaches_the_other_view(tmp_path: Path):
    shown = search_fakes.FakeView()
    DrawingView(shown, tmp_path, None).stops_at_once([3, 4])
    assert shown.events == [("ended at once", 3), ("ended at once", 4)]


def test_a_picture_that_cannot_be_written_is_told_and_the_search_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    view = DrawingView(SilentView(), tmp_path / "absent", None)
    view.ended(scored(0, 70.0, "bert_tiny"))
    assert PICTURE_FILE in caplog.text
