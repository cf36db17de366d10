"""Rows of every kind of source, and every refusal in one line with file, row and way out."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from design_space.errors import InputError
from finetune.rows import files as row_files
from finetune.rows.files import KINDS, find_tables, folder_tables

ROWS: list[dict[str, Any]] = [
    {"text": 'a, "b"\tc\nd é', "label": 1, "score": 0.5},
    {"text": "12", "label": 0, "score": 2.25},
]
DELIMITED = [["text", "label", "score"], *([str(value) for value in row.values()] for row in ROWS)]


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


CONTENT: dict[str, str] = {
    ".jsonl": "".join(json.dumps(row) + "\n\n" for row in ROWS),
    ".json": json.dumps(ROWS, ensure_ascii=False),
    ".csv": "".join(",".join(map(quoted, line)) + "\n" for line in DELIMITED),
    ".tsv": "".join("\t".join(map(quoted, line)) + "\n" for line in DELIMITED),
}


def write(path: Path, content: str | bytes = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet" and not content:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    (table,) = find_tables(str(path), "train").values()
    return [dict(row) for row in table.rows(["text"])]


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        rows_of(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, kind: str):
    rows = rows_of(write(tmp_path / f"a{kind}", CONTENT.get(kind, "")))
    assert rows == ROWS
    assert [type(value) for value in rows[0].values()] == [str, int, float]


@pytest.mark.parametrize("kind", [".jsonl", ".csv", ".tsv"])
def test_lines_may_be_compressed_and_begin_with_a_mark(tmp_path: Path, kind: str):
    content = b"\xef\xbb\xbf" + CONTENT[kind].encode()
    assert rows_of(write(tmp_path / f"a{kind}.gz", gzip.compress(content))) == ROWS


def test_a_json_list_may_begin_with_a_mark(tmp_path: Path):
    assert rows_of(write(tmp_path / "a.json", b"\xef\xbb\xbf" + CONTENT[".json"].encode())) == ROWS


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0),
        ("-17", -17),
        ("3.50", 3.5),
        (".5", 0.5),
        ("2e-3", 0.002),
        *((text, text) for text in ("", " 1", "007", "-", "1_000", "nan", "inf", "1e999", "0x1", "True", "1" * 19)),
    ],
)
def test_a_cell_that_spells_a_number_is_one_unless_its_column_is_text(tmp_path: Path, cell: str, value: object):
    (row,) = rows_of(write(tmp_path / "a.csv", f"text,other\n{quoted(cell)},{quoted(cell)}\n"))
    assert row == {"text": cell, "other": value}
    assert type(row["other"]) is type(value)


def test_a_file_stands_for_the_part_that_it_is_given_as(tmp_path: Path):
    path = write(tmp_path / "anything.jsonl", CONTENT[".jsonl"])
    tables = find_tables(str(path), "validation")
    assert {part: table.where for part, table in tables.items()} == {"validation": str(path)}


def test_a_folder_has_the_parts_that_its_files_are_called(tmp_path: Path):
    write(tmp_path / "train-00000-of-00001.parquet")
    write(tmp_path / "validation_matched.jsonl.gz", gzip.compress(CONTENT[".jsonl"].encode()))
    write(tmp_path / "test.tsv", CONTENT[".tsv"])
    write(tmp_path / "README.md", "no rows")
    (tmp_path / "more.csv").mkdir()
    tables = find_tables(str(tmp_path), "train")
    assert set(tables) == {"train", "validation_matched", "test"}
    assert all(list(table.rows(["text"])) == ROWS for table in tables.values())


def test_of_two_files_of_one_part_the_earlier_kind_is_read(tmp_path: Path):
    for kind in KINDS:
        write(tmp_path / f"train{kind}", CONTENT.get(kind, ""))
    for kind in KINDS:
        assert folder_tables(tmp_path)["train"].where == str(tmp_path / f"train{kind}")
        (tmp_path / f"train{kind}").unlink()
    assert folder_tables(tmp_path) == folder_tables(tmp_path / "absent") == {}


def test_a_saved_data_set_is_one_table_or_its_splits(tmp_path: Path):
    data = datasets.Dataset.from_list(ROWS)
    data.with_format("torch").save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=data, dev=data.select([1])).save_to_disk(tmp_path / "several")
    assert rows_of(tmp_path / "one") == ROWS
    assert list(find_tables(str(tmp_path / "one"), "test")) == ["test"]
    tables = find_tables(str(tmp_path / "several"), "train")
    assert {part: list(table.rows()) for part, table in tables.items()} == {"train": ROWS, "dev": ROWS[1:]}
    assert tables["dev"].where == f"{tmp_path / 'several'}@dev"


@pytest.mark.parametrize("damage", ["cut", "gone", "state", "split"])
def test_a_damaged_saved_data_set_is_refused(tmp_path: Path, damage: str):
    folder = tmp_path / "saved"
    datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS)).save_to_disk(folder)
    (arrow,) = folder.rglob("*.arrow")
    if damage == "cut":
        arrow.write_bytes(arrow.read_bytes()[:100])
    elif damage == "gone":
        arrow.unlink()
    elif damage == "state":
        (folder / "train" / "state.json").write_text("{}")
    else:
        (folder / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    refused(folder, r"must be as datasets\.save_to_disk writes it, is not \(.+\)\. Save it again\.$")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """A hub that has every set with the splits train and test; what was asked of it."""
    asked = []

    def load(hub_set: row_files.HubSet, split: str | None) -> Any:
        asked.append((str(hub_set), split))
        data = datasets.Dataset.from_list(ROWS)
        return data if split else datasets.DatasetDict(train=data, test=data)

    monkeypatch.setattr(row_files, "load_from_hub", load)
    return asked


def test_the_hub_gives_all_splits_or_the_one_that_is_named(hub: list[tuple[str, str | None]]):
    assert set(find_tables("owner/name:config", "train")) == {"train", "test"}
    named = find_tables("owner/name:config@test", "validation")
    assert hub == [("owner/name:config@train", None)]
    assert list(named["validation"].rows()) == ROWS
    assert hub[1:] == [("owner/name:config@test", "test")]


def test_a_folder_goes_before_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: list[tuple[str, str | None]]
):
    write(tmp_path / "owner" / "name" / "train.jsonl", CONTENT[".jsonl"])
    monkeypatch.chdir(tmp_path)
    assert list(find_tables("owner/name", "train")) == ["train"]
    assert hub == []


@pytest.mark.parametrize("source", ["absent", "owner/absent.csv", "/absent/file", "a/b/c"])
def test_what_is_not_there_is_refused_with_what_can_be_given(source: str):
    message = "no such file or folder. Give one, or a data set of the hub as owner/name"
    with pytest.raises(InputError, match=f"^{source}: {message}"):
        find_tables(source, "train")


@pytest.mark.parametrize("name", ["a.txt", "a.arrow", "a.parquet.gz", "a", "a.json.gz"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str):
    refused(write(tmp_path / name, "x"), "must end in .jsonl or .csv or .parquet or .json or .tsv. Convert or rename")


def test_a_folder_without_rows_is_refused(tmp_path: Path):
    write(tmp_path / "a.txt", "x")
    refused(tmp_path, "must hold files that end in .jsonl or .*, holds none. Name the file")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", "\n \n"), ("a.jsonl", ""), ("a.json", "[]"), ("a.csv", "text,label\n"), ("a.csv", ""), ("a.tsv", "")],
)
def test_a_file_without_rows_is_refused(tmp_path: Path, name: str, content: str):
    refused(write(tmp_path / name, content), "must hold at least one row, holds none. Give a file with rows")


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "must hold at least one row")


@pytest.mark.parametrize("kind", CONTENT)
def test_another_encoding_is_refused_with_line_and_byte(tmp_path: Path, kind: str):
    content = b'{"text": "a"}\n{"text": "\xe9"}\n'
    refused(write(tmp_path / f"a{kind}", content), ": line 2, byte 11: must be UTF-8 text, is not. Convert it first")


@pytest.mark.parametrize("kind", [".jsonl", ".csv", ".tsv"])
def test_a_binary_file_is_refused(tmp_path: Path, kind: str):
    refused(write(tmp_path / f"a{kind}", b"GIF89a\0\1\2\n"), "line 1: must be text, is binary")


@pytest.mark.parametrize(("name", "content"), [("a.parquet", b"no parquet"), ("a.jsonl.gz", b"not packed")])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes):
    refused(write(tmp_path / name, content), r"must be a whole \.\w+ file, is not \(.+\)\. Copy it again")


@pytest.mark.parametrize("line", ['{"text": "x', "[1]", "3", "null", "[" * 100_000])
def test_a_line_that_is_no_object_is_refused_with_its_number(tmp_path: Path, line: str):
    path = write(tmp_path / "a.jsonl", f"{json.dumps(ROWS[0])}\n\n{line}\n")
    refused(path, r"line 3 must be a JSON object\. Mend the line")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a"}', r"must be JSON, is not \(.+\)\. Mend it"),
        (CONTENT[".jsonl"], r"must be JSON, is not \(Extra data.+\)\. .*name a file of one object a line \.jsonl"),
        ("[" * 100_000, "must be JSON, is not"),
        ('{"text": "a"}', r"must be a list of objects, got \{'text': 'a'\}\. Give one object a row"),
        ('[{"text": "a"}, 7]', "row 2 must be a JSON object, got 7"),
    ],
)
def test_a_json_file_that_is_no_list_of_objects_is_refused(tmp_path: Path, content: str, message: str):
    refused(write(tmp_path / "a.json", content), message)


@pytest.mark.parametrize(("kind", "separator"), [(".csv", ","), (".tsv", "\t")])
@pytest.mark.parametrize(("cells", "number"), [(["b", "1", "x"], 3), (["b"], 1)])
def test_a_row_of_more_or_fewer_cells_than_the_header_is_refused(
    tmp_path: Path, kind: str, separator: str, cells: list[str], number: int
):
    lines = [["text", "label"], ["a", "0"], cells]
    path = write(tmp_path / f"a{kind}", "\n".join(map(separator.join, lines)))
    message = f"line 3 must have 2 cells as the header has, has {number}. Quote texts that hold {separator!r}"
    refused(path, message.replace("\\", "\\\\"))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.csv",
            "text;label\na, b and c;1\n",
            r"by ',', seems to be by ';'\. Save it with commas, or with tabs as \.tsv",
        ),
        ("a.csv", "text\tlabel\na\t1\n", r"by ',', seems to be by '\\t'"),
        ("a.tsv", "text;label\na;1\n", r"by '\\t', seems to be by ';'"),
        ("a.tsv", "text,label\na,1\n", r"by '\\t', seems to be by ','"),
    ],
)
def test_a_file_with_another_separator_is_refused(tmp_path: Path, name: str, content: str, told: str):
    refused(write(tmp_path / name, content), f"must be separated {told}")


def test_a_file_of_one_column_is_read(tmp_path: Path):
    assert rows_of(write(tmp_path / "a.csv", "text\na; b\n")) == [{"text": "a; b"}]


def test_quotes_within_a_cell_are_refused(tmp_path: Path):
    refused(write(tmp_path / "a.tsv", 'text\tlabel\n"so" he said\t1\n'), r"line 2: must be '\\t'-separated cells \(")


def test_two_columns_of_one_name_are_refused(tmp_path: Path):
    refused(write(tmp_path / "a.csv", "text,label,text\na,1,b\n"), "column names must be distinct, got 'text' twice")


def test_nothing_is_read_before_rows_are_asked_for(tmp_path: Path, hub: list[tuple[str, str | None]]):
    write(tmp_path / "train.jsonl", "broken")
    read: Callable[..., Any] = find_tables(str(tmp_path), "train")["train"].rows
    find_tables("owner/name@train", "train")
    assert hub == []
    with pytest.raises(InputError, match="line 1 must be a JSON object"):
        read()
