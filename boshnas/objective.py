"""Which way is better. Signs flip here and nowhere else: the search itself always maximises."""

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from boshnas.errors import InputError

Values = TypeVar("Values", float, NDArray[np.float64])

Direction = Literal["maximize", "minimize"]
"""Which way is better, as Optuna spells it."""

_SIGN = {"maximize": 1.0, "minimize": -1.0}


class Objective:
    """Turns measured values into utilities (to be maximised) and back.

    Args:
        direction: "maximize" or "minimize", as Optuna spells them.

    Raises:
        InputError: If the direction is neither.

    Example:
        >>> loss = Objective("minimize")
        >>> loss.utility(0.25)
        -0.25
        >>> loss.value(-0.25)
        0.25
    """

    def __init__(self, direction: str = "maximize") -> None:
        if direction not in _SIGN:
            raise InputError(
                f"Objective: direction must be 'maximize' or 'minimize', got {direction!r}. Say which is better."
            )
        self.direction: Direction = "minimize" if direction == "minimize" else "maximize"
        self._sign = _SIGN[direction]

    def utility(self, value: Values) -> Values:
        """What the search maximises, for a measured value or an array of them."""
        return self._sign * value

    def value(self, utility: Values) -> Values:
        """The measured value, in its own unit, of a utility."""
        return self._sign * utility
