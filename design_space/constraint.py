"""Limits on an architecture that are known before any training."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt
from typing import Self

from design_space.architecture import Architecture
from design_space.counts import Quantity, flops, parameters
from design_space.errors import InputError, did_you_mean

QUANTITIES: dict[str, Quantity] = {
    "params": parameters(),
    "flops": flops(),
    "layers": Quantity(embedding=lambda width: 0, layer=lambda layer: 1, joint=lambda before, after: 0, per_head=True),
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {"<=": le, ">=": ge, "<": lt, ">": gt, "==": eq}
_FORM = re.compile(r"\s*([A-Za-z_]+)\s*(<=|>=|==|<|>)\s*([-+0-9.eE]+)\s*")


@dataclass(frozen=True)
class Constraint:
    """`quantity comparison limit`, such as `params <= 12e6`.

    Example:
        >>> Constraint.parse("params<=12e6")
        Constraint(quantity='params', comparison='<=', limit=12000000.0)
    """

    quantity: str
    comparison: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of one constraint.

        Raises:
            InputError: If it is not of the form, or names an unknown quantity.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise InputError(f"constraint: must have the form 'params<=12e6', got {text!r}.")
        quantity, comparison, limit = match.groups()
        if quantity not in QUANTITIES:
            hint = did_you_mean(quantity, QUANTITIES)
            raise InputError(f"constraint: quantity must be one of {', '.join(QUANTITIES)}, got {quantity!r}.{hint}")
        try:
            value = float(limit)
        except ValueError:
            raise InputError(f"constraint: the limit must be a number, got {limit!r}.") from None
        if math.isinf(value):
            raise InputError(f"constraint: the limit must be finite, got {limit!r}.")
        return cls(quantity, comparison, value)

    def __str__(self) -> str:
        return f"{self.quantity} {self.rule}"

    @property
    def rule(self) -> str:
        """Comparison and limit, such as `<= 12000000`."""
        limit = int(self.limit) if self.limit.is_integer() else self.limit
        return f"{self.comparison} {limit}"

    def value(self, architecture: Architecture) -> int:
        """What the limit is on."""
        return QUANTITIES[self.quantity].of(architecture)

    def allows(self, value: float) -> bool:
        """True where a value is within the limit."""
        return _COMPARISONS[self.comparison](value, self.limit)

    def holds(self, architecture: Architecture) -> bool:
        """True where the architecture is within the limit."""
        return self.allows(self.value(architecture))
