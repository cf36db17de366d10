"""Rows whose answer is written: from the user's files and from SQuAD's, and all that is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from design_space.errors import InputError
from finetune.rows.generation import generation_data
from finetune.tasks import TEXT_TASKS

Rows = list[dict[str, Any]]
Writer = Callable[[str, Rows], str]
QA, SEQ2SEQ = TEXT_TASKS["closed_book_qa"], TEXT_TASKS["seq2seq"]
TRAIN: Rows = [{"question": f"what is {number} ?", "answer": f"number {number}"} for number in range(60)]


@pytest.fixture
def write_squad(tmp_path: Path) -> Callable[..., str]:
    """Writer of questions about one context, by their answers, in SQuAD's layout."""

    def to_file(name: str, **answers: str) -> str:
        context = "The dog ran to Paris."
        qas = [
            {
                "id": question,
                "question": f"{question} ?",
                "is_impossible": not answer,
                "answers": [{"text": answer, "answer_start": context.index(answer)}] if answer else [],
            }
            for question, answer in answers.items()
        ]
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"version": "v2.0", "data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
        return str(path)

    return to_file


def refused(message: str, *args: Any, **kwargs: Any) -> None:
    with pytest.raises(InputError, match=message) as caught:
        generation_data(*args, **kwargs)
    assert "\n" not in str(caught.value)


def test_the_first_answer_is_learnt_and_all_are_right(write: Writer) -> None:
    rows = [
        {"question": "who ?", "answer": "the dog"},
        {"question": "where ?", "answer": ["Paris", "in Paris"]},
        {"question": "when ?", "answer": {"text": ["1998", "98"], "answer_start": [3, 5]}},
    ]
    data = generation_data(QA, write("train", rows), write("valid", rows[:1]))
    assert data.train == [
        {"question": "who ?", "label": "the dog", "answers": ["the dog"]},
        {"question": "where ?", "label": "Paris", "answers": ["Paris", "in Paris"]},
        {"question": "when ?", "label": "1998", "answers": ["1998", "98"]},
    ]
    assert data.validation == data.train[:1]
    assert data.test is None


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".json"])
def test_other_kinds_of_files_hold_the_same_rows(write: Writer, tmp_path: Path, suffix: str) -> None:
    rows = [{"question": f"{number}", "answers": f"{number}"} for number in range(3)]
    path = tmp_path / f"same{suffix}"
    frame = pd.DataFrame(rows)
    match suffix:
        case ".parquet":
            frame.assign(answers=[[row["answers"]] for row in rows]).to_parquet(path)
        case ".json":
            path.write_text(json.dumps(rows))
        case _:
            frame.to_csv(path, index=False, sep="," if suffix == ".csv" else "\t")
    expected = generation_data(QA, write("train", rows), write("valid", rows))
    assert generation_data(QA, str(path), str(path)) == expected
    assert expected.train[1] == {"question": "1", "label": "1", "answers": ["1"]}  # text, though it spells a number


def test_a_source_leads_to_its_target_and_columns_may_have_other_names(write: Writer) -> None:
    rows = [{"source": "a b", "target": "b a"}]
    assert generation_data(SEQ2SEQ, write("train", rows), write("v", rows)).train == [
        {"source": "a b", "label": "b a", "answers": ["b a"]}
    ]
    renamed = write("renamed", [{"document": "a b", "summary": "b", "target": "x"}])
    data = generation_data(SEQ2SEQ, renamed, renamed, None, ["document"], "summary")
    assert data.train == [{"source": "a b", "label": "b", "answers": ["b"]}]
    labelled = write("labelled", [{"source": "a", "label": "b"}])
    assert generation_data(SEQ2SEQ, labelled, labelled).train[0]["label"] == "b"


def test_missing_parts_are_drawn_by_the_rule_and_test_rows_may_have_no_answers(write: Writer) -> None:
    train, test = write("train", TRAIN), write("test", [{"question": "a ?", "answer": None}, {"question": "b ?"}])
    both = generation_data(QA, train)
    assert [len(part or ()) for part in (both.train, both.validation, both.test)] == [48, 6, 6]
    one = generation_data(QA, train, test_file=test)
    assert [len(one.train), len(one.validation), one.test] == [54, 6, [{"question": "a ?"}, {"question": "b ?"}]]
    alone = generation_data(QA, None, None, write("bare", [{"question": "a ?"}]))
    assert (alone.train, alone.validation, alone.test) == ([], [], [{"question": "a ?"}])


