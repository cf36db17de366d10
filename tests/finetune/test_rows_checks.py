"""Rows whose texts cannot be read are refused with their number; the others pass as they are."""

from typing import Any

import pytest

from design_space.errors import InputError
from finetune.rows.checks import check_texts, without_label

PAIR = ("question1", "question2")


def test_one_text_of_a_pair_may_be_empty():
    # So it is in two training rows of QQP.
    check_texts([{"question1": "How can I make an app?", "question2": ""}], PAIR, "here")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question1": "a", "label": 1}, r"^here: row 2 has no 'question2'; it has question1, label\.$"),
        ({"question1": "a", "question2": None}, r"^here: row 2: question2 must be text, got None\.$"),
        ({"question1": "a", "question2": "\ud83d"}, r"^here: row 2: question2 must be text, got '\\ud83d'\.$"),
        ({"question1": " ", "question2": ""}, "^here: row 2 must have a text in question1 or question2, is empty"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_with_its_row(row: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        check_texts([{"question1": "a", "question2": "b"}, row], PAIR, "here")


def test_a_row_loses_its_label_and_nothing_else():
    row = {"sentence": "a", "label": -1, "idx": 3}
    assert without_label(row) == {"sentence": "a", "idx": 3}
    assert row["label"] == -1
