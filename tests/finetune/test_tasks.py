"""The table of tasks: what the data cards say, names that are refused, and labels as data give them."""

import json
import re
from pathlib import Path

import pytest

from design_space.errors import InputError
from finetune.config import TASK_TYPES
from finetune.demo.tasks import KINDS
from finetune.tasks import (
    GLUE,
    SQUAD,
    SUPERGLUE,
    TASKS,
    TEXT_TASKS,
    TRIO,
    Problem,
    find_task,
    glue_score,
    label_code,
    parse_tasks,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
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
    assert (task.hub_name, task.hub_config) == ("nyu-mll/glue", name)


def test_the_tasks_are_these_and_the_demo_has_them_all():
    assert set(GLUE) == set(CARD) == set(KINDS)


# Fields as an encoder reads them, names of the codes, metrics and the hub's configuration.
SUPERGLUE_CARD = {
    "boolq": (("question", "passage"), ("False", "True"), ("accuracy",), "boolq"),
    "cb": (("premise", "hypothesis"), ("entailment", "contradiction", "neutral"), ("accuracy", "macro_f1"), "cb"),
    "copa": (("premise", "choice1", "choice2"), ("choice1", "choice2"), ("accuracy",), "copa"),
    "multirc": (("paragraph", "question_answer"), ("False", "True"), ("f1", "exact_match"), "multirc"),
    "record": (("passage", "query"), ("False", "True"), ("token_f1", "exact_match"), "record"),
    "superglue_rte": (("premise", "hypothesis"), ("entailment", "not_entailment"), ("accuracy",), "rte"),
    "wic": (PAIR, ("False", "True"), ("accuracy",), "wic"),
    "wsc": (("text",), ("False", "True"), ("accuracy",), "wsc.fixed"),
}


def test_fields_codes_metrics_and_configurations_are_those_of_superglue():
    found = {name: (task.text_fields, task.labels, task.metrics, task.hub_config) for name, task in SUPERGLUE.items()}
    assert found == SUPERGLUE_CARD
    assert {task.hub_name for task in SUPERGLUE.values()} == {"aps/super_glue"}
    assert [name for name, task in SUPERGLUE.items() if task.group_field] == ["multirc", "record"]
    assert [name for name, task in SUPERGLUE.items() if not task.convert] == ["boolq", "cb", "superglue_rte"]


def test_squad_is_answered_and_is_two_data_sets_of_the_hub_without_test_rows():
    assert [task.hub_name for task in SQUAD.values()] == ["rajpurkar/squad", "rajpurkar/squad_v2"]
    for task in SQUAD.values():
        assert (task.problem, task.text_fields, task.num_outputs) == (Problem.ANSWER, ("question", "context"), 2)
        assert (task.validation_splits, task.test_splits, task.hub_config) == (("validation",), (), None)


def test_the_trio_is_on_no_hub_and_has_accuracy_and_macro_f1():
    assert {name: (task.text_fields, task.num_outputs) for name, task in TRIO.items()} == {
        "restaurant_sup": (("sentence", "aspect"), 3),
        "acl_sup": (("text",), 6),
        "agnews_sup": (("text",), 4),
    }
    assert {(task.hub_name, task.metrics) for task in TRIO.values()} == {(None, ("accuracy", "macro_f1"))}


def test_every_task_is_found_by_a_name_of_its_own():
    assert len(TASKS) == len(GLUE) + len(SUPERGLUE) + len(SQUAD) + len(TRIO) == 22
    for name, task in TASKS.items():
        assert find_task(name) is task
        assert task.name == name


def test_mnli_alone_has_second_validation_and_test_splits():
    assert GLUE["mnli"].validation_splits == ("validation_matched", "validation_mismatched")
    assert GLUE["mnli"].test_splits == ("test_matched", "test_mismatched")
    assert [name for name, task in TASKS.items() if len(task.validation_splits) + len(task.test_splits) > 2] == ["mnli"]


def test_problems_are_told_apart():
    others = {"stsb": "regression", "copa": "choice", "squad": "answer", "squad_v2": "answer"}
    assert {name: task.problem for name, task in TASKS.items()} == {
        name: others.get(name, "classification") for name in TASKS
    }
    assert SUPERGLUE["copa"].num_outputs == 1


def test_similarity_is_the_one_regression():
    assert [task.name for task in TASKS.values() if task.is_regression] == ["stsb"]
    assert GLUE["stsb"].value_range == (0.0, 5.0)


def test_outputs_are_one_a_label_and_one_for_a_regression():
    assert {name: task.num_outputs for name, task in GLUE.items()} == {
        name: {"stsb": 1, "mnli": 3}.get(name, 2) for name in CARD
    }


def test_names_are_read_in_their_order_without_repeats():
    assert [task.name for task in parse_tasks(" MRPC,cola,, mrpc, SST-2, sst2")] == ["mrpc", "cola", "sst2"]


@pytest.mark.parametrize(
    ("published", "name"),
    [
        *((name, name.lower()) for name in ("MRPC", "CoLA", "MNLI", "QQP", "QNLI", "RTE", "WNLI", "BoolQ", "ReCoRD")),
        ("SST-2", "sst2"),
        ("STS-B", "stsb"),
        ("sts-b", "stsb"),
        ("SQuAD", "squad"),
        ("squad-v2", "squad_v2"),
        ("squadv2", "squad_v2"),
    ],
)
def test_names_are_read_as_papers_write_them(published: str, name: str):
    assert find_task(published) is TASKS[name]
    assert parse_tasks(f"cola,{published}")[-1] is TASKS[name]


def test_all_means_all():
    assert parse_tasks("all") == list(GLUE.values())
    assert len(parse_tasks("all")) == 9


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("sst", "sst2"),
        ("cola2", "cola"),
        ("STSB-2", "stsb"),
        ("mnli-mm", "mnli"),
        ("qpp", "qqp"),
        ("squad_v3", "squad_v2"),
    ],
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


