"""The embedded synthetic corpus: sentences of a small made-up language, for masked language modelling offline.

Nothing here is text that a person wrote. `pretrain.demo_grammar` and `pretrain.demo_reviews` make the sentences from
the words of `pretrain.demo_lexicon`; the synthetic tasks of `finetune.demo.tasks` speak the same language. A document
is one sentence, or (one in four) a sentence and its restatement with synonyms, so that a masked word can be found in
the other.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from design_space.errors import InputError
from pretrain.demo_grammar import Phrase, be_clause, draw_clause, finite, question, relative, render, restate, where
from pretrain.demo_lexicon import ACTIVITIES, ATTRIBUTES, EXTRAS, PEOPLE, PLACES, TIMES, other
from pretrain.demo_reviews import REVIEWS

PRONOUNS = ("he", "she")


def agreement_sentence(rng: Random) -> str:
    """Draw "the dogs near the house bark .": subject and verb agree over a noun between them.

    Args:
        rng: source of randomness.

    Returns:
        A sentence of 5 to 8 words and a stop.
    """
    subject = Phrase(rng.choice(PEOPLE), rng.random() < 0.5)
    place = rng.choice(PLACES)
    noun = place.plural if rng.random() < 0.5 else place.text
    verb = finite(rng.choice(ACTIVITIES), plural=subject.plural, present=True)
    return f"{subject} {place.preposition} the {noun} {verb} ."


def modal_sentence(rng: Random) -> str:
    """Draw "the doctor can help the girl ." or "the doctor wanted to help the girl .".

    Args:
        rng: source of randomness.

    Returns:
        A sentence of 7 or 8 words and a stop.
    """
    clause = draw_clause(rng, attribute=0, place=0)
    helper = rng.choice(["can", "must", "wanted to", "hoped to", "managed to"])
    return f"{clause.agent} {helper} {clause.verb.text} {clause.patient} ."


def _event(rng: Random) -> str:
    clause = draw_clause(rng, plural=0.3)
    clause = replace(clause, present=rng.random() < 0.3, negation=rng.choice(["", "", "", "not", "never"]))
    return f"{render(clause, passive=rng.random() < 0.3, fronted=rng.random() < 0.2)} ."


def _pair(rng: Random) -> str:
    clause = draw_clause(rng, plural=0.1)
    again = render(restate(clause, rng), passive=rng.random() < 0.5, fronted=rng.random() < 0.3)
    return f"{render(clause)} . {again} ."


def _state(rng: Random) -> str:
    clause = draw_clause(rng, attribute=0, place=0, plural=0.3)
    attribute = rng.choice(ATTRIBUTES)
    pronoun = "they were" if clause.agent.plural else f"{rng.choice(PRONOUNS)} was"
    return rng.choice(
        [
            f"{be_clause(clause.agent, attribute)} .",
            f"{render(clause)} because {pronoun} {attribute.text} .",
        ]
    )


def _doing(rng: Random) -> str:
    one, two = Phrase(rng.choice(PEOPLE)), Phrase(rng.choice(PEOPLE))
    verb, verb_two = rng.choice(ACTIVITIES), rng.choice(ACTIVITIES)
    return rng.choice(
        [
            f"{one} {verb.past} and {two} {verb_two.past} .",
            f"{one} and {Phrase(other(PEOPLE, [one.noun], rng))} {verb.past} .",
            f"{one} {verb.past} {rng.choice(EXTRAS + TIMES)} .",
            f"{relative(draw_clause(rng, attribute=0, place=0), verb)} .",
        ]
    )


def _vague(rng: Random) -> str:
    clause = draw_clause(rng, attribute=0)
    place = f" {where(clause.place)}" if clause.place else ""
    return f"{rng.choice(['someone', 'nobody'])} {clause.verb.past} {clause.patient}{place} ."


def _question(rng: Random) -> str:
    return question(draw_clause(rng, attribute=0.2), rng.choice(["who", "whom", "where", "when", "why", "did"]))


def _review(rng: Random) -> str:
    return rng.choice(REVIEWS)(rng, rng.random() < 0.5)


# Kinds of document, each as often as it stands here.
_KINDS: tuple[Callable[[Random], str], ...] = (
    *(_event, _event, _event, _event, _pair, _pair, _pair, _pair, _pair),
    *(_state, _state, _doing, _doing, agreement_sentence, modal_sentence, _vague, _question, _review, _review, _review),
)


def corpus(num_sentences: int, seed: int = 0) -> list[str]:
    """Generate the synthetic corpus.

    All sentences are grammatical. At 20,000 documents it holds every word that the tasks of
    `finetune.demo.tasks` use.

    Args:
        num_sentences: number of documents, at least 0; each is one sentence, or a sentence and its restatement.
        seed: the same seed gives the same corpus in any process.

    Returns:
        `num_sentences` texts of 4 to 28 blank-separated tokens.

    Raises:
        InputError: if `num_sentences` is negative.

    Example:
        >>> corpus(3) == corpus(5)[:3]
        True
    """
    if num_sentences < 0:
        raise InputError(f"corpus: num_sentences must be at least 0, got {num_sentences!r}. Ask for more documents.")
    rng = Random(f"corpus-{seed}")
    return [rng.choice(_KINDS)(rng) for _ in range(num_sentences)]
