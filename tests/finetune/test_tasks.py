"""The table of tasks: what the data card of GLUE says, and names that are refused."""

import re

import pytest

from design_space.errors import InputError
from finetune.demo import KINDS
from finetune.tasks import GLUE, find_task, glue_score, parse_tasks

PAIR = ("sentence1", "sentence2")
# Fields, names of the codes and metrics as the data card and the paper of GLUE give them.
CARD = {
    "cola": (("sentence",), ("unacceptable", "acceptable"), ("matthews",)),
    "sst2": (("sentence",), ("negative", "positive"), ("accuracy",)),
    "mrpc": (PAIR, ("not_equivalent", "equivalent"), ("accuracy", "f1")),
    "qqp": (("question1", "question2"), ("not_duplicate", "duplicate"), ("accuracy", "f1")),
    "stsb": (PAIR, (), ("pearson", "spearman")),
    "mnli": (("premise", "hypothesis"), ("entailment", "neutral", "contradiction"), ("accuracy",)),
    "qnli": (("question", "sentence"), ("entailment", "not_entailment"), ("accuracy",)),
    "rte": (PAIR, ("entailment", "not_entailment"), ("accuracy",)),
    "wnli": (PAIR, ("not_entailment", "entailment"), ("accuracy",)),
}


@pytest.mark.parametrize("name", CARD)
def test_fields_codes_and_metrics_are_those_of_glue(name: str):
    task = GLUE[name]
    assert (task.text_fields, task.labels, task.metrics) == CARD[name]
    assert task.name == name
    assert task.validation_split == ("validation_matched" if name == "mnli" else "validation")


def test_the_tasks_are_these_and_the_demo_has_them_all():
    assert set(GLUE) == set(CARD) == set(KINDS)


def test_similarity_is_the_one_regression():
    assert [task.name for task in GLUE.values() if task.is_regression] == ["stsb"]
    assert GLUE["stsb"].value_range == (0.0, 5.0)


def test_outputs_are_one_a_label_and_one_for_a_regression():
    assert {name: task.num_outputs for name, task in GLUE.items()} == {
        name: {"stsb": 1, "mnli": 3}.get(name, 2) for name in CARD
    }


def test_names_are_read_in_their_order_without_repeats():
    assert [task.name for task in parse_tasks(" MRPC,cola,, mrpc ")] == ["mrpc", "cola"]


def test_all_means_all():
    assert parse_tasks("all") == list(GLUE.values())
    assert len(parse_tasks("all")) == 9


@pytest.mark.parametrize(
    ("name", "nearest"), [("sst", "sst2"), ("cola2", "cola"), ("sts-b", "stsb"), ("mnli-mm", "mnli"), ("qpp", "qqp")]
)
def test_an_unknown_task_is_refused_with_the_nearest(name: str, nearest: str):
    for read in (find_task, lambda name: parse_tasks(f"cola,{name}")):
        with pytest.raises(InputError, match=f"one of cola, sst2, .*got '{name}'. Did you mean '{nearest}'\\?"):
            read(name)


def test_a_task_near_none_is_refused_without_a_guess():
    with pytest.raises(InputError, match=re.escape("got 'translation'.") + "$"):
        parse_tasks("translation")


@pytest.mark.parametrize("names", ["", " ", ",", " , ,"])
def test_no_task_is_refused(names: str):
    with pytest.raises(InputError, match="must name at least one task, got none. Give 'all' or some of cola"):
        parse_tasks(names)


def test_score_is_the_mean():
    assert glue_score([80.0, 50.0, 20.0]) == pytest.approx(50)
    assert glue_score([33.5]) == 33.5
