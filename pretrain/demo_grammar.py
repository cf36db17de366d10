"""Clauses of the synthetic demo language: who does what to whom, of what kind, and where.

A `Clause` is the meaning, `render` one of its wordings, `restate` swaps words for synonyms. Texts are lower-case words
separated by single blanks; `render` leaves out the final stop.
"""

from dataclasses import dataclass, replace
from random import Random

from pretrain.demo_lexicon import ACTIONS, ATTRIBUTES, PEOPLE, PLACES, Noun, Place, Verb, Word, WordT, other, synonyms


@dataclass(frozen=True)
class Phrase:
    """A noun phrase with "the".

    Attributes:
        noun: its head.
        plural: whether it stands in the plural.
        attribute: adjective before the noun, or None.
    """

    noun: Noun
    plural: bool = False
    attribute: Word | None = None

    def __str__(self) -> str:
        head = self.noun.plural if self.plural else self.noun.text
        return f"the {self.attribute.text} {head}" if self.attribute else f"the {head}"


@dataclass(frozen=True)
class Clause:
    """One event with up to five roles: agent, its attribute, verb, patient, place.

    Attributes:
        agent: who acts; carries the attribute.
        verb: a transitive verb.
        patient: whom it happens to.
        place: where, or None.
        present: present tense instead of past.
        negation: "", "not" or "never".
    """

    agent: Phrase
    verb: Verb
    patient: Phrase
    place: Place | None = None
    present: bool = False
    negation: str = ""

    def swapped(self) -> "Clause":
        """Return the clause with agent and patient exchanged."""
        return replace(self, agent=self.patient, patient=self.agent)

    def bare(self) -> "Clause":
        """Return the clause without attribute and place, which it entails."""
        return replace(self, agent=replace(self.agent, attribute=None), place=None)


def draw_clause(rng: Random, *, attribute: float = 0.5, place: float = 0.5, plural: float = 0.0) -> Clause:
    """Draw a clause in the past tense, without negation.

    Args:
        rng: source of randomness.
        attribute: probability in [0, 1] that the agent has an attribute.
        place: probability in [0, 1] that a place is named.
        plural: probability in [0, 1] that a noun is plural, drawn for each.

    Returns:
        A clause whose agent and patient differ in meaning.
    """
    agent = rng.choice(PEOPLE)
    return Clause(
        agent=Phrase(agent, rng.random() < plural, rng.choice(ATTRIBUTES) if rng.random() < attribute else None),
        verb=rng.choice(ACTIONS),
        patient=Phrase(other(PEOPLE, [agent], rng), rng.random() < plural),
        place=rng.choice(PLACES) if rng.random() < place else None,
    )


def restate(clause: Clause, rng: Random, rate: float = 0.4) -> Clause:
    """Replace words by synonyms; the meaning stays.

    Args:
        clause: the clause to restate.
        rng: source of randomness.
        rate: probability in [0, 1] of replacing each content word.

    Returns:
        A clause that means the same.
    """

    def turn(word: WordT, table: tuple[WordT, ...]) -> WordT:
        return rng.choice(synonyms(word, table) or [word]) if rng.random() < rate else word

    attribute = clause.agent.attribute
    return replace(
        clause,
        agent=replace(
            clause.agent, noun=turn(clause.agent.noun, PEOPLE), attribute=attribute and turn(attribute, ATTRIBUTES)
        ),
        verb=turn(clause.verb, ACTIONS),
        patient=replace(clause.patient, noun=turn(clause.patient.noun, PEOPLE)),
        place=clause.place and turn(clause.place, PLACES),
    )


def where(place: Place) -> str:
    """Return the place with its preposition, such as "near the house"."""
    return f"{place.preposition} the {place.text}"


def finite(verb: Verb, *, plural: bool, present: bool, negation: str = "") -> str:
    """Return the verb group that agrees with its subject.

    Args:
        verb: the verb.
        plural: number of the subject.
        present: present tense instead of past.
        negation: "", "not" or "never".

    Returns:
        One to three words.

    Example:
        >>> finite(ACTIONS[0], plural=False, present=True, negation="not")
        'does not help'
    """
    if negation == "not":
        helper = ("do" if plural else "does") if present else "did"
        return f"{helper} not {verb.text}"
    form = (verb.text if plural else verb.third) if present else verb.past
    return f"{negation} {form}".strip()


def render(clause: Clause, *, passive: bool = False, fronted: bool = False) -> str:
    """Put a clause into words.

    Args:
        clause: what to say.
        passive: begin with the patient: "the girl was helped by the doctor".
        fronted: begin with the place, where there is one.

    Returns:
        3 to 14 words without a final stop.
    """
    if passive:
        plural = clause.patient.plural
        be = ("are" if plural else "is") if clause.present else ("were" if plural else "was")
        words = [str(clause.patient), be, clause.negation, clause.verb.past, "by", str(clause.agent)]
    else:
        group = finite(clause.verb, plural=clause.agent.plural, present=clause.present, negation=clause.negation)
        words = [str(clause.agent), group, str(clause.patient)]
    place = where(clause.place) if clause.place else ""
    words = [place, *words] if fronted else [*words, place]
    return " ".join(word for word in words if word)


def be_clause(phrase: Phrase, attribute: Word) -> str:
    """Return "the doctor was old" for a noun phrase and an attribute."""
    return f"{phrase} {'were' if phrase.plural else 'was'} {attribute.text}"


def question(clause: Clause, ask: str) -> str:
    """Ask for a part of a clause.

    Args:
        clause: the event asked about, in the past tense.
        ask: "who" (agent), "whom" (patient), "where", "when", "why", or "did" for yes or no.

    Returns:
        A question that ends in " ?".

    Raises:
        KeyError: if `ask` is none of these.
    """
    place = f" {where(clause.place)}" if clause.place and ask != "where" else ""
    rest = f"did {clause.agent} {clause.verb.text}"
    text = {
        "who": f"who {finite(clause.verb, plural=False, present=False)} {clause.patient}{place}",
        "whom": f"whom {rest}{place}",
        "where": f"where {rest} {clause.patient}",
        "when": f"when {rest} {clause.patient}{place}",
        "why": f"why {rest} {clause.patient}{place}",
        "did": f"{rest} {clause.patient}{place}",
    }
    return f"{text[ask]} ?"


def relative(clause: Clause, activity: Verb) -> str:
    """Return "the doctor who helped the girl slept": the agent of the clause does both."""
    group = finite(clause.verb, plural=clause.agent.plural, present=False)
    return f"{clause.agent} who {group} {clause.patient} {activity.past}"
