"""Optuna's dashboard of a run, as a person sees it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import run_fakes

pytestmark = pytest.mark.browser


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    run_fakes.write(tmp_path, num_trials=40)
    words = [sys.executable, "-m", "boshnas.dashboard", str(tmp_path)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


def test_its_own_plots_are_drawn(
    address: str, open_page: Callable[..., Any], complaints: list[str], keep_picture: Callable[[Any, str], None]
):
    page = open_page(address)
    for drawn in ("History", "Hyperparameter Importance", "Timeline", "layer1.operation", "GLUE score"):
        page.wait_for_function("drawn => document.body.innerText.includes(drawn)", arg=drawn)
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length >= 3")
    page.wait_for_function("document.querySelectorAll('.barlayer .point').length >= 9 + 40")  # importance, timeline
    keep_picture(page, "dashboard")
    assert complaints == []


def test_a_trial_shows_what_the_search_believed_and_measured(address: str, open_page: Callable[..., Any]):
    page = open_page(address.replace("/studies/1", "/studies/1/trials?numbers=3"))
    page.get_by_text("predicted_mean").first.wait_for()
    text = page.inner_text("body")
    for name in ("architecture_id", "decision", "predicted_epistemic_std", "task_scores", "stage_seconds", "params"):
        assert name in text
