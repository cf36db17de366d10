"""Prediction files: names, counts and values as the site has them, and every defect of a folder."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from design_space.errors import InputError
from finetune.submission import files as submission
from finetune.submission.files import FILES, HEADER, check_submission, write_predictions
from finetune.tasks import GLUE

COUNTS = {
    "CoLA": 1_063,
    "SST-2": 1_821,
    "MRPC": 1_725,
    "STS-B": 1_379,
    "QQP": 390_965,
    "MNLI-m": 9_796,
    "MNLI-mm": 9_847,
    "QNLI": 5_463,
    "RTE": 3_000,
    "WNLI": 146,
    "AX": 1_104,
}
THREE_WAY = ("entailment", "neutral", "contradiction")
TWO_WAY = ("entailment", "not_entailment")


def test_the_files_are_the_eleven_of_the_site_with_its_counts():
    assert {name: file.num_rows for name, file in FILES.items()} == COUNTS
    assert [file.file_name for file in FILES.values()] == [f"{name}.tsv" for name in COUNTS]
    assert {file.task for file in FILES.values()} == set(GLUE)
    assert {name for name, file in FILES.items() if file.task == "mnli"} == {"MNLI-m", "MNLI-mm", "AX"}


def test_the_values_are_those_of_the_site():
    by_name = {"MNLI-m": THREE_WAY, "MNLI-mm": THREE_WAY, "AX": THREE_WAY, "QNLI": TWO_WAY, "RTE": TWO_WAY, "STS-B": ()}
    assert {name: file.words for name, file in FILES.items()} == {
        name: by_name.get(name, ("0", "1")) for name in COUNTS
    }


def test_the_splits_are_those_of_the_hub():
    splits = {name: (file.subset, file.split) for name, file in FILES.items()}
    assert splits["MNLI-m"] == ("mnli", "test_matched")
    assert splits["MNLI-mm"] == ("mnli", "test_mismatched")
    assert splits["AX"] == ("ax", "test")
    assert splits["STS-B"] == ("stsb", "test")


def test_a_whole_submission_has_no_defect(tmp_path: Path):
    for name, file in FILES.items():
        write_predictions(tmp_path / "out", name, np.arange(file.num_rows) % max(1, len(file.words)))
    assert check_submission(tmp_path / "out") == []
    assert len(list((tmp_path / "out").iterdir())) == 11


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of four rows."""
    monkeypatch.setattr(submission, "FILES", {name: replace(file, num_rows=4) for name, file in FILES.items()})


@pytest.fixture
def whole(tmp_path: Path, small: None) -> Path:
    """Folder of a submission of four rows a file."""
    for name in FILES:
        write_predictions(tmp_path / "out", name, [0, 1, 1, 0])
    return tmp_path / "out"


@pytest.mark.usefixtures("small")
def test_labels_stand_by_name_or_by_code(tmp_path: Path):
    path = write_predictions(tmp_path, "RTE", [0, 1, 1, 0])
    assert path.read_bytes().decode() == (
        "index\tprediction\n0\tentailment\n1\tnot_entailment\n2\tnot_entailment\n3\tentailment\n"
    )
    path = write_predictions(tmp_path, "AX", np.array([2, 1, 0, 2]))
    assert [line.split("\t")[1] for line in path.read_text().splitlines()[1:]] == [
        "contradiction",
        "neutral",
        "entailment",
        "contradiction",
    ]
    path = write_predictions(tmp_path, "WNLI", np.array([True, False, True, True]))
    assert path.read_text().splitlines() == [HEADER, "0\t1", "1\t0", "2\t1", "3\t1"]


