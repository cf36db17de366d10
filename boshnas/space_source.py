"""The candidates of a design space, as the loop asks for them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from boshnas.errors import InputError
from boshnas.pool import Pool
from boshnas.source import Candidate
from design_space.architecture import Architecture, layer_parameters
from design_space.counts import num_parameters
from design_space.distance import EditCosts, Graphs, edit_distances
from design_space.encoding import encode
from design_space.hierarchy import first_candidates, refine
from design_space.neighbors import best_parent
from design_space.space import DesignSpace
from design_space.variation import mutations

MAX_CANDIDATES = 20_000
MAX_REFINED = 2_000
NUM_BEST = 3
NUM_NEIGHBORS = 5


@dataclass
class SpaceSource:
    """Candidates of a design space; fills the searcher's pool level by level.

    Where a level has more members than candidates, local search goes on from them: see `neighbors`.

    Attributes:
        space: That candidates are members of.
        seed: Of what is drawn.
        memory_bytes: What the evaluation of an architecture takes; None: not known.
        architectures: All that are known, by id.
        pool: Those that may be proposed.
    """

    space: DesignSpace
    seed: int
    memory_bytes: Callable[[Architecture], int] | None = None
    architectures: dict[str, Architecture] = field(default_factory=dict)
    pool: Pool = field(init=False)
    _opened: dict[int, Sequence[str]] = field(default_factory=dict)  # candidates of the levels
    _level: int = 1
    _mutated: dict[str, Sequence[str]] = field(default_factory=dict)  # neighbours on the open level

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 1])
        first = first_candidates(self.space, MAX_CANDIDATES, rng)
        if not first:
            raise InputError("--constraint: no architecture of level 1 is within the limits. Relax them.")
        self._first = [architecture.id for architecture in first]
        self.architectures |= dict(zip(self._first, first, strict=True))
        self.pool = Pool(self._first, encode(self.space, first))

    def add(self, architectures: Iterable[Architecture]) -> None:
        """Make them known by their ids; one joins the pool where a level has its form, within limits or not."""
        known = {architecture.id: architecture for architecture in architectures}
        self.architectures |= known
        self._join({id_: one for id_, one in known.items() if self._has_form(one)})

    def open_level(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        """Level 1 whole; a finer level around the best of the coarser ones and their neighbours."""
        self._level = level
        self._mutated = {}
        self._opened[level] = self._first if level == 1 else self._refined(level, scores)
        return self._opened[level]

    def _refined(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        ranked = sorted((id_ for id_ in scores if id_ in self.pool), key=lambda id_: (-scores[id_], id_))[:NUM_BEST]
        best = [self.architectures[id_] for id_ in ranked]
        if not best:
            best = self.space.sample(level, NUM_BEST, np.random.default_rng([self.seed, level]))
        coarser = [id_ for opened, ids in self._opened.items() if opened < level for id_ in ids]
        neighbors = self._nearest(best, [self.architectures[id_] for id_ in dict.fromkeys([*self._first, *coarser])])
        rng = np.random.default_rng([self.seed, level])
        return self._added(refine(self.space, level, best, neighbors, MAX_REFINED, rng))

    def neighbors(self, ids: Sequence[str]) -> Sequence[str]:
        """The members of the open level one mutation from some architectures, known and in the pool from now on.

        None where all members are candidates already.
        """
        if self._level == 1 and len(self._first) < MAX_CANDIDATES:
            return []
        new = {
            id_: mutations(self.space, self._level, self.architectures[id_]) for id_ in ids if id_ not in self._mutated
        }
        self._added([mutation for mutated in new.values() for mutation in mutated])
        self._mutated |= {id_: [mutation.id for mutation in mutated] for id_, mutated in new.items()}
        return list(dict.fromkeys(mutation for id_ in ids for mutation in self._mutated[id_]))

    def _added(self, architectures: Sequence[Architecture]) -> Sequence[str]:
        """Their ids; those that are new are known and in the pool from now on."""
        ids = [architecture.id for architecture in architectures]
        known = dict(zip(ids, architectures, strict=True))
        self.architectures |= known
        self._join(known)
        return ids

    def _has_form(self, architecture: Architecture) -> bool:
        return any(self.space.form_refusal(architecture, level) is None for level in self.space.levels)

    def _join(self, known: Mapping[str, Architecture]) -> None:
        new = {id_: one for id_, one in known.items() if id_ not in self.pool}
        if new:
            self.pool.extend(list(new), encode(self.space, list(new.values())))

    def _nearest(self, best: Sequence[Architecture], others: Sequence[Architecture]) -> list[Architecture]:
        """The architectures at the least graph edit distance from each of the best, these among them."""
        costs = EditCosts.of(self.space)
        matrix = edit_distances(Graphs(best, costs), Graphs(others, costs), reorder=False)
        rows = np.argsort(matrix, axis=1, kind="stable")[:, : NUM_NEIGHBORS + 1]
        return [others[row] for row in dict.fromkeys(rows.ravel().tolist())]

    def describe(self, id_: str) -> Candidate:
        """Architecture, memory and flat parameters; without the latter where the space does not have them."""
        architecture = self.architectures[id_]
        parameters = layer_parameters(architecture) if id_ in self.pool else {}
        memory = None if self.memory_bytes is None else self.memory_bytes(architecture)
        return Candidate(
            architecture=architecture.to_model_dict(),
            parameters=parameters,
            params=num_parameters(architecture),
            memory_bytes=memory,
        )

    def parent(self, id_: str, trained: Sequence[str]) -> tuple[str, float] | None:
        """The trained neighbour with the greatest biased overlap, if that is enough."""
        found = best_parent(self.architectures[id_], [self.architectures[other] for other in trained])
        return (found[0].id, found[1]) if found else None
