"""Synthetic tasks of inference: `mnli`, `qnli`, `rte` and `wnli`.

GLUE codes entailment as 0 in `mnli`, `qnli` and `rte`, and as 1 in `wnli`.
"""

from dataclasses import replace
from functools import partial
from random import Random

from finetune.demo.rows import Kind, Row, Tasks, changed, pair, reworded
from pretrain.demo import PRONOUNS
from pretrain.demo_grammar import Clause, Phrase, be_clause, draw_clause, question, relative, render, restate, where
from pretrain.demo_lexicon import (
    ACTIONS,
    ACTIVITIES,
    AGENT_CAUSES,
    ATTRIBUTES,
    EXTRAS,
    PATIENT_CAUSES,
    PEOPLE,
    PLACES,
    TIMES,
    opposite,
    other,
)
from pretrain.demo_reviews import plain_review


def _mnli(premise: str, hypothesis: str, label: int) -> Row:
    return {"premise": f"{premise} .", "hypothesis": f"{hypothesis} .", "label": label}


def _said(clause: Clause, rng: Random) -> str:
    return reworded(clause, rng, rate=0.2).removesuffix(" .")


def _negation(rng: Random) -> str:
    return rng.choice(["not", "never"])


def _mnli_less(rng: Random) -> Row:
    clause = draw_clause(rng, attribute=0.7, place=0.7)
    return _mnli(render(clause), _said(clause.bare(), rng), 0)


def _mnli_vague(rng: Random, who: str, label: int) -> Row:
    clause = draw_clause(rng, attribute=0.3)
    return _mnli(render(clause), f"{who} {clause.verb.past} {clause.patient}", label)


def _mnli_state(rng: Random, label: int) -> Row:
    clause = draw_clause(rng, attribute=1, place=0.3)
    attribute = clause.agent.attribute or ATTRIBUTES[0]
    said = attribute if label == 0 else opposite(attribute, rng)
    return _mnli(render(clause), be_clause(replace(clause.agent, attribute=None), said), label)


def _mnli_denied(rng: Random, premise: bool, hypothesis: bool) -> Row:
    clause = draw_clause(rng, attribute=0.2, place=0.3)
    first = replace(clause, negation=_negation(rng) if premise else "")
    second = replace(clause, negation=_negation(rng) if hypothesis else "")
    return _mnli(render(first), _said(second, rng), 0 if premise == hypothesis else 2)


def _mnli_more(rng: Random) -> Row:
    """The hypothesis tells the attribute or the place that the premise leaves open."""
    clause = draw_clause(rng, attribute=0, place=0)
    place = rng.random() < 0.5
    more = (
        replace(clause, place=rng.choice(PLACES))
        if place
        else replace(clause, agent=replace(clause.agent, attribute=rng.choice(ATTRIBUTES)))
    )
    return _mnli(render(clause), _said(more, rng), 1)


def _mnli_extra(rng: Random) -> Row:
    clause = draw_clause(rng, place=0.3)
    return _mnli(render(clause), f"{_said(clause.bare(), rng)} {rng.choice(EXTRAS)}", 1)


def _mnli_swapped(rng: Random) -> Row:
    clause = draw_clause(rng, attribute=0.2, place=0.5)
    return _mnli(render(clause), _said(clause.swapped(), rng), 1)


def _qnli(asked: str, sentence: str, label: int) -> Row:
    return {"question": asked, "sentence": f"{sentence} .", "label": label}


def _qnli_who(rng: Random, answered: bool) -> Row:
    """Ask for one of the two people; the sentence tells of this event, or of the roles the other way round."""
    clause = draw_clause(rng, attribute=0.2, place=0)
    ask = rng.choice(["who", "whom"])
    told = clause if answered else clause.swapped()
    return _qnli(question(clause, ask), _said(told, rng), int(not answered))


def _qnli_where(rng: Random, answered: bool) -> Row:
    clause = draw_clause(rng, attribute=0.3, place=1)
    told = clause if answered else replace(clause, place=None)
    return _qnli(question(clause, "where"), _said(told, rng), int(not answered))


def _qnli_when(rng: Random, answered: bool) -> Row:
    clause = draw_clause(rng, attribute=0, place=0)
    end = rng.choice(TIMES if answered else EXTRAS)
    return _qnli(question(clause, "when"), f"{render(restate(clause, rng, 0.2))} {end}", int(not answered))


def _qnli_unrelated(rng: Random) -> Row:
    clause = draw_clause(rng, attribute=0)
    if rng.random() < 0.5:
        told = plain_review(rng, rng.random() < 0.5).removesuffix(" .")
    else:
        told = _said(changed(clause, rng), rng)
    return _qnli(question(clause, rng.choice(["where", "why", "did"])), told, 1)


def _rte(first: str, second: str, label: int) -> Row:
    return pair(f"{first} .", f"{second} .", label)


def _rte_relative(rng: Random, entailed: bool) -> Row:
    """Say "the doctor who helped the girl slept": the doctor slept, the girl may not have."""
    clause, activity = draw_clause(rng, attribute=0, place=0), rng.choice(ACTIVITIES)
    sleeper = clause.agent if entailed else clause.patient
    return _rte(relative(clause, activity), f"{sleeper} {activity.past}", int(not entailed))


def _rte_inside(rng: Random, entailed: bool) -> Row:
    clause, activity = draw_clause(rng, attribute=0, place=0), rng.choice(ACTIVITIES)
    told = clause if entailed else clause.swapped()
    return _rte(relative(clause, activity), _said(told, rng), int(not entailed))


