"""Synthetic tasks on one sentence: `cola` (is it grammatical?) and `sst2` (is it positive?)."""

from dataclasses import replace
from functools import partial
from random import Random

from finetune.demo.rows import Kind, Row, Tasks
from pretrain.demo import agreement_sentence, modal_sentence
from pretrain.demo_grammar import Phrase, draw_clause, finite, render, where
from pretrain.demo_lexicon import ACTIVITIES, EXTRAS, PEOPLE, PLACES
from pretrain.demo_reviews import contrast_review, negated_review, plain_review

# Words that need a partner: without it they are out of place wherever they stand.
STRAY = ("because", "who", "but", "and")


def distant_agreement(rng: Random, acceptable: bool) -> str:
    """Draw "the dogs near the house bark .", or the same with a verb that agrees with nothing or the wrong noun.

    Args:
        rng: source of randomness.
        acceptable: whether the verb agrees with the first noun.

    Returns:
        A sentence with its stop.
    """
    subject, place = Phrase(rng.choice(PEOPLE), rng.random() < 0.5), rng.choice(PLACES)
    noun = place.plural if rng.random() < 0.5 else place.text
    verb = finite(rng.choice(ACTIVITIES), plural=subject.plural == acceptable, present=True)
    return f"{subject} {place.preposition} the {noun} {verb} ."


def near_agreement(rng: Random, acceptable: bool) -> str:
    """Draw "the dogs bark often .", or the same with the wrong number.

    Args:
        rng: source of randomness.
        acceptable: whether the verb agrees.

    Returns:
        A sentence with its stop.
    """
    subject = Phrase(rng.choice(PEOPLE), rng.random() < 0.5)
    verb = finite(rng.choice(ACTIVITIES), plural=subject.plural == acceptable, present=True)
    return f"{subject} {verb} {rng.choice([*EXTRAS, where(rng.choice(PLACES))])} ."


def ordinary(rng: Random) -> str:
    """Draw an acceptable sentence of any construction.

    Args:
        rng: source of randomness.

    Returns:
        A sentence with its stop.
    """
    kind = rng.randrange(4)
    if kind == 0:
        return modal_sentence(rng)
    if kind == 1:
        return agreement_sentence(rng)
    clause = draw_clause(rng, attribute=0.3, place=0.4, plural=0.4)
    return f"{render(replace(clause, present=rng.random() < 0.5), passive=kind == 2)} ."


def stray_word(rng: Random) -> str:
    """Put a function word without its partner into an acceptable sentence.

    Args:
        rng: source of randomness.

    Returns:
        An unacceptable sentence with its stop.
    """
    words = ordinary(rng).split()
    words.insert(rng.randrange(1, len(words)), rng.choice(STRAY))
    return " ".join(words)


def broken_order(rng: Random) -> str:
    """Break an acceptable sentence near its start or end: "the the", a final "the", "doctor the", the verb first.

    Args:
        rng: source of randomness.

    Returns:
        An unacceptable sentence with its stop.
    """
    words = ordinary(rng).split()
    fault = rng.randrange(3)
    if fault == 0:
        return " ".join(["the", *words])
    if fault == 1:
        return " ".join([*words[:-1], "the", "."])
    return " ".join([words[1], words[0], *words[2:]])


def _cola(draw: str, rng: Random, label: int) -> Row:
    if draw == "distant":
        return {"sentence": distant_agreement(rng, bool(label)), "label": label}
    if draw == "near":
        return {"sentence": near_agreement(rng, bool(label)), "label": label}
    return {"sentence": {"ordinary": ordinary, "stray": stray_word, "order": broken_order}[draw](rng), "label": label}


def _sst2(rng: Random, draw: str) -> Row:
    positive = rng.random() < 0.5
    review = {"plain": plain_review, "negated": negated_review, "contrast": contrast_review}[draw]
    return {"sentence": review(rng, positive), "label": int(positive)}


TASKS: Tasks = {
    "cola": (
        Kind(26, partial(_cola, "ordinary", label=1)),
        Kind(21, partial(_cola, "distant", label=1), hard=True),
        Kind(9, partial(_cola, "near", label=1), hard=True),
        Kind(15, partial(_cola, "stray", label=0)),
        Kind(11, partial(_cola, "order", label=0)),
        Kind(12, partial(_cola, "distant", label=0), hard=True),
        Kind(6, partial(_cola, "near", label=0), hard=True),
    ),
    "sst2": (
        Kind(70, partial(_sst2, draw="plain")),
        Kind(17, partial(_sst2, draw="negated"), hard=True),
        Kind(13, partial(_sst2, draw="contrast"), hard=True),
    ),
}
