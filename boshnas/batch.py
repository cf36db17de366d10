"""Candidates for one ask, one after another, each repelled by those before it and by those in flight.

Symbols: N candidates of the pool, all worths are logarithms.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boshnas.ascent import RowFunction
from boshnas.maximize import Box, exhaustive, gobi
from boshnas.penalty import LocalPenalty
from boshnas.pool import Pool
from boshnas.surrogates.base import Surrogate

Rows = NDArray[np.intp]
"""Numbers of rows of a pool, shape (n,)."""

_SHORTLIST = 64  # rows a wanted one; a penalty moves the best no further down
_MIN_SHORTLIST = 512
_NUM_PARENTS = 8  # best rows whose neighbours are looked at
_MAX_STEPS = 10  # of local search


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a batch is chosen from.

    Attributes:
        pool: The candidates; grows where `neighbors` finds new ones.
        free: Rows that may be chosen, distinct.
        waiting: Which are in flight.
        log_cost: Of some rows; 0 where costs do not count.
        best: Greatest measured value, warped.
        num_wanted: How many will be chosen at most.
        exhaustive_up_to: See `Policy`.
        second_order: See `Policy`.
        neighbors: Rows one step from some rows that may be chosen too; None: the pool is all there is.
    """

    pool: Pool
    free: Rows
    waiting: Rows
    log_cost: Callable[[Rows], NDArray[np.float64]]
    best: float
    num_wanted: int
    exhaustive_up_to: int
    second_order: bool
    neighbors: Callable[[Rows], Rows] | None = None


class Batch:
    """Chooses rows by a surrogate.

    Args:
        surrogate: Fitted.
        setting: What to choose from.
        rng: Draws where slopes are looked at.
    """

    def __init__(self, surrogate: Surrogate, setting: Setting, rng: np.random.Generator) -> None:
        self._surrogate = surrogate
        self._setting = setting
        X = setting.pool.X[setting.free]
        self._box = Box(X)
        self._centers = setting.waiting
        self._shortlists: dict[str, tuple[Rows, NDArray[np.float64]]] = {}
        self._penalty: LocalPenalty | None = None
        if setting.num_wanted + len(setting.waiting) > 1:
            self._penalty = LocalPenalty(surrogate, X, self._box, setting.best, rng)

    def take(self, row: int) -> None:
        """Note a row that was chosen, here or elsewhere."""
        for rows, values in self._shortlists.values():
            values += self._log_penalty(rows, np.array([row]))
            values[rows == row] = -np.inf
        self._centers = np.append(self._centers, row)

    def best_by(self, name: str, make_value: Callable[[], RowFunction], rng: np.random.Generator) -> int:
        """The free row of greatest worth, penalty and cost considered.

        Args:
            name: Of the value: its shortlist is kept for the next call.
            make_value: Log worth of features, to be maximised; called for the first shortlist of that name alone.
            rng: For gradient ascent.
        """
        if name not in self._shortlists:
            self._shortlists[name] = self._shortlist(make_value(), rng)
        rows, values = self._shortlists[name]
        return int(rows[np.argmax(values)])

    def _shortlist(self, value: RowFunction, rng: np.random.Generator) -> tuple[Rows, NDArray[np.float64]]:
        """Rows worth a closer look, more than may be chosen, and their value after penalty and cost."""
        setting, X = self._setting, self._setting.pool.X
        taken = np.isin(setting.free, self._centers)
        rows = setting.free[~taken]
        if len(rows) > setting.exhaustive_up_to:
            order = setting.second_order
            found = gobi(value, X[rows], self._box, second_order=order, num_wanted=setting.num_wanted, rng=rng)
            rows = rows[found]
        values = self._values(value, rows)
        if setting.neighbors is not None:
            rows, values = self._climbed(rows, values, value, setting.neighbors)
        kept = np.argsort(-values, kind="stable")[: max(_MIN_SHORTLIST, _SHORTLIST * setting.num_wanted)]
        rows, values = rows[kept], values[kept]
        return rows, values + self._log_penalty(rows, self._centers)

    def _values(self, value: RowFunction, rows: Rows) -> NDArray[np.float64]:
        return exhaustive(value, self._setting.pool.X[rows]) - self._setting.log_cost(rows)

    def _climbed(
        self, rows: Rows, values: NDArray[np.float64], value: RowFunction, neighbors: Callable[[Rows], Rows]
    ) -> tuple[Rows, NDArray[np.float64]]:
        """The rows, and what local search finds: neighbours of the best, and theirs, while the best gets better."""
        for _ in range(_MAX_STEPS):
            parents = rows[np.argsort(-values, kind="stable")[:_NUM_PARENTS]]
            found = neighbors(parents)
            new = found[~np.isin(found, np.concatenate([rows, self._centers]))]
            if len(new) == 0:
                break
            best, new_values = values.max(), self._values(value, new)
            rows, values = np.concatenate([rows, new]), np.concatenate([values, new_values])
            if new_values.max() <= best:
                break
        return rows, values

    def _log_penalty(self, rows: Rows, centers: Rows) -> NDArray[np.float64]:
        if self._penalty is None or len(centers) == 0:
            return np.zeros(len(rows))
        X = self._setting.pool.X
        return self._penalty.log_penalty(X[rows], X[centers])
