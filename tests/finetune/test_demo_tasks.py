"""The synthetic tasks: GLUE's schema, labels that follow from the grammar, splits that share nothing."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random

import pytest

from design_space.errors import InputError
from finetune.demo.judgements import distant_agreement, near_agreement
from finetune.demo.paraphrase import agreeing_roles
from finetune.demo.tasks import KINDS, NUM_TRAIN, NUM_VALIDATION, demo_task
from pretrain.demo import corpus
from pretrain.demo_grammar import draw_clause, render, restate
from pretrain.demo_lexicon import BAD, GOOD, PEOPLE, PLACES

ROOT = Path(__file__).parents[2]
# Fields and label codes as the data card of the `glue` data set gives them.
GLUE = {
    "cola": (("sentence",), {0, 1}),
    "sst2": (("sentence",), {0, 1}),
    "mrpc": (("sentence1", "sentence2"), {0, 1}),
    "qqp": (("question1", "question2"), {0, 1}),
    "stsb": (("sentence1", "sentence2"), {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}),
    "mnli": (("premise", "hypothesis"), {0, 1, 2}),
    "qnli": (("question", "sentence"), {0, 1}),
    "rte": (("sentence1", "sentence2"), {0, 1}),
    "wnli": (("sentence1", "sentence2"), {0, 1}),
}
# Bounds on the share of label 1 in the two-class tasks.
POSITIVE = {"cola": (0.55, 0.7), "mrpc": (0.55, 0.7), "qqp": (0.35, 0.5)}


@cache
def rows_of(task, split):
    return demo_task(task, split)


@cache
def known_words():
    return frozenset(word for text in corpus(20_000) for word in text.split())


def texts_of(task, split):
    return [tuple(row[field] for field in GLUE[task][0]) for row in rows_of(task, split)]


@pytest.mark.parametrize("task", GLUE)
def test_schema_and_label_codes_are_those_of_glue(task):
    fields, labels = GLUE[task]
    for split in ("train", "validation"):
        rows = rows_of(task, split)
        assert all(set(row) == {*fields, "label", "idx"} for row in rows)
        assert {row["label"] for row in rows} == labels
        assert {type(row["label"]) for row in rows} == {float if task == "stsb" else int}
        assert [row["idx"] for row in rows] == list(range(len(rows)))
        assert all(isinstance(row[field], str) for row in rows for field in fields)


def test_the_nine_tasks_and_their_default_sizes():
    assert set(KINDS) == set(NUM_TRAIN) == set(NUM_VALIDATION) == set(GLUE)
    assert len(rows_of("cola", "train")) == 2000
    assert len(rows_of("cola", "validation")) == 400


@pytest.mark.parametrize("task", GLUE)
def test_shares_of_the_kinds_sum_to_one_hundred(task):
    assert sum(kind.percent for kind in KINDS[task]) == 100
    assert any(kind.hard for kind in KINDS[task])


@pytest.mark.parametrize("task", GLUE)
def test_labels_are_balanced(task):
    for split in ("train", "validation"):
        shares = {
            k: n / len(rows_of(task, split)) for k, n in Counter(r["label"] for r in rows_of(task, split)).items()
        }
        if task == "stsb":
            assert min(shares.values()) >= 0.05
            assert max(shares.values()) <= 0.35
        elif task == "mnli":
            assert all(0.3 <= share <= 0.37 for share in shares.values())
        else:
            low, high = POSITIVE.get(task, (0.44, 0.56))
            assert low <= shares[1] <= high


@pytest.mark.parametrize("task", GLUE)
def test_no_text_twice_nor_in_both_splits(task):
    train, validation = texts_of(task, "train"), texts_of(task, "validation")
    assert len(set(train)) == len(train)
    assert len(set(validation)) == len(validation)
    assert not set(train) & set(validation)


def test_splits_stay_apart_for_other_seeds_and_sizes():
    validation = {row["sentence"] for row in demo_task("cola", "validation", 300, seed=1)}
    assert not validation & {row["sentence"] for row in demo_task("cola", "train", 3000, seed=2)}


@pytest.mark.parametrize("task", GLUE)
def test_texts_are_short_and_the_corpus_knows_every_word(task):
    known = known_words()
    for texts in texts_of(task, "train") + texts_of(task, "validation"):
        lengths = [len(text.split()) for text in texts]
        assert min(lengths) >= 4
        assert max(lengths) <= 14
        assert sum(lengths) <= 26
        assert {word for text in texts for word in text.split()} <= known


def test_rows_are_the_same_in_a_new_process():
    code = (
        "import hashlib, json, sys; from finetune.demo.tasks import demo_task, KINDS;"
        "rows = [demo_task(t, 'train', 60, seed=4) for t in KINDS];"
        "sys.stdout.write(hashlib.sha256(json.dumps(rows).encode()).hexdigest())"
    )
    rows = [demo_task(task, "train", 60, seed=4) for task in KINDS]
    here = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
        assert run.stdout.decode() == here


def test_seeds_differ():
    assert demo_task("rte", "train", 50, seed=0) != demo_task("rte", "train", 50, seed=1)


def test_cola_agreement_is_with_the_first_noun_only():
    plurals = {n.plural for n in PEOPLE}
    attractors = Counter()
    for seed in range(300):
        acceptable = seed % 2 == 0
        words = distant_agreement(Random(seed), acceptable).split()
        assert len(words) == 7
        singular_verb = words[5].endswith("s")
        assert ((words[1] in plurals) != singular_verb) == acceptable
        attractors[words[4] in {p.plural for p in PLACES}] += 1
    # The noun between says nothing about the verb.
    assert 100 <= attractors[True] <= 200


def test_cola_agreement_differs_from_its_fault_by_one_word():
    good, bad = (near_agreement(Random(5), flag).split() for flag in (True, False))
    assert [a == b for a, b in zip(good, bad, strict=True)].count(False) == 1


def test_sst2_negation_flips_the_word():
    seen = 0
    for row in rows_of("sst2", "train"):
        words = set(row["sentence"].split())
        if words & {"not", "never"} and "but" not in words:
            seen += 1
            assert not (words & set(GOOD if row["label"] else BAD))
    assert seen >= 300


def test_sst2_clause_after_but_decides():
    plain = [
        r
        for r in rows_of("sst2", "train")
        if " but " in r["sentence"] and not {"not", "never"} & set(r["sentence"].split())
    ]
    assert len(plain) >= 150
    for row in plain:
        after = set(row["sentence"].split(" but ")[1].split())
        assert after & set(GOOD if row["label"] else BAD)


def test_exchanged_roles_keep_the_words_and_change_the_label():
    rng = Random(6)
    for _ in range(50):
        clause = draw_clause(rng)
        assert Counter(render(clause).split()) == Counter(render(clause.swapped()).split())
    same_words = [
        r for r in rows_of("mrpc", "train") if Counter(r["sentence1"].split()) == Counter(r["sentence2"].split())
    ]
    assert {r["label"] for r in same_words} == {0, 1}
    assert sum(r["label"] == 0 for r in same_words) >= 50


def test_mrpc_one_denied_sentence_is_never_a_paraphrase():
    for row in rows_of("mrpc", "train"):
        denied = [bool({"not", "never"} & set(row[f].split())) for f in ("sentence1", "sentence2")]
        if denied[0] != denied[1]:
            assert row["label"] == 0


def test_stsb_counts_agreeing_roles():
    rng = Random(7)
    clause = draw_clause(rng, attribute=1, place=1)
    assert agreeing_roles(clause, restate(clause, rng, 1.0)) == 5
    assert agreeing_roles(clause, clause.bare()) == 3
    assert agreeing_roles(clause.bare(), clause.bare()) == 3
    assert agreeing_roles(clause.bare(), clause.bare().swapped()) == 1


def test_mnli_negation_decides_only_together_with_the_premise():
    labels = Counter()
    for row in rows_of("mnli", "train"):
        first, second = (bool({"not", "never"} & set(row[f].split())) for f in ("premise", "hypothesis"))
        labels[first, second, row["label"]] += 1
    assert labels[True, True, 0] > 0
    assert labels[True, True, 2] == labels[True, False, 0] == labels[False, True, 0] == 0


def test_rte_who_slept_is_the_head_of_the_relative_clause():
    seen = Counter()
    for row in rows_of("rte", "train"):
        first, second = row["sentence1"].split(), row["sentence2"].split()
        if "who" in first and len(second) == 4 and second[2] == first[-2]:
            seen[row["label"]] += 1
            assert (first[1] == second[1]) == (row["label"] == 0)
    assert min(seen[0], seen[1]) >= 200


def test_wnli_plural_pronoun_means_the_plural_noun():
    plurals = {n.plural for n in PEOPLE}
    seen = 0
    for row in rows_of("wnli", "train"):
        if " they were " in row["sentence1"]:
            seen += 1
            assert (row["sentence2"].split()[1] in plurals) == bool(row["label"])
    assert seen >= 200


def test_unknown_task_split_and_size_are_refused():
    with pytest.raises(InputError, match=r"task must be one of cola, .* got 'ax'"):
        demo_task("ax", "train")
    with pytest.raises(InputError, match=r"split must be train or validation, got 'test'"):
        demo_task("cola", "test")
    with pytest.raises(InputError, match=r"num_rows must be at least 1, got 0"):
        demo_task("cola", "train", 0)


def test_more_rows_than_texts_are_refused():
    with pytest.raises(InputError, match=r"num_rows must be at most the number of texts of cola"):
        demo_task("cola", "validation", 20_000)
