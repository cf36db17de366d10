"""Keeps a surrogate up to date with what was measured, and repeatably so.

Symbols: n results so far, m <= n those that the surrogate was last fitted to.
"""

import logging
import threading
from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from boshnas.pool import Pool
from boshnas.surrogates.base import Surrogate

MAX_ROWS = 500
"""Results that a search learns from: half of them the best, the others at random. A proposal then takes no longer."""
_GROWTH = 1.25  # results until the next fit from scratch
_MANY = 200  # results from which on the surrogate is fitted again after each 2 % more of them, and conditioned between
_logger = logging.getLogger(__name__)


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
        seed: Of the surrogate, where it has none, and of the results that are left out.
        in_background: Never wait for a fit but the first, which is made to at most 200 results: later ones are made in
            a thread, and until one is done the last is conditioned on all results. Which fit a proposal sees then
            depends on the machine's speed.
    """

    def __init__(self, surrogate: Surrogate, pool: Pool, seed: int, in_background: bool = False) -> None:
        self._pool = pool
        self._seed = seed
        self._blank = prepared(surrogate, pool.groups, seed)
        self._can_go_on = "warm_start" in self._blank.get_params()
        if self._can_go_on:
            self._blank.set_params(warm_start=True)
        self._in_background = in_background
        self._thread: threading.Thread | None = None
        self._anchor: Surrogate = self._blank
        self._num_anchored = 0
        self._fit: tuple[int, Surrogate] = (0, self._blank)  # m, and what was fitted; 0: nothing, or to a part
        self._current: tuple[int, Surrogate] = (0, self._blank)  # n, and what was conditioned on them

    def fitted(self, measured: Sequence[Measured]) -> Surrogate:
        """The surrogate, knowing these results: the ones given before, and more after them."""
        if len(measured) != self._current[0]:
            num_fitted = _num_fitted(len(measured))
            if num_fitted != self._fit[0]:
                self._fit_again(measured[:num_fitted])
            self._current = (len(measured), self._conditioned(measured))
        return self._current[1]

    def _fit_again(self, measured: Sequence[Measured]) -> None:
        is_first = self._fit[1] is self._blank
        if not self._in_background or (is_first and len(measured) <= _MANY):
            self._learn(measured)
            return
        if is_first:
            self._fit = (0, self._taught(deepcopy(self._blank), self._shown(measured, _MANY)))
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._learn_aside, args=(list(measured),), name="fit")
            self._thread.start()

    def _learn_aside(self, measured: Sequence[Measured]) -> None:
        try:
            self._learn(measured)
        except Exception:  # the search goes on with the last fit that succeeded
            _logger.exception("the surrogate could not be fitted to %d results", len(measured))

    def _learn(self, measured: Sequence[Measured]) -> None:
        num_anchored = _last_milestone(len(measured)) if self._can_go_on else len(measured)
        if num_anchored != self._num_anchored:
            self._anchor = self._taught(deepcopy(self._blank), measured[:num_anchored])
            self._num_anchored = num_anchored
        fit = self._anchor
        if num_anchored < len(measured):
            fit = self._taught(deepcopy(self._anchor), measured)
        self._fit = (len(measured), fit)

    def _conditioned(self, measured: Sequence[Measured]) -> Surrogate:
        num_fitted, fit = self._fit
        if num_fitted == len(measured):
            return fit
        # What is left out changes with a step alone: in between every result is added.
        num_settled = _num_fitted(len(measured))
        shown = [*self._shown(measured[:num_settled]), *measured[num_settled:]]
        return deepcopy(fit).condition(*self._rows(shown))

    def _taught(self, surrogate: Surrogate, measured: Sequence[Measured]) -> Surrogate:
        return surrogate.fit(*self._rows(self._shown(measured)))

    def _shown(self, measured: Sequence[Measured], max_rows: int = MAX_ROWS) -> Sequence[Measured]:
        """Those that are learned from, in their order."""
        if len(measured) <= max_rows:
            return measured
        best_first = np.argsort([-entry.value for entry in measured], kind="stable")
        half = max_rows // 2
        rng = np.random.default_rng([self._seed, len(measured)])
        others = rng.choice(best_first[half:], max_rows - half, replace=False)
        return [measured[place] for place in np.sort(np.concatenate([best_first[:half], others]))]

    def _rows(self, measured: Sequence[Measured]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ids, values, noise_std = zip(*measured, strict=True)
        return self._pool.X[self._pool.rows(ids)], np.array(values), np.array(noise_std)


def prepared(surrogate: Surrogate, groups: Sequence[int] | None, seed: int) -> Surrogate:
    """A clone, not fitted, with seed and groups of columns where it has none."""
    blank: Surrogate = clone(surrogate)
    settings = blank.get_params()
    if settings["random_state"] is None:
        blank.set_params(random_state=seed)
    if "groups" in settings and settings["groups"] is None:
        blank.set_params(groups=groups)
    return blank


def _num_fitted(count: int) -> int:
    """To how many of the results a surrogate is fitted: all up to 200, then a step each 2 %.

    Example:
        >>> [_num_fitted(count) for count in (3, 200, 203, 204, 10_099)]
        [3, 200, 200, 204, 10000]
    """
    step = max(1, 2 * (count // 100)) if count >= _MANY else 1
    return count - count % step


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