@pytest.mark.usefixtures("small")
def test_similarities_are_cut_to_the_scale_and_have_three_decimals(tmp_path: Path):
    path = write_predictions(tmp_path, "STS-B", np.array([-0.7, 5.0004, 3.14159, 2], dtype=np.float32))
    assert path.read_text().splitlines() == [HEADER, "0\t0.000", "1\t5.000", "2\t3.142", "3\t2.000"]
    path = write_predictions(tmp_path / "b", "STS-B", [-0.0, -0.0001, 4.9999, 1.0])
    assert path.read_text().splitlines()[1:] == ["0\t0.000", "1\t0.000", "2\t5.000", "3\t1.000"]


@pytest.mark.parametrize(
    ("name", "predictions", "message"),
    [
        ("cola", [0] * 4, r"name: must be one of CoLA, .*, got 'cola'\. Did you mean 'CoLA'\?"),
        ("mnli", [0] * 4, r"got 'mnli'\. Did you mean 'MNLI-m'\?"),
        ("squad", [0] * 4, r"got 'squad'\.$"),
        (
            "MNLI-m",
            [0] * 3,
            r"^MNLI-m: predictions must be 4, one a test row, got 3\. Predict the whole of test_matched of",
        ),
        ("CoLA", [0] * 5, r"must be 4, one a test row, got 5\. Predict the whole of test of cola"),
        ("CoLA", [[0, 1]] * 4, r"got shape \(4, 2\)"),
        ("CoLA", [0, 1, 2, 1], r"^CoLA: predictions must be 0 or 1, got 2 in row 2\. Correct it"),
        ("CoLA", [0.0, 0.5, 1.0, 1.0], r"must be 0 or 1, got 0\.5 in row 1"),
        ("MNLI-m", [0, 1, 2, -1], r"must be 0 or 1 or 2, got -1 in row 3"),
        ("STS-B", [1.0, float("nan"), 2.0, 3.0], r"^STS-B: predictions must be finite numbers, got nan in row 1"),
        ("STS-B", [1.0, 2.0, 3.0, float("inf")], r"must be finite numbers, got inf in row 3"),
        ("RTE", ["entailment"] * 4, r"^RTE: predictions must be 0 or 1, got values of type <U10\. Convert them"),
    ],
)
@pytest.mark.usefixtures("small")
def test_predictions_that_cannot_be_are_refused_and_nothing_is_written(
    tmp_path: Path, name: str, predictions: list[float], message: str
):
    with pytest.raises(InputError, match=message):
        write_predictions(tmp_path / "out", name, predictions)
    assert list(tmp_path.iterdir()) == []


def test_the_real_counts_are_asked_for(tmp_path: Path):
    with pytest.raises(InputError, match="^QQP: predictions must be 390,965, one a test row, got 390,964"):
        write_predictions(tmp_path, "QQP", np.zeros(390_964, int))


def test_a_file_that_exists_is_not_written_over(whole: Path):
    before = (whole / "CoLA.tsv").read_bytes()
    with pytest.raises(InputError, match=r"CoLA.tsv: must not exist, does. Remove it, or give another folder"):
        write_predictions(whole, "CoLA", [1, 1, 1, 1])
    assert (whole / "CoLA.tsv").read_bytes() == before


@pytest.mark.usefixtures("small")
def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="CoLA.tsv: cannot be written: File exists. Give another folder"):
        write_predictions(tmp_path / "out", "CoLA", [1, 1, 1, 1])


def test_an_empty_folder_lacks_all_eleven(tmp_path: Path):
    assert check_submission(tmp_path) == [f"{name}.tsv: is missing." for name in COUNTS]


def test_an_absent_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="absent: must be a folder of prediction files, is not"):
        check_submission(tmp_path / "absent")


def test_a_folder_of_four_rows_each_is_whole_where_four_are_asked_for(whole: Path):
    assert check_submission(whole) == []


def test_windows_line_ends_are_taken(whole: Path):
    path = whole / "RTE.tsv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert check_submission(whole) == []


