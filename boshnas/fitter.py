"""Keeps a surrogate up to date with what was measured, and repeatably so."""

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from boshnas.pool import Pool
from boshnas.surrogates.base import Surrogate

_GROWTH = 1.25  # results until the next fit from scratch


class Measured(NamedTuple):
    """One measurement: candidate, value to be maximised, its noise std (NaN where unknown)."""

    id: str
    value: float
    noise_std: float


class Fitter:
    """Fits a surrogate to the results so far.

    A fit that starts from an earlier one depends on it. So that a resumed search goes on as if it had not stopped, the
    earlier fit is that to the first 2, 3, 4, 5, 7, 9, 12, … results, whichever is the last of these numbers: it can be
    made again from the results alone.

    Args:
        surrogate: Not fitted; cloned.
        pool: Gives the rows of ids.
        seed: Of the surrogate, where it has none.
    """

    def __init__(self, surrogate: Surrogate, pool: Pool, seed: int) -> None:
        self._pool = pool
        self._blank = prepared(surrogate, pool.groups, seed)
        self._can_go_on = "warm_start" in self._blank.get_params()
        if self._can_go_on:
            self._blank.set_params(warm_start=True)
        self._anchor: Surrogate = self._blank
        self._current: Surrogate = self._blank
        self._num_anchored = self._num_fitted = 0

    def fitted(self, measured: Sequence[Measured]) -> Surrogate:
        """The surrogate, fitted to these results: the ones given before, and more after them."""
        if len(measured) != self._num_fitted:
            num_anchored = _last_milestone(len(measured)) if self._can_go_on else len(measured)
            if num_anchored != self._num_anchored:
                self._anchor = self._fit(deepcopy(self._blank), measured[:num_anchored])
                self._num_anchored = num_anchored
            self._current = self._anchor
            if num_anchored < len(measured):
                self._current = self._fit(deepcopy(self._anchor), measured)
            self._num_fitted = len(measured)
        return self._current

    def _fit(self, surrogate: Surrogate, measured: Sequence[Measured]) -> Surrogate:
        ids, values, noise_std = zip(*measured, strict=True)
        X = self._pool.X[self._pool.rows(ids)]
        fitted: Surrogate = surrogate.fit(X, np.array(values), np.array(noise_std))
        return fitted


def prepared(surrogate: Surrogate, groups: Sequence[int] | None, seed: int) -> Surrogate:
    """A clone, not fitted, with seed and groups of columns where it has none."""
    blank: Surrogate = clone(surrogate)
    settings = blank.get_params()
    if settings["random_state"] is None:
        blank.set_params(random_state=seed)
    if "groups" in settings and settings["groups"] is None:
        blank.set_params(groups=groups)
    return blank


def _last_milestone(count: int) -> int:
    """The greatest of 2, 3, 4, 5, 7, 9, 12, … up to count, each a quarter more than the one before.

    Example:
        >>> [_last_milestone(count) for count in (2, 6, 7, 100)]
        [2, 5, 7, 94]
    """
    milestone = following = 2
    while following <= count:
        milestone, following = following, -int(-following * _GROWTH // 1)
    return milestone
