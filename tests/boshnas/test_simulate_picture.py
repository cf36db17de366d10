"""The picture of simulated campaigns: where its lines run, and what it says where there are none."""

from pathlib import Path

import numpy as np
import pytest
from simulate_fakes import campaign

from boshnas.simulate import picture
from boshnas.simulate.faults import Faults
from boshnas.simulate.report import Result, Run
from boshnas.table import Table

pytest.importorskip("matplotlib")
ALL_CRASH = Faults(crash_rate=1.0)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    (tmp_path / "t.csv").write_text("width,score\n5,0\n6,1\n7,2\n")
    return Table.read(tmp_path / "t.csv", "score")


def result(*hours: list[float], synchronous: bool = False, faults: Faults | None = None) -> Result:
    """Campaigns on two slots, one a seed, whose evaluations take so long; the number of each is its score."""
    runs = [
        Run(method="random", seed=seed, synchronous=synchronous, outcome=campaign(each, 2, faults=faults))
        for seed, each in enumerate(hours)
    ]
    return Result(method="random", synchronous=synchronous, runs=runs)


def test_regret_falls_when_an_evaluation_ends_and_not_before(table: Table):
    # c0 ends after 1 hour and c1 after 3; c2 takes the slot of c0 and ends after 5. In the other seed all end sooner.
    hours, values = picture.curves(table, result([1, 3, 4], [2, 2, 2]))
    np.testing.assert_allclose(hours, [0, 1, 2, 3, 4, 5])
    np.testing.assert_allclose(values[0], [np.nan, 2, 2, 1, 1, 0])
    np.testing.assert_allclose(values[1], [np.nan, np.nan, 1, 1, 0, 0])


@pytest.mark.parametrize(
    ("hours", "label", "num_bands"), [([[1, 3, 4]], "regret", 0), ([[1, 3, 4]] * 2, "mean regret", 1)]
)
def test_lines_are_steps_and_a_band_is_of_several_seeds(
    table: Table, hours: list[list[float]], label: str, num_bands: int
):
    (axes,) = picture._figure("title", table, [result(*hours)]).axes
    (line,) = axes.lines
    assert line.get_drawstyle() == "steps-post"
    assert list(line.get_xdata()) == [0, 1, 3, 5]
    assert len(axes.collections) == num_bands
    assert axes.get_ylabel() == f"{label} (score)"


def test_a_kind_without_results_is_told_in_the_legend_and_nothing_at_all_in_the_picture(table: Table):
    failed = result([1, 3, 4], synchronous=True, faults=ALL_CRASH)
    (axes,) = picture._figure("title", table, [result([1, 3, 4]), failed]).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "random, asynchronous",
        "random, batches (a campaign without a result)",
    ]
    assert not axes.texts
    (axes,) = picture._figure("title", table, [failed]).axes
    assert [text.get_text()[:15] for text in axes.texts] == ["Nothing to draw"]
    assert axes.get_legend() is None
