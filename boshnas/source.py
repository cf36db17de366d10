"""Where the loop gets its candidates from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An id's architecture, as the store and the workers need it, and what it takes of memory; None: unknown."""

    architecture: Mapping[str, JsonValue]
    parameters: Mapping[str, str | int]
    memory_bytes: int | None = None


class Source(Protocol):
    """Where candidates come from; the loop knows ids alone."""

    def open_level(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        """Ids that may be proposed at a level, all in the searcher's pool, given the scores so far."""
        ...

    def describe(self, id_: str) -> Candidate:
        """What an id stands for."""
        ...

    def parent(self, id_: str, trained: Sequence[str]) -> tuple[str, float] | None:
        """Which of the trained ids should lend its weights, with the overlap in [0, 1]."""
        ...
