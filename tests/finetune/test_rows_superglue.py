"""Rows of SuperGLUE: both layouts give the same text, spans are marked where they are, contradictions are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from design_space.errors import InputError
from finetune.rows.superglue import copa, multirc, record, wic, wsc
from finetune.tasks import SUPERGLUE, label_code

DATA = Path(__file__).parents[3] / "shared" / "data"

COPA = {"premise": "The cup fell.", "choice1": "It broke.", "choice2": "It rang.", "question": "effect", "label": 0}

WIC = {
    "word": "run",
    "sentence1": "She ran home.",
    "start1": 4,
    "end1": 7,
    "sentence2": "a home run",
    "start2": 7,
    "end2": 10,
    "label": False,
    "idx": 3,
}

TEXT = 'Ann\'s mother saw the  old dog, and told it, "go!"'
SPANS = {"span1_text": "The old\ndog.", "span1_index": 3, "span2_text": "it", "span2_index": 8}

PASSAGE = "Oslo is cold. Bergen is wet."
MULTIRC = {
    "idx": 7,
    "version": 1.1,
    "passage": {
        "text": PASSAGE,
        "questions": [
            {
                "question": "Which is wet?",
                "idx": 40,
                "answers": [{"text": "Oslo", "idx": 90, "label": 0}, {"text": "Bergen", "idx": 91, "label": 1}],
            },
            {"question": "Which is cold?", "idx": 41, "answers": [{"text": "Oslo", "idx": 92, "label": 1}]},
        ],
    },
}

RECORD_TEXT = "Kim met Lee in Oslo\n@highlight\nLee left!\n@highlight\nKim stayed"
RECORD = {
    "source": "a paper",
    "idx": 5,
    "passage": {
        "text": RECORD_TEXT,
        "entities": [{"start": a, "end": b} for a, b in ((0, 2), (8, 10), (15, 18), (31, 33), (52, 54))],
    },
    "qas": [
        {"query": "@placeholder went away", "idx": 60, "answers": [{"start": 8, "end": 10, "text": "Lee"}]},
        {"query": "It was @placeholder, said @placeholder", "idx": 61},
    ],
}


@pytest.mark.parametrize(("question", "end"), [("cause", "fell because"), ("effect", "fell so")])
def test_copa_leads_over_to_its_choices(question: str, end: str):
    (row,) = copa({**COPA, "question": question})
    assert row == {"label": 0, "premise": f"The cup {end}", "choice1": "It broke.", "choice2": "It rang."}


def test_copa_asks_for_cause_or_effect():
    with pytest.raises(InputError, match="^question: must be one of cause, effect, got 'why'"):
        copa({**COPA, "question": "why"})


def test_wic_marks_the_word_in_both_sentences():
    (row,) = wic(WIC)
    assert row == {"label": False, "idx": 3, "sentence1": "run: She * ran * home.", "sentence2": "a home * run *"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"start1": 3}, "3 and 7, which is ' ran'"),
        ({"start1": 5}, "5 and 7, which is 'an'"),
        ({"end1": 8}, "4 and 8, which is 'ran '"),
        ({"start1": 7}, "7 and 7, which is ''"),
        ({"end1": 40}, "4 and 40, which is 'ran home.'"),
        ({"start1": -3, "end1": -1}, "-3 and -1, which is 'me'"),
    ],
)
def test_wic_refuses_a_span_that_is_no_word(change: dict[str, int], found: str):
    with pytest.raises(InputError, match=f"^start1, end1: must be where a word of sentence1 begins .*, got {found}"):
        wic({**WIC, **change})


@pytest.mark.parametrize("layout", ["flat", "archive"])
def test_wsc_marks_both_spans_whatever_the_case_the_line_break_and_the_full_stop(layout: str):
    (row,) = wsc({"text": TEXT, "label": True, "idx": 1, **(SPANS if layout == "flat" else {"target": SPANS})})
    marked = 'Ann\'s mother saw * the  old dog *, and told # it #, "go!"'
    assert row == {"text": marked, "label": True, "idx": 1}


@pytest.mark.parametrize(
    ("first", "second", "marked"),
    [
        (("Ann", 0), ("it,", 8), '* Ann *\'s mother saw the  old dog, and told # it #, "go!"'),
        (("Ann's mother", 0), ("Ann", 0), '* # Ann #\'s mother * saw the  old dog, and told it, "go!"'),
        (("go", 9), ("old dog", 4), 'Ann\'s mother saw the  # old dog #, and told it, "* go *!"'),
        (("it", 8), ("told it", 7), 'Ann\'s mother saw the  old dog, and # told * it * #, "go!"'),
    ],
)
def test_wsc_marks_spans_in_either_order_and_within_each_other(
    first: tuple[str, int], second: tuple[str, int], marked: str
):
    spans = {
        f"span{number}_{name}": value
        for number, span in ((1, first), (2, second))
        for name, value in zip(("text", "index"), span, strict=True)
    }
    assert wsc({"text": TEXT, "label": 0, **spans})[0]["text"] == marked


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"span1_index": 5}, r"^span1_text: must stand at word 5 of the text, counted from 0, got 'The old\\ndog.'"),
        ({"span1_index": 1}, "^span1_text: must stand at word 1"),
        ({"span1_text": "the cat"}, "^span1_text: must stand at word 3 .* where the text has 'the  old dog, and"),
        ({"span1_text": "the old do"}, "^span1_text: must stand at word 3"),
        ({"span2_text": "."}, "^span2_text: must stand at word 8"),
        ({"span2_index": 10}, "^span2_index: must be a word of the 10 of the text, got 10"),
        ({"span2_index": -1}, "^span2_index: must be a word of the 10 of the text, got -1"),
    ],
)
def test_wsc_refuses_a_span_that_is_not_where_it_says(change: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        wsc({"text": TEXT, "label": 1, **SPANS, **change})


@pytest.mark.parametrize("index", [2, 4])
def test_wsc_finds_a_span_whose_words_were_miscounted_by_one(index: int):
    row = {"text": TEXT, "label": 1, **SPANS}
    assert wsc({**row, "span1_index": index}) == wsc(row)


def test_wsc_takes_the_word_at_the_index_before_its_neighbours():
    spans = {"span1_text": "Nell", "span1_index": 0, "span2_text": "her", "span2_index": 3}
    assert (
        wsc({"text": "Nell calls her her angel", "label": 1, **spans})[0]["text"] == "* Nell * calls her # her # angel"
    )


@pytest.mark.parametrize("label", [{}, {"label": -1}, {"label": None}])
def test_a_test_row_of_wsc_is_answered_though_its_span_is_nowhere(label: dict[str, Any]):
    (row,) = wsc({"text": TEXT, **SPANS, "span1_text": "the cat", **label})
    assert row["text"] == 'Ann\'s mother saw * the *  old dog, and told # it #, "go!"'


def test_multirc_has_a_row_an_answer_and_a_group_a_question():
    rows = multirc(MULTIRC)
    assert [row["question_answer"] for row in rows] == [
        "Which is wet? Oslo",
        "Which is wet? Bergen",
        "Which is cold? Oslo",
    ]
    assert {row["paragraph"] for row in rows} == {PASSAGE}
    assert [row["label"] for row in rows] == [0, 1, 1]
    assert [row["group"] for row in rows] == ["7-40", "7-40", "7-41"]
    assert rows[1]["idx"] == {"paragraph": 7, "question": 40, "answer": 91}


def test_multirc_is_the_same_in_both_layouts():
    flat = [
        {
            "paragraph": PASSAGE,
            "question": question["question"],
            "answer": answer["text"],
            "label": answer["label"],
            "idx": {"paragraph": 7, "question": question["idx"], "answer": answer["idx"]},
        }
        for question in MULTIRC["passage"]["questions"]
        for answer in question["answers"]
    ]
    assert [converted for row in flat for converted in multirc(row)] == multirc(MULTIRC)


def test_a_test_row_of_multirc_has_no_label():
    question = {"question": "Which?", "idx": 0, "answers": [{"text": "Oslo", "idx": 0}]}
    (row,) = multirc({"idx": 0, "passage": {"text": PASSAGE, "questions": [question]}})
    assert label_code(SUPERGLUE["multirc"], row["label"]) is None


def test_record_has_a_row_for_each_distinct_entity_with_the_placeholder_filled():
    rows = record(RECORD)
    assert [row["entity"] for row in rows] == ["Kim", "Lee", "Oslo"] * 2
    assert [row["query"] for row in rows[:3]] == ["Kim went away", "Lee went away", "Oslo went away"]
    assert rows[5]["query"] == "It was Oslo, said Oslo"
    assert {row["passage"] for row in rows} == {"Kim met Lee in Oslo. Lee left! Kim stayed."}
    assert [row["label"] for row in rows] == [0, 1, 0, -1, -1, -1]
    assert [row["group"] for row in rows] == ["5-60"] * 3 + ["5-61"] * 3
    assert [row["answers"] for row in rows] == [["Lee"]] * 3 + [[]] * 3
    assert rows[4]["idx"] == {"passage": 5, "query": 61}


@pytest.mark.parametrize("kind", [list, np.array], ids=["list", "array"])
def test_record_is_the_same_in_both_layouts(kind: Any):
    # A parquet file gives lists as arrays.
    flat = [
        {
            "passage": RECORD_TEXT,
            "query": query["query"],
            "entities": kind(["Kim", "Lee", "Oslo"]),
            "answers": kind([answer["text"] for answer in query.get("answers", [])]),
            "idx": {"passage": 5, "query": query["idx"]},
        }
        for query in RECORD["qas"]
    ]
    assert [converted for row in flat for converted in record(row)] == record(RECORD)


FLAT = {"passage": "Kim met Lee.", "query": "@placeholder left", "entities": ["Kim"], "idx": {"passage": 0, "query": 0}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**FLAT, "query": "Lee left"}, "^query: must hold @placeholder, got 'Lee left'"),
        ({**FLAT, "entities": []}, "^entities: must hold at least one, holds none. Leave the row out"),
        ({**FLAT, "entities": "Kim"}, "^entities: must be a list, got 'Kim'"),
        ({**FLAT, "entities": ["Kim", 3]}, "^entities and answers: must be texts, got 3"),
        ({**FLAT, "answers": [None]}, "^entities and answers: must be texts, got None"),
        ({**FLAT, "idx": 4}, "^idx: must have passage and query, got 4. They say which rows are scored together"),
        ({**FLAT, "idx": {"passage": 4}}, "^idx: must have passage and query, got {'passage': 4}"),
        ({"passage": "Kim met Lee."}, r"^must have 'query', got \['passage'\]"),
        ({**FLAT, "passage": 3}, "^passage: must be text, got 3"),
    ],
)
def test_record_refuses_flat_rows_that_say_too_little_or_contradict_themselves(row: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        record(row)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"entities": [{"start": 60, "end": 62}]},
            "^entities: must be where they say in the passage, got {'start': 60",
        ),
        ({"entities": [{"start": 3, "end": 1}]}, "^entities: must be where they say"),
        ({"entities": [{"start": 3}]}, r"^must have 'end', got \['start'\]"),
        ({"entities": [{"start": "3", "end": 1}]}, "^start: must be an integer, got '3'"),
        ({"entities": []}, "^entities: must hold at least one"),
        ({"entities": ["Kim"]}, "^must have 'start', got 'Kim'"),
    ],
)
def test_record_refuses_passages_whose_entities_are_not_in_them(change: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        record({**RECORD, "passage": {**RECORD["passage"], **change}})


def test_record_refuses_an_answer_that_is_not_where_it_says():
    query = {"query": "@placeholder", "idx": 0, "answers": [{"start": 8, "end": 10, "text": "Kim"}]}
    with pytest.raises(InputError, match="^answers: must be where they say in the passage, .* where it has 'Lee'"):
        record({**RECORD, "qas": [query]})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"idx": 0, "passage": {"text": "a", "questions": []}}, "^questions: must hold at least one"),
        ({"idx": 0, "passage": {"text": "a", "questions": [{"question": "b", "answers": []}]}}, "^answers: must hold"),
        ({"idx": 0, "passage": {"text": "a", "questions": ["b"]}}, "^must have 'answers', got 'b'"),
        ({**MULTIRC, "idx": None}, "^idx: must have paragraph and question, got {'paragraph': None"),
        ({"paragraph": "a", "question": "b", "answer": "c"}, "^idx: must have paragraph and question, got None"),
        ({"paragraph": "a", "question": "b"}, r"^must have 'answer', got \['paragraph', 'question'\]"),
    ],
)
def test_multirc_refuses_rows_that_say_too_little(row: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        multirc(row)


@pytest.mark.parametrize(
    ("convert", "row"), [(copa, COPA), (wic, WIC), (wsc, {"text": TEXT, **SPANS}), (multirc, MULTIRC), (record, FLAT)]
)
def test_a_converted_row_has_the_fields_of_its_task_and_is_not_converted_again(convert: Any, row: dict[str, Any]):
    (task,) = (task for task in SUPERGLUE.values() if task.convert is convert)
    for converted in convert(row):
        assert all(isinstance(converted[field], str) for field in task.text_fields)
        assert task.group_field is None or isinstance(converted[task.group_field], str)
        with pytest.raises(InputError):
            convert(converted)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
@pytest.mark.parametrize(("name", "count"), [("boolq", 1000), ("cb", 56), ("copa", 100), ("wic", 638)])
def test_real_rows_are_converted_and_have_every_label(name: str, count: int):
    task = SUPERGLUE[name]
    lines = (DATA / name / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for line in lines for row in (task.convert or (lambda row: [row]))(json.loads(line))]
    assert len(rows) == count
    assert all(isinstance(row[field], str) and row[field] for row in rows for field in task.text_fields)
    assert {label_code(task, row["label"]) for row in rows} == set(range(len(task.labels)))
    if name == "wic":
        assert all(row[field].count(" *") >= 1 for row in rows for field in task.text_fields)
