"""The rule that draws missing parts: sizes, labels, groups, what it depends on, and the refusals."""

import logging
import random
from collections import Counter
from hashlib import blake2b
from typing import Any

import pytest

from design_space.errors import InputError
from finetune.rows.splits import MIN_TEXTS, Parts, complete_parts, text_key

Rows = list[dict[str, Any]]
GIVEN: Rows = [{"text": "given", "label": 0}]


def labelled(*counts: int, repeats: int = 1) -> Rows:
    """As many different texts of each label, from 0, each so many times."""
    return [
        {"text": f"text {number} of {label}", "label": label, "idx": number}
        for label, count in enumerate(counts)
        for number in range(count)
        for _ in range(repeats)
    ]


def complete(train: Rows, test: Rows | None = None, seed: int = 0, is_regression: bool = False) -> Parts:
    return complete_parts(
        train, None, test, text_fields=["text"], is_regression=is_regression, seed=seed, where="train.csv"
    )


def counts(parts: Parts) -> list[dict[int, int]]:
    return [dict(Counter(row["label"] for row in rows)) for rows in parts if rows is not None]


def texts(rows: Any) -> set[str]:
    return {row["text"] for row in rows}


@pytest.mark.parametrize("test", [None, GIVEN])
def test_what_is_given_stays_as_given_however_small(test: Rows | None):
    train = labelled(1)
    parts = complete_parts(train, GIVEN, test, text_fields=["text"], is_regression=False, seed=0, where="")
    assert parts == (train, GIVEN, test)


def test_ten_percent_of_each_label_becomes_validation_where_test_is_there():
    parts = complete(labelled(300, 100, 14), GIVEN)
    assert counts(parts)[:2] == [{0: 270, 1: 90, 2: 13}, {0: 30, 1: 10, 2: 1}]
    assert parts.test is GIVEN


def test_training_rows_alone_are_divided_80_10_10():
    parts = complete(labelled(300, 100, 14))
    assert counts(parts) == [{0: 240, 1: 80, 2: 12}, {0: 30, 1: 10, 2: 1}, {0: 30, 1: 10, 2: 1}]


def test_no_row_is_lost_or_doubled_and_each_part_keeps_the_order():
    rows = labelled(60, 40)
    parts = complete(rows)
    assert all(list(part) == [row for row in rows if row in part] for part in parts if part is not None)
    assert sorted(row["text"] for part in parts if part is not None for row in part) == sorted(texts(rows))


def test_validation_is_the_same_with_and_without_test_rows():
    rows = labelled(60, 40)
    assert complete(rows).validation == complete(rows, GIVEN).validation


def test_neither_the_order_of_the_rows_nor_other_columns_matter():
    rows = labelled(60, 40, 7, repeats=2)
    first = complete(rows)
    random.Random(0).shuffle(rows)
    second = complete([{**row, "idx": -1, "more": "x"} for row in rows])
    assert [texts(part) for part in first] == [texts(part) for part in second]


def test_another_seed_draws_other_rows():
    rows = labelled(60, 40)
    drawn = [frozenset(texts(complete(rows, seed=seed).validation)) for seed in range(5)]
    assert len(set(drawn)) == 5


def test_every_text_is_drawn_by_some_seed():
    rows = labelled(60)
    drawn = Counter(text for seed in range(100) for text in texts(complete(rows, seed=seed).validation))
    assert len(drawn) == 60
    assert max(drawn.values()) < 30  # of 100 seeds; 10 are expected


def test_the_key_is_that_of_the_seed_and_the_texts_in_any_process():
    digest = blake2b(b'[3, "x", "\\u00e9"]', digest_size=8).digest()
    assert text_key({"b": "é", "a": "x"}, ["a", "b"], 3) == int.from_bytes(digest, "big")


def test_fields_are_told_apart_in_a_key():
    rows = [{"a": "x", "b": "yz"}, {"a": "xy", "b": "z"}, {"a": "yz", "b": "x"}]
    assert len({text_key(row, ["a", "b"]) for row in rows}) == 3


@pytest.mark.parametrize("is_regression", [False, True])
def test_equal_texts_stay_on_one_side(is_regression: bool):
    rows = labelled(100, 50, repeats=3)
    for number, row in enumerate(rows):
        row["label"] = row["label"] if number % 7 else 1 - row["label"]  # some texts bear both labels
    parts = complete(rows, is_regression=is_regression)
    train, validation, test = map(texts, parts)
    assert len(train) + len(validation) + len(test) == len(train | validation | test) == 150
    assert [len(parts.validation), len(parts.test or ())] == [pytest.approx(45, abs=3)] * 2


def test_groups_that_are_too_large_go_to_training():
    rows = [*labelled(90, 9), *[{"text": "often", "label": 1}] * 100]
    for seed in range(20):
        parts = complete(rows, GIVEN, seed)
        # 11 of label 1 are wanted; all nine others fit, one must not be left alone with the hundred.
        assert "often" in texts(parts.train)
        assert counts(parts)[1] == {0: 9, 1: 9}


def test_the_smallest_group_is_taken_where_all_are_too_large():
    sizes = {"a": 30, "b": 20, "c": 25}
    rows = labelled(90) + [{"text": text, "label": 1} for text, size in sizes.items() for _ in range(size)]
    for seed in range(10):
        parts = complete(rows, seed=seed)
        assert [texts(part) & set(sizes) for part in parts if part is not None] == [{"a"}, {"b"}, {"c"}]


def test_a_rare_label_is_in_training_first_then_in_validation():
    parts = complete(labelled(60, 1, 2, 3))
    assert [sorted(part) for part in counts(parts)] == [[0, 1, 2, 3], [0, 2, 3], [0, 3]]


def test_a_regression_is_divided_by_rows_alone():
    rows = [{**row, "label": row["idx"] / 7} for row in labelled(200)]
    parts = complete(rows, is_regression=True)
    assert list(map(len, (parts.train, parts.validation, parts.test or ()))) == [160, 20, 20]


@pytest.mark.parametrize(("test", "names"), [(None, "validation and test"), (GIVEN, "validation")])
def test_too_few_texts_are_refused_with_what_to_do(test: Rows | None, names: str):
    message = f"train.csv: must have at least 50 different texts to draw {names} rows from, has 49. Give validation"
    with pytest.raises(InputError, match=message):
        complete(labelled(MIN_TEXTS - 1, repeats=9), test)
    complete(labelled(MIN_TEXTS), test)


@pytest.mark.parametrize(("repeats", "test"), [(1, GIVEN), (1, None), (2, None)])
def test_labels_of_one_text_each_are_refused(repeats: int, test: Rows | None):
    rows = [{"text": f"{label} {number}", "label": label} for label in range(60) for number in range(repeats)]
    with pytest.raises(InputError, match=r"train\.csv: must have labels of several texts to draw .*Give validation"):
        complete(rows, test)


def test_what_is_drawn_is_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    complete(labelled(60, 40), seed=3)
    message = "train.csv: validation and test rows are drawn with seed 3; 80 of 100 stay for training."
    assert caplog.messages == [message]
