"""What a search policy can be told."""

from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import torch

from boshnas.acquisition import K1, K2, NAMES, THOMPSON, make, of_rows, thompson, uncertainty
from boshnas.ascent import RowFunction
from boshnas.errors import InputError
from boshnas.surrogates.base import Surrogate
from boshnas.trial import Decision


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How candidates are chosen once the random start is over; `docs/how-boshnas-works.md` says how the defaults were.

    Attributes:
        acquisition: What is maximised: log_ei, log_noisy_ei, log_pi, ucb or thompson.
        k1: Weight of the aleatoric std in the bound and in uncertainty sampling, >= 0.
        k2: Weight of the epistemic std there, >= 0.
        uncertainty_probability: Of taking the most uncertain candidate instead, in [0, 1].
        diversity_probability: Of taking a random one instead, in [0, 1]; the two add up to at most 1.
        replicate: Measure a candidate again where its noise makes that worth more than a new one.
        patience: Rounds of results in which the best does not move until the search has converged, >= 1.
        exhaustive_up_to: Candidates that are all scored; among more, gradient ascent finds where to look (GOBI).
        second_order: That ascent is AdaHessian's, as published, rather than Adam's.

    Raises:
        InputError: If a value is out of its range.
    """

    acquisition: str = "log_ei"
    k1: float = K1
    k2: float = K2
    uncertainty_probability: float = 0.0
    diversity_probability: float = 0.0
    replicate: bool = False
    patience: int = 5
    exhaustive_up_to: int = 100_000
    second_order: bool = False

    def __post_init__(self) -> None:
        known = (*NAMES, THOMPSON)
        if self.acquisition not in known:
            names = ", ".join(known)
            raise InputError(f"Policy: acquisition must be one of {names}, got {self.acquisition!r}. Choose one.")
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            high = 1 if field.name.endswith("probability") else np.inf
            require("Policy", field.name, value, 0 <= value <= high, "in [0, 1]" if high == 1 else ">= 0")
        require("Policy", "patience", self.patience, self.patience >= 1, ">= 1")
        total = self.uncertainty_probability + self.diversity_probability
        require("Policy", "uncertainty_probability + diversity_probability", total, total <= 1, "at most 1")

    def value(
        self, decision: Decision, surrogate: Surrogate, *, best: float, best_mean: float, rng: np.random.Generator
    ) -> RowFunction:
        """What a decision maximises: log worth of features (n, d), shape (n,).

        Args:
            decision: Optimise, or look where the uncertainty is greatest.
            surrogate: Fitted.
            best: Greatest measured value, warped.
            best_mean: Greatest mean of a measured candidate, warped.
            rng: Draws a function, where one is maximised.
        """
        if decision is Decision.UNCERTAINTY:
            return of_rows(partial(uncertainty, k1=self.k1, k2=self.k2), surrogate)
        if self.acquisition == THOMPSON:
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            return thompson(surrogate.draw(generator), best=best)
        return of_rows(make(self.acquisition, best=best, best_mean=best_mean, k1=self.k1, k2=self.k2), surrogate)

    def draw(self, rng: np.random.Generator) -> Decision:
        """The rule for one proposal."""
        share = rng.random()
        if share < self.uncertainty_probability:
            return Decision.UNCERTAINTY
        if share < self.uncertainty_probability + self.diversity_probability:
            return Decision.DIVERSITY
        return Decision.OPTIMISE


def require_count(where: str, k: object) -> None:
    """Refuse a number of proposals that is none.

    Raises:
        InputError: If it is not a whole number >= 1.
    """
    is_whole = isinstance(k, (int, np.integer)) and not isinstance(k, bool)
    require(where, "k", k, is_whole, "a whole number")
    require(where, "k", k, is_whole and k >= 1, ">= 1")  # type: ignore[operator]


def require(where: str, name: str, value: object, holds: bool | np.bool_, rule: str) -> None:
    """Refuse a value that breaks its rule.

    Raises:
        InputError: Naming all four.
    """
    if not holds:
        raise InputError(f"{where}: {name} must be {rule}, got {value!r}. Change it.")
