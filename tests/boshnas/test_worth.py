import numpy as np
import pytest
import torch
from optuna.distributions import FloatDistribution

from boshnas.policy import Policy
from boshnas.sampler.history import History
from boshnas.sampler.search_space import SearchSpace
from boshnas.sampler.worth import Appraiser
from boshnas.surrogates import GPSurrogate
from boshnas.trial import Decision

SPACE = SearchSpace({"x": FloatDistribution(0, 1)})
ROWS = np.linspace(0, 1, 9)[:, None]
GRID = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None]


def history(
    y: np.ndarray, limit: float | None = None, waiting: float | None = None, failed: float | None = None
) -> History:
    margin = np.zeros(0) if limit is None else ROWS[:, 0] - limit
    return History(
        rows=ROWS,
        utility=y,
        complete=np.full(9, True),
        feasible=np.full(9, True) if limit is None else margin <= 0,
        constraints={} if limit is None else {"limit": margin},
        waiting=np.empty((0, 1)) if waiting is None else np.array([[waiting]]),
        failed=np.empty((0, 1)) if failed is None else np.array([[failed]]),
    )


def best(seen: History, decision: Decision = Decision.OPTIMISE) -> float:
    appraiser = Appraiser(surrogate=GPSurrogate(), policy=Policy(), seed=0)
    with torch.no_grad():
        values = appraiser.value(SPACE, seen, decision, np.random.default_rng(0))(GRID)
    assert torch.isfinite(values).all()
    return float(GRID[values.argmax()])


def peak() -> np.ndarray:
    values: np.ndarray = -((ROWS[:, 0] - 0.56) ** 2)
    return values


def test_greatest_near_the_peak() -> None:
    assert best(history(peak())) == pytest.approx(0.56, abs=0.04)


@pytest.mark.parametrize("name", ["waiting", "failed"])
def test_points_in_flight_and_failed_ones_repel(name: str) -> None:
    rough = np.sin(12 * ROWS[:, 0])
    first = best(history(rough))
    assert abs(best(history(rough, **{name: first})) - first) >= 0.02


def test_a_limit_keeps_the_best_point_on_its_feasible_side() -> None:
    assert best(history(ROWS[:, 0] ** 2, limit=0.3)) == pytest.approx(0.3, abs=0.03)


def test_where_nothing_is_feasible_only_the_limit_counts() -> None:
    assert best(history(ROWS[:, 0], limit=-0.1)) == 0


def test_uncertainty_is_greatest_between_measured_points() -> None:
    assert min(abs(best(history(peak()), Decision.UNCERTAINTY) - ROWS[:, 0])) > 0.02
