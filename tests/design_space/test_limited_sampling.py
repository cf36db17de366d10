"""Draws within limits: a superset on a coarse grid, uniform, and found where hardly anything is within the limits."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from design_space import DesignSpace
from design_space import limited_sampling as module
from design_space.constraint import Constraint
from design_space.layer_table import LayerTable
from design_space.limited_sampling import LimitedDraws

SMALL = """\
architecture:
  encoder_layers: [1, 2, 3]
  hidden_size: [16, 32]
  num_heads: [2]
  operation_types: [sa, l]
  operation_parameters: {sa: [sdp], l: [dft]}
  feed-forward_hidden: [24, 40]
  number_of_feed-forward_stacks: [1]
  monotone: [hidden_size]
levels:
  - {layers_per_stack: 1, free_feed_forward: false}
fixed_layers:
  0: {o: sa, p: sdp}
"""


def limited(space: DesignSpace, *texts: str) -> DesignSpace:
    return space.within([Constraint.parse(text) for text in texts])


@pytest.fixture
def small(tmp_path: Path) -> DesignSpace:
    (tmp_path / "small.yaml").write_text(SMALL, "utf-8")
    return DesignSpace.load(tmp_path / "small.yaml")


@pytest.mark.parametrize("num_bins", [4, 64, 1024])
@pytest.mark.parametrize("text", ["params <= 1640000", "params > 840000", "flops <= 5e6", "params >= 0"])
def test_draws_are_uniform_over_what_is_within_the_limit(
    small: DesignSpace, monkeypatch: pytest.MonkeyPatch, text: str, num_bins: int
) -> None:
    monkeypatch.setattr(module, "_NUM_BINS", num_bins)
    space = limited(small, text)
    within = list(space.enumerate(1))
    table = LayerTable(space.axes(1), lambda o, h, n, f: module.Layer(*o, h, n, f), space.constraints)
    draws = LimitedDraws(table, [1, 2, 3], 1)
    assert draws.total >= len(within)
    assert draws.total <= small.size(1)
    rng = np.random.default_rng(0)
    counts = Counter(draws.draw(rng) for _ in range(6_000))
    observed = [counts[architecture.layers] for architecture in within]
    assert sum(observed) / 6_000 == pytest.approx(len(within) / draws.total, abs=0.03)
    assert stats.chisquare(observed).pvalue > 1e-3


def test_a_fine_grid_draws_little_beyond_the_limit() -> None:
    space = limited(DesignSpace.load("flexibert_mini"), "params <= 9e6")
    table = LayerTable(space.axes(3), lambda o, h, n, f: module.Layer(*o, h, n, f), space.constraints)
    draws = LimitedDraws(table, [2, 4], 1)
    assert 0.9 * draws.total < space.size(3) <= draws.total


def test_small_encoders_of_a_wide_space_are_found() -> None:
    # Of random architectures of this level less than one in a million is so small.
    space = limited(DesignSpace.load("flexibert_small"), "params <= 9e6")
    found = space.sample(3, 50, np.random.default_rng(0))
    assert len(set(found)) == 50
    assert all(space.refusal(architecture, 3) is None for architecture in found)
    assert found == space.sample(3, 50, np.random.default_rng(0))


def test_the_few_that_limits_leave_are_all_found() -> None:
    space = limited(DesignSpace.load("flexibert_mini"), "params <= 6.9e6")
    found = space.sample(2, 10_000, np.random.default_rng(0))
    assert len(found) == len(set(found)) == space.size(2) == 41
    assert all(space.refusal(architecture, 2) is None for architecture in found)


def test_what_limits_leave_of_many_is_enumerated_in_the_order_of_ranks(
    small: DesignSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = limited(small, "params <= 1640000")
    walked = list(space.enumerate(1))
    monkeypatch.setattr("design_space.space._MAX_WALKED", 10)
    assert list(space.enumerate(1)) == walked
