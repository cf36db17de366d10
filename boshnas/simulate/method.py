"""A table's rows as the loop's candidates, and the methods of `boshnas.bench` as its searcher."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from boshnas.bench.methods import METHODS
from boshnas.replay import replayable
from boshnas.simulate.clock import VirtualClock
from boshnas.source import Candidate
from boshnas.surrogates.training import one_thread
from boshnas.table import Table
from boshnas.trial import Decision, Proposal


class RowSource:
    """The measured rows of a table, all at level 1; see `boshnas.source.Source`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._candidates: dict[str, Candidate] = {}

    def open_level(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        """Ids of all measured rows."""
        return replayable(self._table)

    def describe(self, id_: str) -> Candidate:
        """The row's columns; those that are text or whole numbers as parameters, too."""
        if id_ not in self._candidates:
            row = self._table.row(id_)
            flat = {name: value for name, value in row.items() if isinstance(value, str | int)}
            self._candidates[id_] = Candidate(architecture=row, parameters=flat)
        return self._candidates[id_]

    def parent(self, id_: str, trained: Sequence[str]) -> tuple[str, float] | None:
        """Nobody lends weights."""
        return None


class MethodSearcher:
    """Proposes the same random rows first, whatever the method, then what the method asks for.

    Args:
        method: Name, of `METHODS`.
        table: To search.
        seed: Of the first rows and of the method, >= 0.
        num_initial: So many rows come first.
        clock: Proposals take their time on it.
        proposal_s: That each takes, seconds.
    """

    def __init__(
        self, method: str, table: Table, *, seed: int, num_initial: int, clock: VirtualClock, proposal_s: float = 0.0
    ) -> None:
        self.pool = table.pool
        self._table = table
        self._method = METHODS[method].make(table, seed, num_initial)
        measured = replayable(table)
        order = np.random.default_rng(seed).permutation(len(measured))[:num_initial]
        self._first = [measured[place] for place in order]
        self._num_proposed = 0
        self._clock = clock
        self._proposal_s = proposal_s

    def resume(self, num_proposed: int) -> None:
        """Go on after so many proposals."""
        self._num_proposed = num_proposed

    def set_candidates(self, ids: Collection[str] | None) -> None:
        """Limit what may be proposed: the method is told that all else has failed."""
        barred = set(self.pool.ids) - set(self.pool.ids if ids is None else ids)
        if barred:
            self._method.tell({id_: None for id_ in self.pool.ids if id_ in barred})

    def tell(self, results: Mapping[str, float | None]) -> None:
        """Hand scores on, with what the table knows of their noise."""
        noise_std = {id_: self._table.noise_std[id_] for id_ in results if id_ in self._table.noise_std}
        self._method.tell(results, noise_std)

    def propose(self, k: int, pending: Collection[str] = ()) -> list[Proposal]:
        """The next rows; fewer than k where no more are left."""
        first = self._first[self._num_proposed : self._num_proposed + k]
        asked: list[str] = []
        if len(first) < k:
            with one_thread():
                asked = self._method.ask(k - len(first), [*pending, *first])
        self._num_proposed += len(first) + len(asked)
        self._clock.spend(self._proposal_s * (len(first) + len(asked)))
        decisions = [*[Decision.RANDOM] * len(first), *[Decision.OPTIMISE] * len(asked)]
        return [Proposal(id=id_, decision=why) for id_, why in zip([*first, *asked], decisions, strict=True)]