def _rte_and(rng: Random) -> Row:
    clause, activity = draw_clause(rng, attribute=0), rng.choice(ACTIVITIES)
    one = rng.choice([clause.agent, clause.patient])
    place = f" {where(clause.place)}" if clause.place else ""
    return _rte(f"{clause.agent} and {clause.patient} {activity.past}{place}", f"{one} {activity.past}", 0)


def _rte_intended(rng: Random, helper: str, label: int) -> Row:
    clause = draw_clause(rng, attribute=0.2, place=0)
    return _rte(f"{clause.agent} {helper} to {clause.verb.text} {clause.patient}", _said(clause, rng), label)


def _rte_less(rng: Random) -> Row:
    clause = draw_clause(rng, attribute=0.6, place=0.6)
    return _rte(render(clause), _said(clause.bare(), rng), 0)


def _rte_denied(rng: Random) -> Row:
    clause = draw_clause(rng)
    return _rte(render(clause), _said(replace(clause.bare(), negation=_negation(rng)), rng), 1)


def _wnli_cause(rng: Random, right: bool) -> Row:
    """The verb tells whose state is the reason: we help the poor, and the bold chase others."""
    clause, attribute = draw_clause(rng, attribute=0, place=0), rng.choice(ATTRIBUTES)
    clause = replace(clause, verb=rng.choice([v for v in ACTIONS if v.meaning in PATIENT_CAUSES | AGENT_CAUSES]))
    meant_agent = clause.verb.meaning in AGENT_CAUSES
    who = clause.agent if meant_agent == right else clause.patient
    first = f"{render(clause)} because {rng.choice(PRONOUNS)} was {attribute.text} ."
    return pair(first, f"{be_clause(who, attribute)} .", int(right))


def _wnli_number(rng: Random, right: bool) -> Row:
    """One of the two nouns is plural; "they" or "he" agrees with one of them."""
    clause, attribute = draw_clause(rng, attribute=0, place=0), rng.choice(ATTRIBUTES)
    plural_agent, meant_agent = rng.random() < 0.5, rng.random() < 0.5
    clause = replace(
        clause,
        agent=replace(clause.agent, plural=plural_agent),
        patient=replace(clause.patient, plural=not plural_agent),
    )
    meant = clause.agent if meant_agent else clause.patient
    pronoun = "they were" if meant.plural else f"{rng.choice(PRONOUNS)} was"
    who = clause.agent if meant_agent == right else clause.patient
    return pair(f"{render(clause)} because {pronoun} {attribute.text} .", f"{be_clause(who, attribute)} .", int(right))


def _wnli_denied_or_stranger(rng: Random) -> Row:
    """Deny the state, or give it to someone whom the first sentence does not name."""
    row = _wnli_cause(rng, True)
    if rng.random() < 0.5:
        return pair(str(row["sentence1"]), str(row["sentence2"]).replace(" was ", " was not "), 0)
    said = str(row["sentence1"]).split()
    taken = [noun for noun in PEOPLE if noun.text in said]
    stranger = Phrase(other(PEOPLE, taken, rng))
    return pair(str(row["sentence1"]), f"{stranger} was {said[-2]} .", 0)


TASKS: Tasks = {
    "mnli": (
        Kind(10, _mnli_less),
        Kind(5, partial(_mnli_vague, who="someone", label=0)),
        Kind(9, partial(_mnli_state, label=0), hard=True),
        Kind(9, partial(_mnli_denied, premise=True, hypothesis=True), hard=True),
        Kind(9, _mnli_more),
        Kind(9, _mnli_extra),
        Kind(15, _mnli_swapped, hard=True),
        Kind(10, partial(_mnli_denied, premise=False, hypothesis=True)),
        Kind(4, partial(_mnli_vague, who="nobody", label=2)),
        Kind(10, partial(_mnli_denied, premise=True, hypothesis=False), hard=True),
        Kind(10, partial(_mnli_state, label=2), hard=True),
    ),
    "qnli": (
        Kind(24, partial(_qnli_who, answered=True), hard=True),
        Kind(14, partial(_qnli_where, answered=True)),
        Kind(12, partial(_qnli_when, answered=True)),
        Kind(20, partial(_qnli_who, answered=False), hard=True),
        Kind(8, partial(_qnli_where, answered=False)),
        Kind(6, partial(_qnli_when, answered=False)),
        Kind(16, _qnli_unrelated),
    ),
    "rte": (
        Kind(14, partial(_rte_relative, entailed=True), hard=True),
        Kind(10, partial(_rte_inside, entailed=True), hard=True),
        Kind(10, _rte_and),
        Kind(6, partial(_rte_intended, helper="managed", label=0)),
        Kind(10, _rte_less),
        Kind(14, partial(_rte_relative, entailed=False), hard=True),
        Kind(10, partial(_rte_inside, entailed=False), hard=True),
        Kind(7, partial(_rte_intended, helper="wanted", label=1)),
        Kind(6, partial(_rte_intended, helper="hoped", label=1)),
        Kind(13, _rte_denied),
    ),
    "wnli": (
        Kind(28, partial(_wnli_cause, right=True), hard=True),
        Kind(22, partial(_wnli_number, right=True), hard=True),
        Kind(22, partial(_wnli_cause, right=False), hard=True),
        Kind(13, partial(_wnli_number, right=False), hard=True),
        Kind(15, _wnli_denied_or_stranger),
    ),
}
