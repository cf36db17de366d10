import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from boshnas.errors import InputError
from boshnas.table_file import MAX_BYTES, read_table, shipped_names, shipped_table

RECORDS = [{"op": "conv", "width": 128, "acc": 0.5}, {"op": None, "width": 256, "acc": 0.75}]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_cells_of_delimited_text_stay_as_they_stand(tmp_path: Path):
    path = write(tmp_path, "t.csv", '\ufeffcode,op,acc\n0121,none,0.5\n0012,"a, ""b""",\n')
    frame = read_table(path)
    assert frame.columns.tolist() == ["code", "op", "acc"]
    assert frame.to_numpy().tolist() == [["0121", "none", "0.5"], ["0012", 'a, "b"', ""]]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.CSV", "t.csv.gz", "t.tsv.gz"])
def test_delimited_files_are_read_by_their_ending(tmp_path: Path, name: str):
    separator = "\t" if "tsv" in name else ","
    content = f"op{separator}acc\nconv{separator}1\n\nskip{separator}2\n".encode()
    path = write(tmp_path, name, gzip.compress(content) if name.endswith(".gz") else content)
    assert read_table(path).to_numpy().tolist() == [["conv", "1"], ["skip", "2"]]


@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.jsonl.gz"])
def test_json_files_hold_one_object_a_row(tmp_path: Path, name: str):
    text = "\n".join(map(json.dumps, RECORDS)) + "\n\n" if "jsonl" in name else json.dumps(RECORDS)
    frame = read_table(write(tmp_path, name, gzip.compress(text.encode()) if name.endswith(".gz") else text))
    assert frame["width"].tolist() == [128, 256]
    assert frame["acc"].tolist() == [0.5, 0.75]
    assert frame["op"].isna().tolist() == [False, True]


def test_parquet_keeps_its_index_as_a_column(tmp_path: Path):
    frame = pd.DataFrame({"acc": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="arch"))
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["arch"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.xlsx", "a", r"t\.xlsx: a table's name must end in \.csv, .* or \.parquet, got '\.xlsx'"),
        ("table", "a", r"table: a table's name must end in"),
        ("t.parquet.gz", "a", r"must end in"),
        ("t.csv", "", r"t\.csv: a table must have a header and rows, got an empty file"),
        ("t.jsonl", " \n", r"got an empty file"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", r"t\.csv: line 3 must have 2 fields as the header has, got 3"),
        ("t.csv", 'a,b\n"1\n2",3\n4\n', r"line 4 must have 2 fields as the header has, got 1"),
        ("t.csv", 'a,b\n"1,2\n', r"line 2 must be well formed, got unexpected end of data"),
        ("t.csv", "a,b,a\n1,2,3\n", r"t\.csv: column names must be distinct, got 'a' twice"),
        ("t.csv", "a;b\n1;2\n", r"fields must be separated by ',', got the header 'a;b'"),
        ("t.csv", b"a,b\n1,2\n\xe9,3\n", r"text must be UTF-8, got byte 0xe9 at position 8 \(line 3\)"),
        ("t.csv.gz", "a,b\n", r"t\.csv\.gz: a table must be readable, got"),
        ("t.json", "[1, 2", r"t\.json: must be JSON, got"),
        ("t.json", '[{"a": 1}, 2]', r"row 1 must be an object, got '2'"),
        ("t.json", '{"a": [1, 2]}', r"must be a list of objects"),
        ("t.json", "[]", r"must be a list of objects, got '\[\]'"),
        ("t.json", '[{"a": 1, "a": 2}]', r"must be JSON, got one name twice among a, a"),
        ("t.jsonl", '{"a": 1}\n{"a": }\n', r"t\.jsonl: line 2: must be JSON, got"),
        ("t.parquet", "a", r"t\.parquet: must be a Parquet file, got '.* \w+ …'\. Write it anew"),
        (
            "t.json",
            '{"architecture": "a", "operations": ["convolution"]}',
            r"got \"{'architecture': 'a', 'operations': …\"",
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, name: str, content: str | bytes, expected: str):
    with pytest.raises(InputError, match=expected):
        read_table(write(tmp_path, name, content))


def test_what_is_no_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"must be a file, got a directory"):
        read_table(tmp_path)
    with pytest.raises(InputError, match=r"--table must be a file or one of nas_bench_bert, got 'nas_bench_brt'. Did"):
        read_table("nas_bench_brt")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path):
    with (tmp_path / "t.csv").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match=r"must have at most 1,000,000,000 bytes, got 1,000,000,001"):
        read_table(tmp_path / "t.csv")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("boshnas.table_file.MAX_BYTES", 100)
    path = write(tmp_path, "t.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 30))
    with pytest.raises(InputError, match=r"at most 100 bytes unpacked"):
        read_table(path)


def test_every_shipped_table_holds_what_it_declares():
    assert shipped_names() == ["nas_bench_bert"]
    shipped = shipped_table("nas_bench_bert")
    frame = read_table(shipped.path)
    assert len(frame) == 500
    assert {shipped.objective, shipped.id, *shipped.features} <= set(frame.columns)
    assert "CC BY 4.0" in (shipped.path.parent / "ATTRIBUTION.md").read_text()
