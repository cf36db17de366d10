"""The rows of a submission: where they are, that they are those of the site, and everything that is refused."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pandas as pd
import pytest

from design_space.errors import InputError
from finetune.submission.files import FILES
from finetune.submission.rows import find_test_tables, read_test_rows
from finetune.tasks import GLUE
from pretrain import hub

COLA = [{"sentence": text} for text in ("one .", "NA", "3", "four .")]
MNLI = [{"premise": f"p {number}", "hypothesis": f"h {number}"} for number in range(4)]
COLA_AND_MNLI = (GLUE["cola"], GLUE["mnli"])


@pytest.fixture(autouse=True)
def four_rows_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, file in FILES.items():
        monkeypatch.setitem(FILES, name, replace(file, num_rows=4))


def write(folder: Path, place: str, rows: Iterable[dict[str, Any]]) -> Path:
    """One JSON line a row, at such a place as "mnli/test_matched"."""
    path = folder / f"{place}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(folder: Path, name: str) -> list[Any]:
    table = find_test_tables([GLUE[FILES[name].task]], str(folder))[name]
    return read_test_rows(name, table)


def test_mnli_has_three_files_the_diagnostic_set_among_them(tmp_path: Path):
    for place in ("cola/test", "mnli/test_matched", "mnli/test_mismatched", "ax/test", "rte/test"):
        write(tmp_path, place, MNLI)
    tables = find_test_tables(COLA_AND_MNLI, str(tmp_path))
    places = {name: str(Path(table.where).relative_to(tmp_path)) for name, table in tables.items()}
    assert places == {
        "CoLA": "cola/test.jsonl",
        "MNLI-m": "mnli/test_matched.jsonl",
        "MNLI-mm": "mnli/test_mismatched.jsonl",
        "AX": "ax/test.jsonl",
    }


def test_a_folder_may_lack_the_diagnostic_set_alone(tmp_path: Path):
    write(tmp_path, "mnli/test_matched", MNLI)
    write(tmp_path, "mnli/test_mismatched", MNLI)
    assert list(find_test_tables([GLUE["mnli"]], str(tmp_path))) == ["MNLI-m", "MNLI-mm"]
    write(tmp_path, "ax/train", MNLI)
    assert list(find_test_tables([GLUE["mnli"]], str(tmp_path))) == ["MNLI-m", "MNLI-mm"]


def test_the_diagnostic_set_may_be_saved_without_a_split(tmp_path: Path):
    write(tmp_path, "mnli/test_matched", MNLI)
    write(tmp_path, "mnli/test_mismatched", MNLI)
    datasets.Dataset.from_list([{**row, "idx": number} for number, row in enumerate(MNLI)]).save_to_disk(
        str(tmp_path / "ax")
    )
    assert read(tmp_path, "AX") == MNLI


def test_every_absent_split_is_named_with_the_way_out(tmp_path: Path):
    write(tmp_path, "cola/train", COLA)
    write(tmp_path, "mnli/test_matched", MNLI)
    message = (
        rf"^--submission: needs {tmp_path}/cola/test, {tmp_path}/mnli/test_mismatched as \.jsonl or \.csv or .*, "
        r"not there\. Add them, leave cola, mnli out of --tasks, or leave --submission out\.$"
    )
    with pytest.raises(InputError, match=message):
        find_test_tables(COLA_AND_MNLI, str(tmp_path))


def test_the_demo_is_refused():
    with pytest.raises(InputError, match="^--submission: needs the test rows of GLUE, the demo has none. Give --data"):
        find_test_tables([GLUE["cola"]], "demo")


def test_the_hub_is_asked_for_the_splits_of_the_site(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def load_dataset(*name_and_config: str, split: str) -> list[dict[str, Any]]:
        asked.append((*name_and_config, split))
        return [{**row, "label": -1, "idx": number} for number, row in enumerate(MNLI)]

    monkeypatch.setattr(hub, "dataset_info", lambda name, timeout: SimpleNamespace(sha="0"))
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    tables = find_test_tables([GLUE["mnli"]], "glue")
    assert asked == []  # nothing is read before the rows are
    assert [read_test_rows(name, table) for name, table in tables.items()] == [MNLI] * 3
    assert asked == [
        ("nyu-mll/glue", "mnli", "test_matched"),
        ("nyu-mll/glue", "mnli", "test_mismatched"),
        ("nyu-mll/glue", "ax", "test"),
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".tsv"])
def test_rows_keep_their_order_and_lose_all_but_their_texts(tmp_path: Path, suffix: str):
    table = pd.DataFrame({"idx": range(4), "sentence": [row["sentence"] for row in COLA], "label": -1})
    (tmp_path / "cola").mkdir()
    path = tmp_path / "cola" / f"test{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep={".csv": ",", ".tsv": "\t"}[suffix], index=False)
    assert read(tmp_path, "CoLA") == COLA


def test_labels_are_not_looked_at(tmp_path: Path):
    labels: list[Any] = [-1, None, 1, "?"]
    write(tmp_path, "cola/test", [{**row, "label": label} for row, label in zip(COLA, labels, strict=True)])
    assert read(tmp_path, "CoLA") == COLA


@pytest.mark.parametrize("rows", [COLA[:3], [*COLA, COLA[0]]])
def test_another_number_of_rows_than_the_site_has_is_refused(tmp_path: Path, rows: list[dict[str, Any]]):
    path = write(tmp_path, "cola/test", rows)
    message = rf"^{path}: must hold the 4 test rows of CoLA, holds {len(rows)}\. Give all of them and no others"
    with pytest.raises(InputError, match=message):
        read(tmp_path, "CoLA")


@pytest.mark.parametrize("column", ["idx", "index"])
@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([0, 1, 3, 2], "row 3: {column} must be 2, got 3. Give the rows in the order of the site, or leave"),
        ([1, 2, 3, 4], "row 1: {column} must be 0, got 1"),
        ([0, None, 2, 3], "row 2: {column} must be 1, got None"),
    ],
)
def test_rows_in_another_order_than_the_site_has_them_are_refused(
    tmp_path: Path, column: str, numbers: list[int | None], message: str
):
    path = write(tmp_path, "cola/test", ({**row, column: number} for row, number in zip(COLA, numbers, strict=True)))
    with pytest.raises(InputError, match=rf"^{path}: {message.format(column=column)}"):
        read(tmp_path, "CoLA")


def test_a_row_without_text_is_refused(tmp_path: Path):
    path = write(tmp_path, "cola/test", [*COLA[:3], {"sentence": None}])
    with pytest.raises(InputError, match=f"^{path}: row 4: sentence must be text, got None"):
        read(tmp_path, "CoLA")
