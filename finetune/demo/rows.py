"""What the synthetic tasks share: a row, a kind of row, and the wordings that they all use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

from pretrain.demo_grammar import Clause, Phrase, render, restate
from pretrain.demo_lexicon import ACTIONS, PEOPLE, other

Row = dict[str, str | int | float]


@dataclass(frozen=True)
class Kind:
    """One kind of row of a task.

    Attributes:
        percent: its share of the task's rows; the kinds of a task sum to 100.
        draw: makes the text fields and the label of one row.
        hard: whether the label takes more than the words, such as their order.
    """

    percent: int
    draw: Callable[[Random], Row]
    hard: bool = False


Task = tuple[Kind, ...]
Tasks = Mapping[str, Task]


def pair(first: str, second: str, label: int | float) -> Row:
    """Return a row of a task that names its texts `sentence1` and `sentence2`."""
    return {"sentence1": first, "sentence2": second, "label": label}


def reworded(clause: Clause, rng: Random, *, passive: float = 0.3, fronted: float = 0.3, rate: float = 0.3) -> str:
    """Say a clause in other words and another order; the meaning stays.

    Args:
        clause: what to say.
        rng: source of randomness.
        passive: probability in [0, 1] of the passive voice.
        fronted: probability in [0, 1] of beginning with the place.
        rate: probability in [0, 1] of a synonym, for each content word.

    Returns:
        A sentence with its stop.
    """
    said = render(restate(clause, rng, rate), passive=rng.random() < passive, fronted=rng.random() < fronted)
    return f"{said} ."


def changed(clause: Clause, rng: Random) -> Clause:
    """Return the clause with another verb, agent or patient.

    Args:
        clause: the clause to change in one or two roles.
        rng: source of randomness.

    Returns:
        A clause that tells of another event.
    """
    people = [clause.agent.noun, clause.patient.noun]
    role = rng.choice(["verb", "agent", "patient", "both"])
    if role in ("verb", "both"):
        clause = replace(clause, verb=other(ACTIONS, [clause.verb], rng))
    if role in ("agent", "both"):
        clause = replace(clause, agent=replace(clause.agent, noun=other(PEOPLE, people, rng)))
    if role == "patient":
        clause = replace(clause, patient=Phrase(other(PEOPLE, people, rng)))
    return clause