@pytest.mark.parametrize(
    ("name", "label", "code"),
    [
        ("mnli", 2, 2),
        ("mnli", 1.0, 1),
        ("mnli", "contradiction", 2),
        ("cb", "contradiction", 1),
        ("rte", "entailment", 0),
        ("boolq", True, 1),
        ("wsc", False, 0),
        ("wic", "True", 1),
        ("multirc", 0, 0),
        ("copa", 1, 1),
        ("acl_sup", "Uses", 5),
        ("agnews_sup", "Sci/Tech", 3),
        ("stsb", 3, 3.0),
        ("stsb", 0.0, 0.0),
    ],
)
def test_labels_are_read_as_codes_names_or_truths(name: str, label: object, code: float):
    found = label_code(TASKS[name], label)
    assert (found, type(found)) == (code, float if name == "stsb" else int)


@pytest.mark.parametrize("name", ["mnli", "boolq", "stsb"])
@pytest.mark.parametrize("label", [None, -1, -1.0, "", float("nan")])
def test_minus_1_and_what_is_absent_is_no_label(name: str, label: object):
    assert label_code(TASKS[name], label) is None


@pytest.mark.parametrize("label", [3, -2, 0.5, True, "1", "Entailment", [0], 10**400, float("inf")])
def test_another_label_is_refused_with_the_codes_and_names(label: object):
    codes = re.escape("label of mnli must be one of 0 (entailment), 1 (neutral), 2 (contradiction), got ")
    with pytest.raises(InputError, match=f"^{codes}{re.escape(repr(label)[:40])}"):
        label_code(GLUE["mnli"], label)


@pytest.mark.parametrize("label", [5.01, -0.5, "3", True, 10**400])
def test_a_similarity_off_its_scale_is_refused(label: object):
    with pytest.raises(InputError, match="^label of stsb must be a number from 0 to 5, got "):
        label_code(GLUE["stsb"], label)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
@pytest.mark.parametrize("name", [*TRIO, "cola", "mrpc"])
def test_real_labels_have_every_code(name: str):
    lines = (DATA / name / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert all(isinstance(row[field], str) for row in rows for field in TASKS[name].text_fields)
    assert {label_code(TASKS[name], row["label"]) for row in rows} == set(range(TASKS[name].num_outputs))


def test_score_is_the_mean():
    assert glue_score([80.0, 50.0, 20.0]) == pytest.approx(50)
    assert glue_score([33.5]) == 33.5


def test_every_task_type_of_the_flags_is_a_task():
    assert list(TEXT_TASKS) == TASK_TYPES
