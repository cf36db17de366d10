"""Any data set from files: the task that they make, its parts and texts, and all that is refused or warned of."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from design_space.errors import InputError
from finetune.rows.custom import KNOWN_TEXT_COLUMNS, custom_data

DATA = Path(__file__).parents[3] / "shared" / "data"
Rows = list[dict[str, Any]]
Writer = Callable[[str, Rows], str]

TRAIN: Rows = [{"text": f"row {number}", "label": ["neg", "pos"][number % 2]} for number in range(60)]
VALIDATION: Rows = [{"text": "other 1", "label": "pos"}, {"text": "other 2", "label": "neg"}]
TEST: Rows = [{"text": "third 1", "label": "neg"}, {"text": "third 2", "label": None}, {"text": "third 3"}]


def refused(message: str, *args: Any, **kwargs: Any) -> None:
    with pytest.raises(InputError, match=message) as caught:
        custom_data(*args, **kwargs)
    assert "\n" not in str(caught.value)


def test_a_classification_has_its_labels_by_name_and_its_rows_by_code(write: Writer):
    task, data = custom_data(write("train", TRAIN), write("valid", VALIDATION), write("test", TEST))
    assert (task.text_fields, task.labels, task.metrics) == (("text",), ("neg", "pos"), ("accuracy", "macro_f1"))
    assert (task.is_regression, task.num_outputs) == (False, 2)
    assert data.train == [{"text": f"row {number}", "label": number % 2} for number in range(60)]
    assert data.validation == [{"text": "other 1", "label": 1}, {"text": "other 2", "label": 0}]
    assert data.test == [{"text": "third 1", "label": 0}, {"text": "third 2"}, {"text": "third 3"}]


def test_a_regression_has_values(write: Writer):
    rows = [{"text": f"row {number}", "label": number / 7} for number in range(100)]
    task, data = custom_data(write("train", rows[:90]), write("valid", rows[90:]))
    assert (task.labels, task.metrics) == ((), ("pearson", "spearman"))
    assert (task.is_regression, task.num_outputs) == (True, 1)
    assert task.value_range[0] <= -1e300
    assert task.value_range[1] >= 1e300
    assert [row["label"] for row in data.validation] == [number / 7 for number in range(90, 100)]
    assert data.test is None


def test_the_same_data_from_a_table_of_text_are_the_same(write: Writer, tmp_path: Path):
    rows = [{**row, "label": number % 3, "text": str(number)} for number, row in enumerate(TRAIN)]
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows))
    assert custom_data(str(tmp_path / "train.csv")) == custom_data(write("train", rows))


def test_missing_parts_are_drawn_by_the_rule(write: Writer):
    train, test = write("train", TRAIN), write("test", TEST)
    _, both = custom_data(train)
    assert [len(part or ()) for part in (both.train, both.validation, both.test)] == [48, 6, 6]
    _, one = custom_data(train, test_file=test)
    assert [len(part or ()) for part in (one.train, one.validation, one.test)] == [54, 6, 3]
    assert one.validation == both.validation
    assert custom_data(train, seed=1)[1].validation != both.validation


def test_parts_of_the_training_source_are_used_unless_a_file_is_named(write: Writer, tmp_path: Path):
    folder = tmp_path / "saved"
    parts = {"train": TRAIN, "validation": VALIDATION, "test": TEST[:1]}
    datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name, rows in parts.items()}).save_to_disk(folder)
    _, data = custom_data(str(folder))
    assert [len(part or ()) for part in (data.train, data.validation, data.test)] == [60, 2, 1]
    _, data = custom_data(str(folder), write("valid", VALIDATION[:1]), str(folder))
    assert [len(part or ()) for part in (data.train, data.validation, data.test)] == [60, 1, 1]


def test_other_columns_stay_and_the_label_may_have_any_name(write: Writer):
    rows = [{"body": row["text"], "sentiment": row["label"], "label": 7, "id": 1} for row in TRAIN]
    test = [{"body": "x", "label": 7}]
    task, data = custom_data(
        write("train", rows), write("valid", rows[:1]), write("test", test), ["body"], label_column="sentiment"
    )
    assert (task.text_fields, task.labels) == (("body",), ("neg", "pos"))
    assert data.train[1] == {"body": "row 1", "sentiment": "pos", "label": 1, "id": 1}
    assert data.test == [{"body": "x"}]


def test_two_text_columns_are_in_the_order_named(write: Writer):
    rows = [{"text": "x", "title": row["text"], "label": row["label"]} for row in TRAIN]
    task, _ = custom_data(write("train", rows), text_columns=["title", "text"])
    assert task.text_fields == ("title", "text")


@pytest.mark.parametrize("columns", KNOWN_TEXT_COLUMNS, ids="+".join)
def test_known_text_columns_are_inferred_and_logged(
    write: Writer, columns: tuple[str, ...], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    rows = [{"id": 1, **dict.fromkeys(columns, row["text"]), "label": row["label"]} for row in TRAIN]
    path = write("train", rows)
    assert custom_data(path)[0].text_fields == columns
    assert caplog.messages[0] == f"{path}: text columns are {' and '.join(columns)}; not used: id."
    assert caplog.messages[-1] == f"{path}: label is taken as 2 classes: neg, pos."


@pytest.mark.parametrize("columns", [("body",), ("text", "premise", "hypothesis"), ("sentence1",), ()])
def test_unclear_text_columns_are_refused_with_those_there_are(write: Writer, columns: tuple[str, ...]):
    rows = [{**dict.fromkeys(columns, "x"), "label": row["label"]} for row in TRAIN]
    there = ", ".join(f"'{column}'" for column in (*columns, "label"))
    refused(rf"train\.jsonl: --text_columns must name the one or two .* there are {there}\.$", write("train", rows))


def test_a_text_column_that_is_the_label_is_not_inferred(write: Writer):
    rows = [{"text": row["label"], "sentence": row["text"]} for row in TRAIN]
    task, _ = custom_data(write("train", rows), label_column="text")
    assert (task.text_fields, task.labels) == (("sentence",), ("neg", "pos"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["txt"], r"train\.jsonl: must have the column 'txt', has 'text', 'label'\. Did you mean 'text'\?"),
        (["text", "text"], "--text_columns: must name one or two different columns, got text, text"),
        (["a", "b", "c"], "--text_columns: must name one or two different columns, got a, b, c"),
        (["label"], "--text_columns: 'label' must not be the label too"),
    ],
)
def test_text_columns_that_cannot_be_are_refused(write: Writer, columns: list[str], message: str):
    refused(message, write("train", TRAIN), text_columns=columns)


def test_a_missing_label_column_is_refused_with_those_there_are(write: Writer):
    train = write("train", TRAIN)
    refused(
        r"train\.jsonl: must have the label column 'stars', has 'text', 'label'\. Give --label_column",
        train,
        label_column="stars",
    )
    refused(
        r"valid\.jsonl: must have the label column 'label', has 'text'\.", train, write("valid", [{"text": "other"}])
    )


@pytest.mark.parametrize("cell", [None, "", "  ", float("nan")])
def test_a_missing_label_is_refused_with_its_row_but_in_test(write: Writer, cell: object):
    lacking: Rows = [{"text": "x 1", "label": "pos"}, {"text": "x 2", "label": cell}, {"text": "x 3"}]
    message = r"row 2 \(and 1 more rows\): label must be given, is missing"
    refused(rf"train\.jsonl: {message}", write("train", lacking))
    refused(rf"valid\.jsonl: {message}", write("train", TRAIN), write("valid", lacking))
    refused(r"valid\.jsonl: row 2: label must be given", write("train", TRAIN), write("valid", lacking[:2]))
    _, data = custom_data(write("train", TRAIN), write("valid", VALIDATION), write("test", lacking))
    assert data.test == [{"text": "x 1", "label": 1}, {"text": "x 2"}, {"text": "x 3"}]


def test_minus_one_hides_a_class_of_a_test_row_but_is_a_value(write: Writer):
    test = write("test", [{"text": "x", "label": -1}])
    assert custom_data(write("train", TRAIN), test_file=test)[1].test == [{"text": "x"}]
    signed = [{**row, "label": [-1, 1][number % 2]} for number, row in enumerate(TRAIN)]
    assert custom_data(write("train", signed), test_file=test)[1].test == [{"text": "x", "label": 0}]
    values = [{**row, "label": number / 7} for number, row in enumerate(TRAIN)]
    assert custom_data(write("train", values), test_file=test)[1].test == [{"text": "x", "label": -1.0}]


@pytest.mark.parametrize("part", ["validation_file", "test_file"])
def test_a_label_that_training_has_not_is_refused_with_its_row(write: Writer, part: str):
    path = write("other", [*VALIDATION, {"text": "x", "label": "new"}])
    message = r"other\.jsonl: row 3: label must be one of the training rows' 2 classes: neg, pos; got 'new'"
    refused(message, write("train", TRAIN), **{part: path})


def test_values_that_are_no_numbers_are_refused_with_their_row(write: Writer):
    rows = [{"text": f"row {number}", "label": str(number / 7)} for number in range(60)]
    assert custom_data(write("train", rows))[0].is_regression
    valid = write("valid", [{"text": "x", "label": "good"}])
    refused(r"valid\.jsonl: row 1: label must be a number, got 'good'", write("train", rows), valid)
    rows[4]["label"] = "n/a"
    refused(r"train\.jsonl: row 5: label must be a number as others are, got 'n/a'", write("train", rows))
    refused(r"train\.jsonl: row 5: label must be a number, got 'n/a'", write("train", rows), problem="regression")


def test_the_problem_can_be_told(write: Writer):
    rows = [{"text": f"row {number}", "label": number % 30} for number in range(90)]
    train = write("train", rows)
    refused("30 different whole numbers do not tell. Say --problem classification or --problem regression", train)
    assert len(custom_data(train, problem="classification")[0].labels) == 30
    assert custom_data(train, problem="regression")[0].is_regression


def test_one_class_is_refused(write: Writer):
    rows = [{**row, "label": 1} for row in TRAIN]
    refused(r"train\.jsonl: label must have at least two different labels, all are 1\.", write("train", rows))


@pytest.mark.parametrize("part", ["train_file", "validation_file", "test_file"])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": " ", "label": "pos"}, "row 2 must have a text in text, is empty. Leave the row out"),
        ({"text": None, "label": "pos"}, "row 2: text must be text, got None"),
        ({"text": 7, "label": "pos"}, "row 2: text must be text, got 7"),
        ({"label": "pos"}, "row 2 has no 'text'; it has label"),
    ],
)
def test_a_row_without_text_is_refused_with_its_number(write: Writer, part: str, row: dict[str, Any], message: str):
    files = {"train_file": write("train", TRAIN)}
    files[part] = write("bad", [TRAIN[0], row, *TRAIN])
    refused(rf"bad\.jsonl: {message}", **files)


def test_of_a_pair_one_text_may_be_empty(write: Writer):
    rows = [{"premise": row["text"], "hypothesis": "", "label": row["label"]} for row in TRAIN]
    assert len(custom_data(write("train", rows), write("valid", rows))[1].train) == 60
    rows[3]["premise"] = ""
    refused("row 4 must have a text in premise or hypothesis, is empty", write("train", rows))


@pytest.mark.parametrize("order", [1, -1])
def test_a_validation_file_that_is_the_training_file_is_warned_of(
    write: Writer, caplog: pytest.LogCaptureFixture, order: int
):
    custom_data(write("train", TRAIN), write("valid", TRAIN[::order]))
    (message,) = caplog.messages
    assert message.endswith("train.jsonl. Scores on it say nothing of new texts.")
    assert "valid.jsonl: holds the same rows as " in message


def test_shared_texts_are_counted_and_warned_of(write: Writer, caplog: pytest.LogCaptureFixture):
    shared = [*VALIDATION, TRAIN[3], TRAIN[3], {**TRAIN[4], "label": "pos"}]
    custom_data(write("train", TRAIN), write("valid", shared), write("test", VALIDATION[:1]))
    first, second = caplog.messages
    assert "valid.jsonl: 3 of 5 rows have texts that " in first
    assert "train.jsonl has too" in first
    assert "test.jsonl: 1 of 1 rows have texts that " in second
    assert "valid.jsonl has too" in second


def test_parts_that_share_nothing_are_not_warned_of(write: Writer, caplog: pytest.LogCaptureFixture):
    custom_data(write("train", TRAIN), write("valid", VALIDATION), write("test", TEST))
    custom_data(write("train", TRAIN))
    assert caplog.messages == []


def test_too_few_training_rows_alone_are_refused(write: Writer):
    refused(
        r"train\.jsonl: must have at least 50 different texts .* has 40\. Give validation", write("train", TRAIN[:40])
    )


def test_a_source_without_the_part_is_refused_with_those_it_has(tmp_path: Path, write: Writer):
    folder = tmp_path / "parts"
    folder.mkdir()
    train = write("parts/train", TRAIN)
    refused("parts: must have a part called validation, has train. Name the file", train, str(folder))
    write("parts/dev", VALIDATION)
    refused("parts: must have its validation rows under the name validation, has dev. Rename it", str(folder))
    assert len(custom_data(str(folder), str(folder / "dev.jsonl"))[1].validation) == 2
    (folder / "train.jsonl").unlink()
    refused("parts: must have a part called train, has dev. Name the file", str(folder))


@pytest.mark.parametrize("train_file", ["", "absent.csv"])
def test_no_training_file_is_refused(train_file: str):
    refused("--train_file: must name a file|absent.csv: no such file", train_file)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
@pytest.mark.parametrize(
    ("name", "fields", "labels", "sizes"),
    [
        ("agnews_sup", ("text",), ("0", "1", "2", "3"), (4_500, 500, 2_000)),
        ("restaurant_sup", ("sentence", "aspect"), ("negative", "neutral", "positive"), (3_247, 361, 1_120)),
        (
            "acl_sup",
            ("text",),
            ("Background", "CompareOrContrast", "Extends", "Future", "Motivation", "Uses"),
            (1_688, 114, 139),
        ),
        ("stsb", ("sentence1", "sentence2"), (), (5_749, 1_500, 0)),
    ],
)
def test_real_data_need_no_flags(name: str, fields: tuple[str, ...], labels: tuple[str, ...], sizes: tuple[int, ...]):
    task, data = custom_data(str(DATA / name))
    assert (task.text_fields, task.labels) == (fields, labels)
    assert (len(data.train), len(data.validation), len(data.test or ())) == sizes
