"""What docs/model.md claims of the published architectures."""

import re
from pathlib import Path

import pytest

from design_space.counts import num_parameters
from design_space.model.presets import PRESETS

PAGE = Path(__file__).parents[3] / "docs" / "model.md"


@pytest.mark.parametrize("name", PRESETS)
def test_the_documented_parameters_are_those_of_the_presets(name: str) -> None:
    row = re.search(rf"\| `{name}` \| ([\d,]+) \| ([\d,]+) \|", PAGE.read_text("utf-8"))
    assert row is not None
    relative, absolute = (int(number.replace(",", "")) for number in row.groups())
    assert relative == num_parameters(PRESETS[name])
    assert absolute == num_parameters(PRESETS[name], relative=False)


def test_flexibert_mini_is_three_percent_below_bert_mini() -> None:
    ours, theirs = (num_parameters(PRESETS[name], relative=False) for name in ("flexibert_mini", "bert_mini"))
    assert 0.02 <= 1 - ours / theirs <= 0.04
