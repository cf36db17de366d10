"""Rows of a task: the three kinds of file, the hub, the demo, and everything that is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest

from design_space.errors import InputError
from finetune import data as data_module
from finetune.data import available_tasks, load_task
from finetune.demo.tasks import demo_task
from finetune.tasks import GLUE
from pretrain import hub

DATA = Path(__file__).parents[3] / "shared" / "data"
# Rows of training and validation, from the README of the data.
REAL = {
    "cola": (8_551, 1_043),
    "mrpc": (3_668, 408),
    "stsb": (5_749, 1_500),
    "qqp": (20_000, 2_000),
    "mnli": (9_888, 2_000),
    "qnli": (4_463, 1_000),
    "wnli": (635, 71),
}
Rows = list[dict[str, Any]]
Writer = Callable[..., str]

SST2 = [
    {"sentence": "fine, 'really' \"so\"", "label": 1},
    {"sentence": "NA", "label": 0},
    {"sentence": "12", "label": 1},
]
STSB = [
    {"sentence1": "a é", "sentence2": "null", "label": 0.0},
    {"sentence1": "b", "sentence2": "12", "label": 3.25},
    {"sentence1": "c", "sentence2": "", "label": 5.0},
]
MNLI = [{"premise": "a", "hypothesis": "b", "label": label} for label in (0, 1, 2)]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize(("name", "rows"), [("sst2", SST2), ("stsb", STSB), ("mnli", MNLI)])
def test_every_kind_of_file_gives_the_same_rows(write_task: Writer, suffix: str, name: str, rows: list[dict[str, Any]]):
    loaded = load_task(GLUE[name], write_task(name, rows, rows[:2], suffix))
    assert [dict(row) for row in loaded.train] == rows
    assert [dict(row) for row in loaded.validation] == rows[:2]
    assert {type(row["label"]) for row in loaded.train} == {float if name == "stsb" else int}


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_validation_may_have_the_name_of_the_hub(write_task: Writer, suffix: str):
    folder = write_task("mnli", MNLI, MNLI[:1], suffix, "validation_matched")
    assert available_tasks(folder) == [GLUE["mnli"]]
    assert len(load_task(GLUE["mnli"], folder).validation) == 1
    # It goes before the plain name.
    write_task("mnli", MNLI, MNLI[:2], suffix, "validation")
    assert len(load_task(GLUE["mnli"], folder).validation) == 1


@pytest.mark.parametrize(
    ("name", "split", "rows"), [("mnli", "validation_mismatched", MNLI), ("cola", "validation_matched", SST2)]
)
def test_another_split_does_not_stand_for_validation(
    write_task: Writer, name: str, split: str, rows: list[dict[str, Any]]
):
    folder = write_task(name, rows, rows, validation_name=split)
    write_task("sst2", SST2, SST2)
    assert available_tasks(folder) == [GLUE["sst2"]]
    with pytest.raises(InputError, match=f"{name}: must hold validation as .jsonl or .csv or .*, does not"):
        load_task(GLUE[name], folder)


def test_a_folder_offers_the_tasks_with_both_splits_in_the_order_of_glue(write_task: Writer, tmp_path: Path):
    for name, rows in (("stsb", STSB), ("sst2", SST2)):
        folder = write_task(name, rows, rows)
    (tmp_path / "data" / "cola").mkdir()
    (tmp_path / "data" / "cola" / "train.jsonl").write_text(json.dumps(SST2[0]))
    (tmp_path / "data" / "other").mkdir()
    assert [task.name for task in available_tasks(folder)] == ["sst2", "stsb"]


@pytest.mark.parametrize("data", ["demo", "glue"])
def test_the_demo_and_the_hub_have_all_tasks(data: str):
    assert available_tasks(data) == list(GLUE.values())


@pytest.mark.parametrize("name", GLUE)
def test_every_task_of_the_demo_passes_the_checks(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(data_module.demo, "demo_task", lambda task, split: demo_task(task, split, 60))
    loaded = load_task(GLUE[name], "demo")
    assert loaded.train == demo_task(name, "train", 60)
    assert loaded.validation == demo_task(name, "validation", 60)


@pytest.mark.parametrize("label", [2, -1, 0.5, True, "1", None, float("nan"), float("inf")])
def test_a_label_outside_the_codes_is_refused_with_them(write_task: Writer, label: object):
    folder = write_task("sst2", [*SST2, {"sentence": "x", "label": label}], SST2)
    message = r"train\.jsonl: row 4: label of sst2 must be one of 0 \(negative\), 1 \(positive\), got "
    with pytest.raises(InputError, match=message):
        load_task(GLUE["sst2"], folder)


def test_three_labels_have_three_codes(write_task: Writer):
    folder = write_task("mnli", MNLI, [{**MNLI[0], "label": 3}], validation_name="validation_matched")
    message = r"validation_matched\.jsonl: row 1: .*0 \(entailment\), 1 \(neutral\), 2 \(contradiction\), got 3"
    with pytest.raises(InputError, match=message):
        load_task(GLUE["mnli"], folder)


@pytest.mark.parametrize("label", [5.01, -0.1, float("nan"), float("-inf"), True, "3", None])
def test_a_similarity_outside_its_scale_is_refused(write_task: Writer, label: object):
    folder = write_task("stsb", STSB, [{**STSB[0], "label": label}])
    message = r"validation\.jsonl: row 1: label of stsb must be a number from 0 to 5, got "
    with pytest.raises(InputError, match=message):
        load_task(GLUE["stsb"], folder)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("field", ["sentence", "label"])
def test_a_missing_column_is_named_with_those_there_are(write_task: Writer, suffix: str, field: str):
    rows = [{"text" if key == field else key: value for key, value in row.items()} for row in SST2]
    there = "text, label" if field == "sentence" else "sentence, text"
    with pytest.raises(InputError, match=f"train{suffix}: row 1 has no '{field}'; it has {there}"):
        load_task(GLUE["sst2"], write_task("sst2", rows, SST2, suffix))


@pytest.mark.parametrize("text", [3, None, ["a"]])
def test_a_text_that_is_none_is_refused(write_task: Writer, text: object):
    folder = write_task("sst2", [SST2[0], {"sentence": text, "label": 1}], SST2)
    with pytest.raises(InputError, match=r"train\.jsonl: row 2: sentence must be text, got "):
        load_task(GLUE["sst2"], folder)


def test_a_missing_value_of_a_parquet_file_is_refused(write_task: Writer):
    folder = write_task("sst2", [SST2[0], {"sentence": None, "label": 1}], SST2, ".parquet")
    with pytest.raises(InputError, match=r"train\.parquet: row 2: sentence must be text"):
        load_task(GLUE["sst2"], folder)


@pytest.mark.parametrize("text", ["", " \t"])
def test_a_row_without_any_text_is_refused_with_its_number(write_task: Writer, text: str):
    folder = write_task("sst2", [*SST2, {"sentence": text, "label": 1}], SST2)
    with pytest.raises(
        InputError, match=r"train\.jsonl: row 4 must have a text in sentence, is empty. Leave the row out"
    ):
        load_task(GLUE["sst2"], folder)
    folder = write_task("stsb", STSB, [*STSB, {"sentence1": text, "sentence2": text, "label": 1.0}])
    with pytest.raises(
        InputError, match=r"validation\.jsonl: row 4 must have a text in sentence1 or sentence2, is empty"
    ):
        load_task(GLUE["stsb"], folder)


def test_half_a_surrogate_pair_is_no_text(write_task: Writer):
    folder = write_task("sst2", [{"sentence": "x \ud800", "label": 1}], SST2)
    with pytest.raises(InputError, match=r"train\.jsonl: row 1: sentence must be text, got 'x \\ud800'"):
        load_task(GLUE["sst2"], folder)


@pytest.mark.parametrize("line", ['{"sentence": "x', "[1]", "3", "null"])
def test_a_broken_line_is_refused_with_its_number(write_task: Writer, line: str):
    content = f"{json.dumps(SST2[0])}\n\n{line}\n".encode()
    with pytest.raises(InputError, match=r"train\.jsonl: line 3 must be a JSON object") as caught:
        load_task(GLUE["sst2"], write_task("sst2", content, SST2))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "content"), [(".jsonl", b""), (".jsonl", b"\n \n"), (".csv", b"sentence,label\n"), (".csv", b"")]
)
def test_an_empty_file_is_refused(write_task: Writer, suffix: str, content: bytes):
    with pytest.raises(InputError, match=f"train{suffix}: must hold at least one row, holds none"):
        load_task(GLUE["sst2"], write_task("sst2", content, SST2, suffix))


@pytest.mark.parametrize(
    ("suffix", "text"), [(".jsonl", '{"sentence": "é", "label": 1}'), (".csv", "sentence,label\né,1\n")]
)
def test_what_is_not_utf8_is_refused(write_task: Writer, suffix: str, text: str):
    with pytest.raises(InputError, match=f"train{suffix}: line .*: must be UTF-8 text, is not. Convert it first"):
        load_task(GLUE["sst2"], write_task("sst2", text.encode("latin-1"), SST2, suffix))


def test_a_ragged_csv_is_refused(write_task: Writer):
    content = b"sentence,label\na,1\nb,1,2,3\n"
    with pytest.raises(InputError, match=r"train\.csv: line 3 must have 2 cells as the header has, has 4"):
        load_task(GLUE["sst2"], write_task("sst2", content, SST2, ".csv"))


def test_a_csv_with_a_comma_too_many_in_every_row_is_refused(write_task: Writer):
    content = b"sentence,label\nthe cat, it ran,1\nthe dog, it ran,0\n"
    with pytest.raises(InputError, match=r"train\.csv: line 2 must have 2 cells .*Quote texts that hold ','"):
        load_task(GLUE["sst2"], write_task("sst2", content, SST2, ".csv"))


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_broken_parquet_file_is_refused(write_task: Writer, content: bytes):
    with pytest.raises(InputError, match=r"train\.parquet: must be a whole \.parquet file, is not "):
        load_task(GLUE["sst2"], write_task("sst2", content, SST2, ".parquet"))


def test_a_label_beyond_every_float_is_refused(write_task: Writer):
    content = b'{"sentence": "x", "label": 1' + b"0" * 400 + b"}"
    with pytest.raises(InputError, match="label of sst2"):
        load_task(GLUE["sst2"], write_task("sst2", content, SST2))


def test_a_folder_without_tasks_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="must hold a folder for at least one of cola, .*; it holds none"):
        available_tasks(str(tmp_path))


def test_an_absent_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="must be 'demo', 'glue' or a folder, got '.*absent', which does not exist"):
        available_tasks(str(tmp_path / "absent"))


def test_an_absent_task_of_a_folder_is_refused(write_task: Writer):
    with pytest.raises(InputError, match="cola: must hold train as .jsonl or .csv or .*, does not"):
        load_task(GLUE["cola"], write_task("sst2", SST2, SST2))


TEST: Rows = [
    {"sentence": "known", "label": 1},
    {"sentence": "hidden", "label": -1},
    {"sentence": "null", "label": None},
    {"sentence": "absent"},
]


def test_test_rows_are_read_where_asked_for_and_may_lack_labels(write_task: Writer):
    folder = write_task("sst2", SST2, SST2)
    assert load_task(GLUE["sst2"], folder, with_test=True).test is None
    write_task("sst2", SST2, TEST, validation_name="test")
    assert load_task(GLUE["sst2"], folder).test is None
    assert load_task(GLUE["sst2"], folder, with_test=True).test == [
        TEST[0],
        *({"sentence": text} for text in ("hidden", "null", "absent")),
    ]


def test_test_rows_may_have_the_name_of_the_hub(write_task: Writer):
    folder = write_task("mnli", MNLI, MNLI)
    write_task("mnli", MNLI, MNLI[:2], validation_name="test")
    write_task("mnli", MNLI, [{**MNLI[0], "label": -1}], validation_name="test_matched")
    assert load_task(GLUE["mnli"], folder, with_test=True).test == [{"premise": "a", "hypothesis": "b"}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sentence": "x", "label": 2}, "label of sst2 must be one of 0"),
        ({"sentence": "", "label": 1}, "must have a text in sentence"),
    ],
)
def test_test_rows_are_checked_too(write_task: Writer, row: dict[str, Any], message: str):
    folder = write_task("sst2", SST2, SST2)
    write_task("sst2", SST2, [SST2[0], row], validation_name="test")
    with pytest.raises(InputError, match=rf"test\.jsonl: row 2:? {message}"):
        load_task(GLUE["sst2"], folder, with_test=True)


@pytest.mark.parametrize("with_test", [False, True])
def test_without_validation_rows_a_tenth_of_training_is_drawn(write_task: Writer, with_test: bool):
    rows = [{"sentence": f"row {number}", "label": number % 2} for number in range(100)]
    folder = write_task("sst2", rows, TEST, validation_name="test")
    assert available_tasks(folder) == [GLUE["sst2"]]
    first = load_task(GLUE["sst2"], folder, with_test=with_test)
    assert (len(first.train), len(first.validation), len(first.test or ())) == (90, 10, 4 * with_test)
    assert sorted(row["label"] for row in first.validation) == [0] * 5 + [1] * 5
    assert sorted([*first.train, *first.validation], key=rows.index) == rows
    assert load_task(GLUE["sst2"], folder, with_test=with_test) == first
    assert load_task(GLUE["sst2"], folder, seed=1).validation != first.validation
    write_task("sst2", rows[:49], TEST, validation_name="test")
    with pytest.raises(InputError, match=r"train\.jsonl: must have at least 50 different texts .* has 49"):
        load_task(GLUE["sst2"], folder)


def test_nothing_is_drawn_where_a_file_seems_to_hold_validation_rows(write_task: Writer):
    write_task("sst2", SST2, TEST, validation_name="test")
    folder = write_task("sst2", SST2, SST2, validation_name="dev")
    with pytest.raises(InputError, match="sst2: must have its validation rows under the name validation, has dev"):
        load_task(GLUE["sst2"], folder)


def test_a_task_may_be_a_saved_data_set(tmp_path: Path):
    parts = {"train": MNLI, "validation_matched": MNLI[:2], "test_matched": MNLI[:1]}
    saved = datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name, rows in parts.items()})
    saved.save_to_disk(tmp_path / "mnli")
    assert available_tasks(str(tmp_path)) == [GLUE["mnli"]]
    loaded = load_task(GLUE["mnli"], str(tmp_path), with_test=True)
    assert (loaded.train, loaded.validation, loaded.test) == (MNLI, MNLI[:2], MNLI[:1])


@pytest.fixture
def hub_in_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "dataset_info", lambda name, timeout: SimpleNamespace(sha="0"))


@pytest.mark.usefixtures("hub_in_reach")
def test_the_hub_is_asked_for_the_split_that_is_scored(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def load_dataset(name: str, task: str, split: str) -> list[dict[str, Any]]:
        asked.append((name, task, split))
        return MNLI if split == "train" else MNLI[:2]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    loaded = load_task(GLUE["mnli"], "glue")
    assert asked == [("nyu-mll/glue", "mnli", "train"), ("nyu-mll/glue", "mnli", "validation_matched")]
    assert (loaded.train, loaded.validation, loaded.test) == (MNLI, MNLI[:2], None)
    assert load_task(GLUE["mnli"], "glue", with_test=True).test == MNLI[:2]
    assert asked[-1] == ("nyu-mll/glue", "mnli", "test_matched")


@pytest.mark.usefixtures("hub_in_reach")
def test_a_row_of_the_hub_without_a_label_is_refused(monkeypatch: pytest.MonkeyPatch):
    # The hidden labels of the test splits are −1.
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, split: [{**MNLI[0], "label": -1}])
    with pytest.raises(InputError, match="^nyu-mll/glue:mnli@train: row 1: label of mnli must be one of .*got -1"):
        load_task(GLUE["mnli"], "glue")


def fail_with(error: Exception) -> Callable[..., Any]:
    def load_dataset(*_: object, **__: object) -> None:
        raise error

    return load_dataset


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach the hub\nsecond line"),
        OSError("Couldn't reach the hub"),
        TimeoutError("Couldn't reach the hub"),
        ValueError("Couldn't reach the hub"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.usefixtures("hub_in_reach")
def test_a_hub_out_of_reach_is_told_in_one_line_with_the_way_out(monkeypatch: pytest.MonkeyPatch, error: Exception):
    monkeypatch.setattr(datasets, "load_dataset", fail_with(error))
    message = (
        r"^nyu-mll/glue:cola@train: the hub data set cannot be read \(Couldn't reach the hub\)\. "
        "Check name and network, or give a file or folder that exists"
    )
    with pytest.raises(InputError, match=message) as caught:
        load_task(GLUE["cola"], "glue")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("hub_in_reach")
def test_a_hub_that_fails_without_a_word_is_told_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets, "load_dataset", fail_with(ConnectionError()))
    with pytest.raises(InputError, match=r"cola@train: the hub data set cannot be read \(ConnectionError\)"):
        load_task(GLUE["cola"], "glue")


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
def test_the_real_tasks_load_and_sst2_and_rte_are_absent():
    tasks = available_tasks(str(DATA))
    assert set(GLUE) - {task.name for task in tasks} == {"sst2", "rte"}
    for task in tasks:
        loaded = load_task(task, str(DATA))
        assert (len(loaded.train), len(loaded.validation)) == REAL[task.name]
        if task.labels:
            assert {row["label"] for row in loaded.validation} == set(range(len(task.labels)))
