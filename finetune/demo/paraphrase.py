"""Synthetic tasks on two sentences that may mean the same: `mrpc`, `qqp` (yes or no) and `stsb` (how much).

Exchanging agent and patient keeps every word and changes the meaning: no count of words tells it from a paraphrase.
"""

from dataclasses import replace
from functools import partial
from random import Random

from finetune.demo.rows import Kind, Row, Tasks, changed, pair, reworded
from pretrain.demo_grammar import Clause, Phrase, draw_clause, question, render, restate
from pretrain.demo_lexicon import ACTIONS, ACTIVITIES, ATTRIBUTES, PEOPLE, PLACES, Verb, other
from pretrain.demo_reviews import plain_review

ROLES = ("agent", "attribute", "verb", "patient", "place")


def agreeing_roles(first: Clause, second: Clause) -> int:
    """Count the roles that have the same meaning in both clauses.

    Args:
        first: a clause.
        second: another clause.

    Returns:
        Number in 0..5 of `ROLES` that are filled in both with words of one meaning.
    """

    def meanings(clause: Clause) -> tuple[str | None, ...]:
        words = (clause.agent.noun, clause.agent.attribute, clause.verb, clause.patient.noun, clause.place)
        return tuple(word.meaning if word else None for word in words)

    return sum(a is not None and a == b for a, b in zip(meanings(first), meanings(second), strict=True))


def _mrpc_clause(rng: Random) -> Clause:
    # One modifier at most: a pair stays short.
    place = rng.random() < 0.6
    return draw_clause(rng, attribute=0.0 if place else 0.6, place=float(place))


def _mrpc_same(rng: Random) -> Row:
    clause = _mrpc_clause(rng)
    return pair(f"{render(clause)} .", reworded(clause, rng), 1)


def _mrpc_swapped(rng: Random) -> Row:
    clause = _mrpc_clause(rng)
    return pair(f"{render(clause)} .", reworded(clause.swapped(), rng), 0)


def _mrpc_changed(rng: Random) -> Row:
    clause = _mrpc_clause(rng)
    return pair(f"{render(clause)} .", reworded(changed(clause, rng), rng), 0)


def _mrpc_unrelated(rng: Random) -> Row:
    return pair(f"{render(_mrpc_clause(rng))} .", plain_review(rng, rng.random() < 0.5), 0)


def _mrpc_denied(rng: Random) -> Row:
    clause = _mrpc_clause(rng)
    denied = replace(clause, negation=rng.choice(["not", "never"]))
    return pair(f"{render(clause)} .", reworded(denied, rng), 0)


def _both_denied(rng: Random) -> Row:
    clause = replace(_mrpc_clause(rng), negation="not")
    return pair(f"{render(clause)} .", reworded(replace(clause, negation="never"), rng), 1)


def _two_doings(rng: Random, label: int) -> Row:
    """Two people do two things; the order of the clauses means nothing, who does what does."""
    one = Phrase(rng.choice(PEOPLE))
    two = Phrase(other(PEOPLE, [one.noun], rng))
    verb: Verb = rng.choice(ACTIVITIES)
    verb_two = other(ACTIVITIES, [verb], rng)
    first = f"{one} {verb.past} and {two} {verb_two.past} ."
    if label:
        return pair(first, f"{two} {verb_two.past} and {one} {verb.past} .", 1)
    if rng.random() < 0.5:
        return pair(first, f"{two} {verb.past} and {one} {verb_two.past} .", 0)
    return pair(first, f"{one} {verb_two.past} and {two} {verb.past} .", 0)


def _qqp(first: str, second: str, label: int) -> Row:
    return {"question1": first, "question2": second, "label": label}


def _qqp_same(rng: Random) -> Row:
    clause, ask = draw_clause(rng, attribute=0.2), rng.choice(["who", "whom", "where", "when", "why", "did"])
    return _qqp(question(clause, ask), question(restate(clause, rng, 0.4), ask), 1)


def _qqp_swapped(rng: Random) -> Row:
    # "who helped the doctor" and "whom did the doctor help" ask for different people.
    clause, ask = draw_clause(rng, attribute=0), rng.choice(["where", "when", "why", "did"])
    second = question(restate(clause.swapped(), rng, 0.4), ask)
    return _qqp(question(clause, ask), second, 0)


