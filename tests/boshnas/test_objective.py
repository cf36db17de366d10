import numpy as np
import pytest

from boshnas.errors import InputError
from boshnas.objective import Objective


def test_minimising_flips_the_sign_both_ways() -> None:
    loss = Objective("minimize")
    np.testing.assert_array_equal(loss.utility(np.array([1.0, -2.0])), [-1.0, 2.0])
    assert loss.value(loss.utility(0.25)) == 0.25


def test_maximising_leaves_values_alone() -> None:
    assert Objective().utility(0.5) == 0.5


def test_refuses_another_direction() -> None:
    with pytest.raises(InputError, match=r"direction must be 'maximize' or 'minimize', got 'up'"):
        Objective("up")
