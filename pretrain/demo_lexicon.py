"""Words of the synthetic demo language, grouped by meaning.

Words on one line of a table mean the same: the demo tasks call two sentences alike when their words share a `meaning`.
The language is made up for this project and holds about 310 words, so that a tokenizer trained on it keeps
every word whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar


@dataclass(frozen=True)
class Word:
    """A word with a meaning that its synonyms share.

    Attributes:
        meaning: key of the group of synonyms, its first word.
        text: the word as written; a noun's singular, a verb's base form.
    """

    meaning: str
    text: str


@dataclass(frozen=True)
class Noun(Word):
    """A countable noun.

    Attributes:
        plural: the plural form.
    """

    plural: str


@dataclass(frozen=True)
class Verb(Word):
    """A verb whose past participle equals its past form.

    Attributes:
        third: third person singular of the present.
        past: past form and past participle.
    """

    third: str
    past: str


@dataclass(frozen=True)
class Place(Noun):
    """A place and the preposition that leads to it.

    Attributes:
        preposition: one word, the same for all synonyms.
    """

    preposition: str


WordT = TypeVar("WordT", bound=Word)


def _nouns(table: str) -> tuple[Noun, ...]:
    groups = [[pair.split() for pair in line.split(",")] for line in table.strip().splitlines()]
    return tuple(Noun(group[0][0], singular, plural) for group in groups for singular, plural in group)


def _verbs(table: str) -> tuple[Verb, ...]:
    groups = [[forms.split() for forms in line.split(",")] for line in table.strip().splitlines()]
    return tuple(Verb(group[0][0], *forms) for group in groups for forms in group)


def _places(table: str) -> tuple[Place, ...]:
    groups = [line.split(":") for line in table.strip().splitlines()]
    return tuple(Place(n.meaning, n.text, n.plural, prep.strip()) for prep, nouns in groups for n in _nouns(nouns))


PEOPLE = _nouns("""
doctor doctors, physician physicians
teacher teachers, instructor instructors
child children, kid kids
thief thieves, robber robbers
lawyer lawyers, attorney attorneys
writer writers, author authors
boss bosses, manager managers
student students, pupil pupils
guard guards, sentry sentries
cook cooks, chef chefs
sailor sailors, seafarer seafarers
singer singers, vocalist vocalists
""")

ACTIONS = _verbs("""
help helps helped, assist assists assisted
save saves saved, rescue rescues rescued
praise praises praised, applaud applauds applauded
hire hires hired, employ employs employed
chase chases chased, pursue pursues pursued
scare scares scared, frighten frightens frightened
fool fools fooled, trick tricks tricked
push pushes pushed, shove shoves shoved
call calls called, phone phones phoned
meet meets met, encounter encounters encountered
watch watches watched, observe observes observed
catch catches caught, capture captures captured
""")

# Why somebody acts: with these the reason lies in the patient ("A helped B because B was poor") …
PATIENT_CAUSES = frozenset({"help", "save", "praise", "hire"})
# … and with these in the agent ("A chased B because A was brave").
AGENT_CAUSES = frozenset({"chase", "scare", "fool", "push"})

ACTIVITIES = _verbs("""
sleep sleeps slept
work works worked
laugh laughs laughed
wait waits waited
smile smiles smiled
dance dances danced
cry cries cried
jump jumps jumped
""")

PLACES = _places("""
near: house houses, home homes
in: park parks, garden gardens
at: shop shops, store stores
on: street streets, road roads
in: forest forests, wood woods
near: sea seas, ocean oceans
on: boat boats, ship ships
in: town towns, village villages
""")

# Opposite meanings stand side by side: "synonyms / synonyms of the opposite".
_ATTRIBUTE_TABLE = """
old elderly / young youthful
rich wealthy / poor needy
happy glad / sad gloomy
big large / small little
loud noisy / quiet silent
clever smart / foolish silly
brave bold / timid fearful
"""
_ATTRIBUTE_SIDES = [[s.split() for s in line.split("/")] for line in _ATTRIBUTE_TABLE.strip().splitlines()]
ATTRIBUTES = tuple(Word(side[0], text) for sides in _ATTRIBUTE_SIDES for side in sides for text in side)
OPPOSITES = {a[0]: b[0] for sides in _ATTRIBUTE_SIDES for a, b in (sides, sides[::-1])}

PLOTS = _nouns("""
film films, movie movies
book books, novel novels
play plays, drama dramas
show shows
""")
PARTS = _nouns("""
story stories, plot plots
song songs, tune tunes
actor actors, player players
scene scenes
""")
GOOD = ("good", "great", "wonderful", "brilliant", "charming", "funny", "lovely", "superb")
BAD = ("bad", "awful", "terrible", "boring", "dull", "weak", "clumsy", "ugly")
LIKED = ("loved", "enjoyed", "liked")
DISLIKED = ("hated", "regretted", "disliked")
DEGREES = ("very", "really", "quite", "truly")
EXTRAS = ("again", "twice", "alone", "often")
TIMES = ("yesterday", "today", "early", "late")


def synonyms(word: WordT, words: Sequence[WordT]) -> list[WordT]:
    """Return the words that mean the same as `word` and differ from it.

    Args:
        word: the word to replace.
        words: the table that holds it.

    Returns:
        Other words of its group; empty where the group has one word.

    Example:
        >>> [w.text for w in synonyms(PEOPLE[0], PEOPLE)]
        ['physician']
    """
    return [w for w in words if w.meaning == word.meaning and w.text != word.text]


def other(words: Sequence[WordT], taken: Sequence[Word], rng: Random) -> WordT:
    """Draw a word whose meaning none of the taken words has.

    Args:
        words: the table to draw from.
        taken: words whose meanings are excluded.
        rng: source of randomness.

    Returns:
        One word of the table.

    Raises:
        IndexError: if every meaning of the table is taken.
    """
    meanings = {w.meaning for w in taken}
    return rng.choice([w for w in words if w.meaning not in meanings])


def opposite(attribute: Word, rng: Random) -> Word:
    """Draw an attribute of the opposite meaning.

    Args:
        attribute: a word of `ATTRIBUTES`.
        rng: source of randomness.

    Returns:
        A word that contradicts it.

    Example:
        >>> opposite(Word("old", "elderly"), Random(0)).meaning
        'young'
    """
    return rng.choice([w for w in ATTRIBUTES if w.meaning == OPPOSITES[attribute.meaning]])
