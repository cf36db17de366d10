"""What labels mean: classes and their codes, values, and what is refused because it may be either or neither."""

from typing import Any

import pytest

from design_space.errors import InputError
from finetune.rows.labels import MAX_INFERRED_CLASSES, Labels, find_labels


def find(cells: list[Any], problem: str | None = None) -> Labels:
    return find_labels(cells, "stars", problem, "train.csv")


def read_all(cells: list[Any], problem: str | None = None) -> list[int | float]:
    labels = find(cells, problem)
    return [labels.read(cell, "train.csv: row 1") for cell in cells]


@pytest.mark.parametrize(
    ("cells", "names", "codes"),
    [
        (["pos", "neg", " pos "], ("neg", "pos"), [1, 0, 1]),
        ([True, False, True], ("False", "True"), [1, 0, 1]),
        ([0, 2, 1], ("0", "1", "2"), [0, 2, 1]),
        ([10, 2, -1], ("-1", "2", "10"), [2, 1, 0]),
        (["10", "2", "2"], ("2", "10"), [1, 0, 0]),
        ([2, "2", "none"], ("2", "none"), [0, 0, 1]),
        (["007", "7", "x"], ("007", "7", "x"), [0, 1, 2]),
    ],
)
def test_texts_booleans_and_few_whole_numbers_are_classes(cells: list[Any], names: tuple[str, ...], codes: list[int]):
    assert find(cells).names == names
    read = read_all(cells)
    assert read == codes
    assert {type(code) for code in read} == {int}


@pytest.mark.parametrize("cells", [[0.5, 2.25, 1.0], ["0.5", "2.25", "1"], [0.5, 2.25, 1]])
def test_decimal_numbers_are_values(cells: list[Any]):
    assert find(cells).names == ()
    read = read_all(cells)
    assert read == [0.5, 2.25, 1.0]
    assert {type(value) for value in read} == {float}


@pytest.mark.parametrize("cells", [[1.0, 0.0, 1.0], ["1.0", "0.0", "1"]])
def test_decimal_numbers_that_are_all_whole_are_classes(cells: list[Any]):
    assert find(cells).names == ("0", "1")
    assert read_all(cells) == [1, 0, 1]


def test_what_is_told_goes_before_what_is_seen():
    assert find([1.0, 2.0, 0.5], "classification").names == ("0.5", "1", "2")
    assert read_all([1.0, "1", 2], "classification") == [0, 0, 1]
    assert read_all([1, "2", "3.5"], "regression") == [1.0, 2.0, 3.5]
    assert read_all(list(range(100)), "regression") == list(map(float, range(100)))
    assert len(find(list(range(100)), "classification").names) == 100
    assert len(find([f"name {number}" for number in range(100)], "classification").names) == 100


def test_whole_numbers_of_many_values_are_refused_unless_told():
    assert len(find(list(range(MAX_INFERRED_CLASSES)) * 5).names) == MAX_INFERRED_CLASSES
    message = (
        "train.csv: stars must be classes or values, which 21 different whole numbers do not tell. "
        "Say --problem classification or --problem regression"
    )
    with pytest.raises(InputError, match=message):
        find(list(range(MAX_INFERRED_CLASSES + 1)) * 5)


@pytest.mark.parametrize("numbers", [[0.5, 1.5], list(range(30))])
def test_a_word_among_values_is_refused_with_its_row(numbers: list[Any]):
    message = rf"train.csv: row {len(numbers) + 1}: stars must be a number as others are, got 'n/a'\. Correct it"
    with pytest.raises(InputError, match=message):
        find([*numbers, "n/a"])
    with pytest.raises(InputError, match=r"row 1: stars must be a number, got 'good'\. .*--problem classification"):
        read_all(["good", 0.5], "regression")
    with pytest.raises(InputError, match="row 1: stars must be a number, got True"):
        read_all([True, False], "regression")


def test_texts_that_do_not_repeat_are_refused_as_no_labels():
    cells = [f"name {number}" for number in range(30)]
    message = r"stars must have labels that repeat, has 30 different ones in 59 rows\. Name .* --label_column"
    with pytest.raises(InputError, match=message):
        find([*cells, *cells[1:]])
    assert len(find(cells * 2).names) == 30
    assert len(find(["a", "b", "c"]).names) == 3


@pytest.mark.parametrize("problem", [None, "classification", "regression"])
@pytest.mark.parametrize("cells", [["x", " x"], [1, "1"], [2.5, 2.5], [True, True]])
def test_one_label_alone_is_refused(cells: list[Any], problem: str | None):
    with pytest.raises(InputError, match="train.csv: stars must have at least two different labels, all are"):
        find(cells, problem)


@pytest.mark.parametrize("cell", [["a"], {"a": 1}, float("inf"), float("nan"), 10**400, b"x"])
@pytest.mark.parametrize("problem", [None, "classification", "regression"])
def test_what_is_neither_text_nor_number_is_refused(cell: object, problem: str | None):
    with pytest.raises(InputError, match="train.csv: row 2: stars must be a text, a finite number or a boolean, got"):
        find([0, cell], problem)
    with pytest.raises(InputError, match="valid.csv: row 9: stars must be a text"):
        find([0, 1], problem).read(cell, "valid.csv: row 9")


def test_a_label_that_training_has_not_is_refused_with_those_it_has():
    message = r"valid.csv: row 9: stars must be one of the training rows' 2 classes: neg, pos; got 'new'\."
    with pytest.raises(InputError, match=message):
        find(["pos", "neg"]).read("new", "valid.csv: row 9")


@pytest.mark.parametrize("problem", ["", "Regression", "ranking"])
def test_another_problem_is_refused(problem: str):
    with pytest.raises(InputError, match=f"--problem: must be classification or regression, got '{problem}'"):
        find([0, 1], problem)


@pytest.mark.parametrize(
    ("names", "description"),
    [
        ((), "a regression"),
        (("no", "yes"), "2 classes: no, yes"),
        (tuple("abcdefghijkl"), "12 classes: a, b, c, d, e, f, g, h, i, j, …"),
    ],
)
def test_labels_are_described(names: tuple[str, ...], description: str):
    assert Labels("label", names).description == description
