"""One-sentence reviews of the synthetic demo language, each with its sentiment."""

from collections.abc import Callable
from random import Random

from pretrain.demo_lexicon import BAD, DEGREES, DISLIKED, GOOD, LIKED, PARTS, PLOTS

# (random source, sentiment wanted) -> sentence
Review = Callable[[Random, bool], str]


def _tone(rng: Random, positive: bool) -> str:
    return rng.choice(GOOD if positive else BAD)


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def plain_review(rng: Random, positive: bool) -> str:
    """Say it with two words of one sentiment.

    Args:
        rng: source of randomness.
        positive: the sentiment wanted.

    Returns:
        A sentence such as "a funny film with a good story .".
    """
    work, part = rng.choice(PLOTS), rng.choice(PARTS)
    first, second = _tone(rng, positive), _tone(rng, positive)
    return rng.choice(
        [
            f"{_a(first)} {work.text} with {_a(second)} {part.text} .",
            f"the {work.text} was {rng.choice(DEGREES)} {first} and {second} .",
            f"i {rng.choice(LIKED if positive else DISLIKED)} this {first} {work.text} .",
            f"the {first} {work.plural} had {second} {part.plural} .",
        ]
    )


def negated_review(rng: Random, positive: bool) -> str:
    """Say it by denying a word of the opposite sentiment.

    Args:
        rng: source of randomness.
        positive: the sentiment wanted, that of the sentence as a whole.

    Returns:
        A sentence such as "the film was never boring .", which is positive.
    """
    work, denied = rng.choice(PLOTS), _tone(rng, not positive)
    return rng.choice(
        [
            f"not {_a(denied)} {work.text} .",
            f"the {work.text} was {rng.choice(['not', 'never'])} {denied} .",
            f"the {rng.choice(PARTS).plural} were {rng.choice(['not', 'never'])} {rng.choice(DEGREES)} {denied} .",
            f"i never {rng.choice(DISLIKED if positive else LIKED)} this {work.text} .",
        ]
    )


def contrast_review(rng: Random, positive: bool) -> str:
    """Say it in the clause after "but", which decides; the clause before says the opposite.

    Args:
        rng: source of randomness.
        positive: the sentiment wanted, that of the second clause.

    Returns:
        A sentence such as "the film was dull but the songs were good .", which is positive.
    """
    work, part = rng.choice(PLOTS), rng.choice(PARTS)
    first, denied, second = _tone(rng, not positive), _tone(rng, not positive), _tone(rng, positive)
    return rng.choice(
        [
            f"the {work.text} was {first} but the {part.plural} were {second} .",
            f"{_a(first)} but {second} {work.text} .",
            f"the {part.text} was {first} but the {work.text} was {rng.choice(DEGREES)} {second} .",
            f"the {part.text} was {first} but the {work.text} was {rng.choice(['not', 'never'])} {denied} .",
        ]
    )


REVIEWS: tuple[Review, ...] = (plain_review, negated_review, contrast_review)
