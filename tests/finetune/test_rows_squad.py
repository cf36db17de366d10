"""Questions: SQuAD's layout and the hub's rows give the same, and everything that is refused."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from design_space.errors import InputError
from finetune.rows.squad import Question, has_unanswerable, questions, read_squad

DATA = Path(__file__).parents[3] / "shared" / "data" / "squad_v2"

CONTEXT = "Émile 🙂 lived in Paris. Paris is in France."
DOCUMENT: dict[str, Any] = {
    "version": "v2.0",
    "data": [
        {
            "title": "Émile",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": "q1",
                            "question": "Where did he live?",
                            "answers": [
                                {"text": "Paris", "answer_start": 17},
                                {"text": "in Paris", "answer_start": 14},
                            ],
                            "is_impossible": False,
                        },
                        {
                            "id": "q2",
                            "question": "Where did she live? ",
                            "answers": [],
                            "plausible_answers": [{"text": "Paris", "answer_start": 17}],
                            "is_impossible": True,
                        },
                    ],
                }
            ],
        },
        {"title": "none", "paragraphs": []},
        {
            "title": "v1.1",
            "paragraphs": [
                {
                    "context": "It is.",
                    "qas": [{"id": "q3", "question": "Is it?", "answers": [{"text": "It is", "answer_start": 0}]}],
                }
            ],
        },
    ],
}
QUESTIONS = [
    Question("q1", "Where did he live?", CONTEXT, ("Paris", "in Paris"), (17, 14)),
    Question("q2", "Where did she live? ", CONTEXT),
    Question("q3", "Is it?", "It is.", ("It is",), (0,)),
]
ROWS = [
    {
        "id": q.id,
        "title": "any",
        "question": q.question,
        "context": q.context,
        "answers": {"text": list(q.answers), "answer_start": list(q.starts)},
    }
    for q in QUESTIONS
]
Writer = Callable[[object], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writer of a file, from an object or from raw bytes."""

    def write(content: object) -> Path:
        path = tmp_path / "dev.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return write


def document_with(**changes: Any) -> dict[str, Any]:
    """The document with other fields in its first question; a field is left out where the change is `...`."""
    document = deepcopy(DOCUMENT)
    item = document["data"][0]["paragraphs"][0]["qas"][0]
    item.update(changes)
    for name in [name for name, value in changes.items() if value is ...]:
        del item[name]
    return document


def row_with(**changes: Any) -> dict[str, Any]:
    row = {**ROWS[0], **changes}
    return {name: value for name, value in row.items() if value is not ...}


def test_a_file_of_both_versions_is_read(write: Writer):
    assert read_squad(write(DOCUMENT)) == QUESTIONS
    assert read_squad(str(write(b"\xef\xbb\xbf" + json.dumps(DOCUMENT, ensure_ascii=False).encode()))) == QUESTIONS


def test_rows_of_the_hub_give_the_same(tmp_path: Path):
    assert questions(ROWS) == QUESTIONS
    assert questions(json.loads(json.dumps(row)) for row in ROWS) == QUESTIONS


def test_rows_of_a_parquet_file_give_the_same(tmp_path: Path):
    pd.DataFrame(ROWS).to_parquet(tmp_path / "rows.parquet")
    records = pd.read_parquet(tmp_path / "rows.parquet").to_dict("records")
    read = questions({str(name): value for name, value in record.items()} for record in records)
    assert read == QUESTIONS
    assert {type(start) for question in read for start in question.starts} == {int}


def test_a_set_tells_whether_it_has_unanswerable_questions():
    assert has_unanswerable(QUESTIONS)
    assert not has_unanswerable([QUESTIONS[0], QUESTIONS[2]])


# What is refused in a file


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": 1}\n{"id": 2}\n'])
def test_what_is_no_json_is_refused_in_one_line(write: Writer, content: bytes):
    with pytest.raises(
        InputError, match=r"dev\.json: must be one JSON object in SQuAD's layout, is not \(line "
    ) as got:
        read_squad(write(content))
    assert "\n" not in str(got.value)


def test_what_is_not_utf8_is_refused(write: Writer):
    content = json.dumps(DOCUMENT, ensure_ascii=False).replace("🙂", ":)").encode("latin-1")
    with pytest.raises(InputError, match=r"dev\.json: must be UTF-8 text, is not. Convert it first"):
        read_squad(write(content))


