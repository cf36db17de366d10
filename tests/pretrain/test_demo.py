"""The synthetic corpus and its grammar."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from design_space.errors import InputError
from pretrain.demo import agreement_sentence, corpus
from pretrain.demo_grammar import Clause, Phrase, draw_clause, finite, question, relative, render, restate
from pretrain.demo_lexicon import ACTIONS, ACTIVITIES, ATTRIBUTES, BAD, GOOD, OPPOSITES, PEOPLE, PLACES, opposite, other
from pretrain.demo_reviews import contrast_review, negated_review, plain_review

ROOT = Path(__file__).parents[2]
DOCTOR = next(n for n in PEOPLE if n.text == "doctor")
THIEF = next(n for n in PEOPLE if n.text == "thief")
CHASE = next(v for v in ACTIONS if v.text == "chase")
OLD = next(a for a in ATTRIBUTES if a.text == "old")
PARK = next(p for p in PLACES if p.text == "park")
CLAUSE = Clause(agent=Phrase(DOCTOR, attribute=OLD), verb=CHASE, patient=Phrase(THIEF, plural=True), place=PARK)


def test_render_gives_the_hand_written_wordings():
    assert render(CLAUSE) == "the old doctor chased the thieves in the park"
    assert render(CLAUSE, passive=True) == "the thieves were chased by the old doctor in the park"
    assert render(CLAUSE, fronted=True) == "in the park the old doctor chased the thieves"
    assert render(CLAUSE.bare()) == "the doctor chased the thieves"
    assert render(CLAUSE.swapped()) == "the thieves chased the old doctor in the park"


@pytest.mark.parametrize(
    ("plural", "present", "negation", "expected"),
    [
        (False, True, "", "chases"),
        (True, True, "", "chase"),
        (True, True, "not", "do not chase"),
        (False, True, "never", "never chases"),
        (False, False, "not", "did not chase"),
        (True, False, "", "chased"),
    ],
)
def test_verb_agrees_with_its_subject(plural, present, negation, expected):
    assert finite(CHASE, plural=plural, present=present, negation=negation) == expected


def test_questions_and_relative_clauses():
    assert question(CLAUSE.bare(), "who") == "who chased the thieves ?"
    assert question(CLAUSE, "whom") == "whom did the old doctor chase in the park ?"
    assert question(CLAUSE, "where") == "where did the old doctor chase the thieves ?"
    assert relative(CLAUSE.bare(), ACTIVITIES[0]) == "the doctor who chased the thieves slept"


def test_restating_keeps_every_meaning():
    rng = Random(1)
    for _ in range(200):
        clause = draw_clause(rng, attribute=1, place=1)
        again = restate(clause, rng, rate=1.0)
        assert again.verb.meaning == clause.verb.meaning
        assert again.verb.text != clause.verb.text
        assert again.agent.noun.meaning == clause.agent.noun.meaning
        assert again.place.meaning == clause.place.meaning
        assert again.place.preposition == clause.place.preposition
        assert again.agent.attribute.meaning == clause.agent.attribute.meaning
        assert restate(clause, rng, rate=0.0) == clause


def test_clause_has_two_different_people():
    rng = Random(2)
    clauses = [draw_clause(rng) for _ in range(500)]
    assert all(c.agent.noun.meaning != c.patient.noun.meaning for c in clauses)


def test_opposites_are_mutual():
    assert all(OPPOSITES[OPPOSITES[meaning]] == meaning for meaning in OPPOSITES)
    assert opposite(OLD, Random(0)).text in ("young", "youthful")


def test_drawing_refuses_when_every_meaning_is_taken():
    with pytest.raises(IndexError):
        other(PEOPLE, PEOPLE, Random(0))


def test_each_word_form_belongs_to_one_meaning():
    meanings: dict[str, set[str]] = {}
    for noun in PEOPLE + PLACES:
        for form in (noun.text, noun.plural):
            meanings.setdefault(form, set()).add(noun.meaning)
    assert all(len(owners) == 1 for owners in meanings.values())
    assert not set(GOOD) & set(BAD)


def test_agreement_sentence_agrees_with_its_first_noun():
    plurals = {n.plural for n in PEOPLE}
    third = {v.third for v in ACTIVITIES}
    for seed in range(200):
        words = agreement_sentence(Random(seed)).split()
        assert (words[1] in plurals) == (words[-2] not in third)


def test_sentiment_of_reviews():
    rng = Random(3)
    for _ in range(300):
        positive = rng.random() < 0.5
        same, opposed = (GOOD, BAD) if positive else (BAD, GOOD)
        assert not set(plain_review(rng, positive).split()) & set(opposed)
        # A denied word is of the other sentiment.
        assert not set(negated_review(rng, positive).split()) & set(same)
        before, after = contrast_review(rng, positive).split(" but ")
        assert set(before.split()) & set(opposed)
        denied = {"not", "never"} & set(after.split())
        assert set(after.split()) & set(opposed if denied else same)


def test_corpus_is_a_prefix_of_a_longer_one():
    assert corpus(50) == corpus(200)[:50]
    assert corpus(0) == []


def test_seeds_differ():
    assert corpus(50, seed=0) != corpus(50, seed=1)


def test_corpus_is_the_same_in_a_new_process():
    code = (
        "import hashlib; from pretrain.demo import corpus;"
        "import sys; sys.stdout.write(hashlib.sha256('|'.join(corpus(500, 3)).encode()).hexdigest())"
    )
    here = hashlib.sha256("|".join(corpus(500, 3)).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
        assert run.stdout.decode() == here


def test_documents_are_short_and_the_vocabulary_small():
    documents = corpus(5000)
    lengths = [len(text.split()) for text in documents]
    assert min(lengths) >= 4
    assert max(lengths) <= 28
    assert all(text == text.lower() and text.endswith((" .", " ?")) for text in documents)
    assert 250 <= len({word for text in documents for word in text.split()}) <= 500


def test_corpus_has_no_doubled_word_and_the_right_article():
    for text in corpus(5000):
        words = text.split()
        assert all(a != b for a, b in zip(words, words[1:], strict=False)), text
        assert all(
            (b[0] in "aeiou") == (a == "an") for a, b in zip(words, words[1:], strict=False) if a in ("a", "an")
        ), text


def test_negative_number_is_refused():
    with pytest.raises(InputError, match=r"num_sentences must be at least 0, got -1"):
        corpus(-1)
