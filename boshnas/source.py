"""Where the loop gets its candidates from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What an id stands for.

    Attributes:
        architecture: As the store and the workers need it.
        parameters: The same as flat names and values.
        params: Weights it has; None: not known.
        memory_bytes: What it takes to evaluate; None: not known.
    """

    architecture: Mapping[str, JsonValue]
    parameters: Mapping[str, str | int | float]
    params: int | None = None
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