def test_an_absent_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"absent\.json: cannot be read \(No such file"):
        read_squad(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"dev\.json: must be an object with 'data'; got \[\]"),
        ({"version": "v2.0"}, r"dev\.json: must be an object with 'data'; it has version"),
        ({"data": {}}, r"dev\.json: data must be a list, got {}"),
        ({"data": ["x"]}, r"dev\.json: data\[0\]: must be an object with 'paragraphs'; got 'x'"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, r"data\[0\]\.paragraphs\[0\]: must be an object with 'context'"),
        ({"data": [{"paragraphs": [{"context": 1}]}]}, r"data\[0\]\.paragraphs\[0\]: context must be text, got 1"),
        (
            {"data": [{"paragraphs": []}, {"paragraphs": [{"context": "x", "qas": [[]]}]}]},
            r"data\[1\]\.paragraphs\[0\]\.qas\[0\]: must be an object with 'id'; got \[\]",
        ),
    ],
)
def test_another_layout_is_refused_with_the_place(write: Writer, content: object, message: str):
    with pytest.raises(InputError, match=message):
        read_squad(write(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ...}, r"data\[0\]\.paragraphs\[0\]\.qas\[0\]: must be an object with 'id'; it has question, answers"),
        ({"id": 7}, r"qas\[0\]: id must be text, got 7"),
        ({"question": None}, r"qas\[0\]: question must be text, got None"),
        ({"answers": ...}, "question 'q1': must be an object with 'answers'"),
        ({"answers": "Paris"}, "question 'q1': answers must be a list, got 'Paris'"),
        ({"answers": [{"answer_start": 1}]}, r"question 'q1': answers\[0\]: must be an object with 'text'"),
        ({"answers": [{"text": "Paris"}]}, "question 'q1': answer_start must be a whole number .*, got None"),
        ({"is_impossible": True}, "'q1': is_impossible must be false for a question with 2 answers, got True"),
        ({"is_impossible": "no"}, "'q1': is_impossible must be false for a question with 2 answers, got 'no'"),
        ({"answers": []}, "'q1': is_impossible must be true for a question with 0 answers, got False"),
    ],
)
def test_a_wrong_question_of_a_file_is_refused_by_its_name(write: Writer, changes: dict[str, Any], message: str):
    with pytest.raises(InputError, match=rf"dev\.json: .*{message}"):
        read_squad(write(document_with(**changes)))


@pytest.mark.parametrize("content", [{"data": []}, {"data": [{"paragraphs": [{"context": "x", "qas": []}]}]}])
def test_a_file_without_questions_is_refused(write: Writer, content: object):
    with pytest.raises(InputError, match=r"dev\.json: must hold at least one question, holds none"):
        read_squad(write(content))


def test_a_wrong_start_in_a_file_shows_both_texts(write: Writer):
    message = (
        r"dev\.json: question 'q1': answer_start must be where the answer 'Paris' begins, got 18, where the context "
        r"has 'aris\.'\. The answer first stands at 17\."
    )
    with pytest.raises(InputError, match=message):
        read_squad(write(document_with(answers=[{"text": "Paris", "answer_start": 18}])))


# What is refused in either


@pytest.mark.parametrize(
    ("start", "found"),
    [(-7, "''"), (16, "' Pari'"), (99, "''")],
)
def test_an_answer_that_lies_elsewhere_is_refused(start: int, found: str):
    row = row_with(answers={"text": ["Paris"], "answer_start": [start]})
    with pytest.raises(InputError, match=f"^train: question 'q1': .*got {start}, where the context has {found}"):
        questions([row], "train")


def test_an_answer_that_lies_nowhere_is_refused():
    row = row_with(answers={"text": ["paris"], "answer_start": [17]})
    with pytest.raises(InputError, match="context has 'Paris'. The context does not hold the answer"):
        questions([row])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ...}, "row 2: must be an object with 'id'; it has title, question, context, answers"),
        ({"context": ...}, "row 2, question 'q1': must be an object with 'context'"),
        ({"question": 3}, "row 2, question 'q1': question must be text, got 3"),
        ({"question": " \n"}, "question 'q1': question must not be empty"),
        ({"context": ""}, "question 'q1': context must not be empty"),
        ({"answers": []}, r"question 'q1': answers must be an object, got \[\]"),
        ({"answers": {"text": []}}, "question 'q1': answers: must be an object with 'answer_start'; it has text"),
        ({"answers": {"text": "Paris", "answer_start": [17]}}, "answers: text must be a list, got 'Paris'"),
        (
            {"answers": {"text": ["Paris"], "answer_start": []}},
            "'q1': answers must have one answer_start for each text, got 0 for 1",
        ),
        ({"answers": {"text": [""], "answer_start": [0]}}, "'q1': an answer must be text that is not empty, got ''"),
        ({"answers": {"text": [5], "answer_start": [0]}}, "'q1': an answer must be text that is not empty, got 5"),
        ({"answers": {"text": ["Paris"], "answer_start": [17.0]}}, "'q1': answer_start must be a whole number .*17.0"),
        ({"answers": {"text": ["m"], "answer_start": [True]}}, "'q1': answer_start must be a whole number .*got True"),
    ],
)
def test_a_wrong_row_is_refused_by_its_name(changes: dict[str, Any], message: str):
    with pytest.raises(InputError, match=rf"^train\.jsonl: .*{message}"):
        questions([ROWS[2], row_with(**changes)], "train.jsonl")


def test_an_id_that_stands_twice_is_refused(write: Writer):
    with pytest.raises(InputError, match="^rows: question 'q1': id must be unique, stands twice"):
        questions([*ROWS, ROWS[0]])
    with pytest.raises(InputError, match=r"dev\.json: question 'q2': id must be unique"):
        read_squad(write(document_with(id="q2")))


def test_no_rows_are_refused():
    with pytest.raises(InputError, match="^rows: must hold at least one question, holds none"):
        questions([])


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
@pytest.mark.parametrize(("name", "num", "num_unanswerable"), [("train", 4_719, 348), ("dev", 2_835, 1_485)])
def test_the_real_data_pass_the_checks(name: str, num: int, num_unanswerable: int):
    read = read_squad(DATA / f"{name}-v2.0.json")
    assert len(read) == num
    assert sum(not question.answers for question in read) == num_unanswerable
    assert has_unanswerable(read)