def test_a_file_under_another_name_is_two_defects(whole: Path):
    (whole / "SST-2.tsv").rename(whole / "sst-2.txt")
    (whole / "notes.md").write_text("")
    assert check_submission(whole) == [
        "notes.md: must not be there. Take it out.",
        "sst-2.txt: must not be there. Take it out, or name it SST-2.tsv.",
        "SST-2.tsv: is missing.",
    ]


Change = Callable[[list[str]], list[str]]


@pytest.mark.parametrize(
    ("name", "change", "defects"),
    [
        ("CoLA", lambda lines: ["id\tlabel", *lines[1:]], [r"line 1 must be 'index\tprediction', got 'id\tlabel'."]),
        ("CoLA", lambda lines: lines[1:], [r"line 1 must be 'index\tprediction', got '0\t0'."]),
        (
            "CoLA",
            lambda lines: [],
            [
                r"line 1 must be 'index\tprediction', got ''.",
                "must have 4 rows after the header, has 0: 4 are missing.",
            ],
        ),
        ("CoLA", lambda lines: lines[:-1], ["must have 4 rows after the header, has 3: 1 are missing."]),
        ("CoLA", lambda lines: [*lines, "4\t0"], ["must have 4 rows after the header, has 5: 1 are too many."]),
        (
            "CoLA",
            lambda lines: [*lines, ""],
            [
                "line 6 must be an index, a tab and a prediction, got ''.",
                "must have 4 rows after the header, has 5: 1 are too many.",
            ],
        ),
        (
            "RTE",
            lambda lines: [lines[0], *(f"{index}\tentailment" for index in (1, 2, 3, 4))],
            ["line 2: index must be 0, got '1', and 3 more such lines."],
        ),
        (
            "RTE",
            lambda lines: [*lines[:3], lines[4], lines[3]],
            ["line 4: index must be 2, got '3', and 1 more such lines."],
        ),
        (
            "RTE",
            lambda lines: [*lines[:-1], "3\t1"],
            ["line 5: prediction must be one of entailment, not_entailment, got '1'."],
        ),
        ("MRPC", lambda lines: [*lines[:-1], "3\t2"], ["line 5: prediction must be one of 0, 1, got '2'."]),
        ("MRPC", lambda lines: [*lines[:-1], "3\t1.0"], ["line 5: prediction must be one of 0, 1, got '1.0'."]),
        ("MRPC", lambda lines: [*lines[:-1], "3,1"], ["line 5 must be an index, a tab and a prediction, got '3,1'."]),
        (
            "MRPC",
            lambda lines: [*lines[:-1], "3\t1\t"],
            [r"line 5 must be an index, a tab and a prediction, got '3\t1\t'."],
        ),
        (
            "STS-B",
            lambda lines: [*lines[:-1], "3\t5.001"],
            ["line 5: prediction must be a number in [0, 5], got '5.001'."],
        ),
        ("STS-B", lambda lines: [*lines[:-1], "3\tnan"], ["line 5: prediction must be a number in [0, 5], got 'nan'."]),
        ("STS-B", lambda lines: [*lines[:-1], "3\t-1"], ["line 5: prediction must be a number in [0, 5], got '-1'."]),
        ("STS-B", lambda lines: [*lines[:-1], "3\t2e-05"], []),
    ],
)
def test_each_defect_of_a_file_is_one_line(whole: Path, name: str, change: Change, defects: list[str]):
    path = whole / f"{name}.tsv"
    lines = change(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))
    found = check_submission(whole)
    assert found == [f"{name}.tsv: {defect}" for defect in defects]


def test_a_file_of_other_bytes_and_a_folder_are_told(whole: Path):
    (whole / "QQP.tsv").write_bytes(b"index\tprediction\n\xff")
    (whole / "AX.tsv").unlink()
    (whole / "AX.tsv").mkdir()
    assert check_submission(whole) == [
        "QQP.tsv: must be UTF-8 text, is not.",
        "AX.tsv: cannot be read: Is a directory.",
    ]