def test_subsets_are_any_texts_of_a_column(write: Writer) -> None:
    names = ["factual", " counterfactual\n", None, ""]
    rows = [row | {"subset": name} for row, name in zip(TRAIN, names, strict=False)]
    file = write("train", rows)
    found = generation_data(QA, file, file).validation
    assert [row.get("subset") for row in found] == ["factual", "counterfactual", None, None]
    kinds = write("kinds", [row | {"kind": "x"} for row in TRAIN])
    assert generation_data(QA, kinds, kinds, subset_column="kind").validation[0]["subset"] == "x"
    assert "subset" not in generation_data(QA, kinds, kinds).validation[0]
    refused(
        "kinds.jsonl: must have the column 'sort', has 'question', 'answer', 'kind'", QA, kinds, subset_column="sort"
    )
    odd = write("odd", [TRAIN[0] | {"subset": 3}])
    refused("odd.jsonl: row 1: subset must be a text, the name of a subset, got 3", QA, odd, odd)


def test_questions_of_squad_are_asked_without_context(write_squad: Callable[..., str]) -> None:
    file = write_squad("train", who="dog", where="Paris", when="")
    data = generation_data(QA, file, write_squad("answerable", who="dog"))
    assert data.train == [
        {"question": "who ?", "label": "dog", "answers": ["dog"], "subset": "answerable"},
        {"question": "where ?", "label": "Paris", "answers": ["Paris"], "subset": "answerable"},
        {"question": "when ?", "label": "unanswerable", "answers": ["unanswerable"], "subset": "unanswerable"},
    ]
    assert data.validation == [{"question": "who ?", "label": "dog", "answers": ["dog"]}]


def test_validation_questions_of_squad_are_drawn_where_there_are_none(write_squad: Callable[..., str]) -> None:
    file = write_squad("train", **{f"q{number}": "dog" for number in range(60)})
    data = generation_data(QA, file)
    assert [len(part or ()) for part in data.first(None, None).__dict__.values()] == [48, 6, 6]


def test_an_answer_of_ones_own_that_says_unanswerable_makes_no_subset(write: Writer) -> None:
    file = write("train", [TRAIN[0], {"question": "x ?", "answer": "unanswerable"}])
    assert all("subset" not in row for row in generation_data(QA, file, file).train)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"answer": "x"}, "row 2 has no 'question'; it has answer"),
        ({"question": "", "answer": "x"}, "row 2 must have a text in question, is empty"),
        ({"question": 5, "answer": "x"}, "row 2: question must be text, got 5"),
        ({"question": "q", "answer": ""}, "row 2: answer must be given, is missing"),
        ({"question": "q"}, "row 2: answer must be given, is missing"),
        ({"question": "q", "answer": []}, "row 2: answer must be given, is missing"),
        (
            {"question": "q", "answer": 1998},
            "row 2: answer must be a text, a list of texts or SQuAD's answers, got 1998",
        ),
        ({"question": "q", "answer": ["a", None]}, "row 2: answer must be a text, a list .* got None"),
        ({"question": "q", "answer": ["a", " "]}, "row 2: answer must be a text, a list .* got ' '"),
        ({"question": "q", "answer": {"text": "a"}}, None),
        ({"question": "q", "answer": {"texts": ["a"]}}, "row 2: answer must be given, is missing"),
        ({"question": "q", "answer": {"text": [3]}}, "row 2: answer must be a text, a list .* got 3"),
    ],
)
def test_rows_that_cannot_be_used_are_told_by_their_number(write: Writer, row: Any, message: str | None) -> None:
    file = write("train", [TRAIN[0], row])
    if message is None:
        assert generation_data(QA, file, file).train[1]["answers"] == ["a"]
        return
    refused(f"train.jsonl: {message}", QA, file, file)


def test_columns_that_are_not_there_or_too_many_are_refused(write: Writer) -> None:
    file = write("train", [{"question": "q", "reply": "a"}])
    known = "'answers' or 'answer' or 'label'"
    refused(re.escape(f"train.jsonl: must have the column {known}, has 'question', 'reply'"), QA, file, file)
    assert generation_data(QA, file, file, label_column="reply").train[0]["label"] == "a"
    refused("must have the column 'answer', has", QA, file, file, label_column="answer")
    refused("--text_columns: must name one column, the question, got a, b", QA, file, text_columns=["a", "b"])
    same = "--text_columns: 'reply' must not be the label too"
    refused(same, QA, file, text_columns=["reply"], label_column="reply")
    refused("--train_file: must name a file", QA, None)
    (Path(file).parent / "list.json").write_text('{"rows": []}')
    refused("list.json: must be an object with 'data'", QA, str(Path(file).parent / "list.json"))