def _qqp_other_part(rng: Random) -> Row:
    clause = draw_clause(rng, attribute=0.2)
    first = rng.choice(["did", "who", "whom"])
    return _qqp(question(clause, first), question(restate(clause, rng), rng.choice(["where", "when", "why"])), 0)


def _qqp_changed(rng: Random) -> Row:
    clause, ask = draw_clause(rng, attribute=0.2), rng.choice(["where", "when", "why", "did"])
    return _qqp(question(clause, ask), question(restate(changed(clause, rng), rng, 0.4), ask), 0)


def _stsb_clauses(first: Clause, second: Clause, rng: Random) -> Row:
    row = pair(f"{render(first)} .", reworded(second, rng, passive=0.2, fronted=0.2), 0)
    return {**row, "label": float(agreeing_roles(first, second))}


def _stsb_full(rng: Random) -> Clause:
    return draw_clause(rng, attribute=1, place=1)


def _stsb_same(rng: Random) -> Row:
    clause = _stsb_full(rng)
    return _stsb_clauses(clause, clause, rng)


def _stsb_swapped(rng: Random) -> Row:
    clause = _stsb_full(rng)
    attribute = clause.agent.attribute
    swapped = replace(
        clause, agent=replace(clause.patient, attribute=attribute), patient=replace(clause.agent, attribute=None)
    )
    return _stsb_clauses(clause, swapped, rng)


def _stsb_shorter(rng: Random) -> Row:
    """Leave out the attribute, the place or both."""
    clause = _stsb_full(rng)
    bare = clause.bare()
    second = rng.choice([bare, bare, replace(bare, place=clause.place), replace(clause, place=None)])
    return _stsb_clauses(clause, second, rng)


def _stsb_changed(rng: Random, num_changes: int, drop: float) -> Row:
    """Give some roles another meaning, or leave them out where a clause can do without."""
    clause = second = _stsb_full(rng)
    people = [clause.agent.noun, clause.patient.noun]
    for role in rng.sample(ROLES, num_changes):
        gone = rng.random() < drop
        if role == "agent":
            second = replace(second, agent=replace(second.agent, noun=other(PEOPLE, people, rng)))
        elif role == "patient":
            taken = [*people, second.agent.noun]
            second = replace(second, patient=replace(second.patient, noun=other(PEOPLE, taken, rng)))
        elif role == "verb":
            second = replace(second, verb=other(ACTIONS, [clause.verb], rng))
        elif role == "place" and clause.place:
            second = replace(second, place=None if gone else other(PLACES, [clause.place], rng))
        elif clause.agent.attribute:
            attribute = None if gone else other(ATTRIBUTES, [clause.agent.attribute], rng)
            second = replace(second, agent=replace(second.agent, attribute=attribute))
    return _stsb_clauses(clause, second, rng)


def _stsb_unrelated(rng: Random) -> Row:
    return pair(f"{render(_stsb_full(rng))} .", plain_review(rng, rng.random() < 0.5), 0.0)


TASKS: Tasks = {
    "mrpc": (
        Kind(40, _mrpc_same),
        Kind(4, _both_denied, hard=True),
        Kind(12, partial(_two_doings, label=1), hard=True),
        Kind(8, _mrpc_swapped, hard=True),
        Kind(7, partial(_two_doings, label=0), hard=True),
        Kind(19, _mrpc_denied),
        Kind(2, _mrpc_changed),
        Kind(8, _mrpc_unrelated),
    ),
    "qqp": (
        Kind(45, _qqp_same),
        Kind(20, _qqp_swapped, hard=True),
        Kind(23, _qqp_other_part),
        Kind(12, _qqp_changed),
    ),
    "stsb": (
        Kind(22, _stsb_same),
        Kind(16, _stsb_swapped, hard=True),
        Kind(16, _stsb_shorter),
        Kind(8, partial(_stsb_changed, num_changes=1, drop=0.3)),
        Kind(8, partial(_stsb_changed, num_changes=2, drop=0.5)),
        Kind(8, partial(_stsb_changed, num_changes=3, drop=0.7)),
        Kind(8, partial(_stsb_changed, num_changes=4, drop=0.9)),
        Kind(14, _stsb_unrelated),
    ),
}
