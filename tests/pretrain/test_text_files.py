"""Files of documents: each kind, each compression, bounded pieces, and every refusal with file, line and way out."""

import csv
import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from design_space.errors import InputError
from pretrain import columns, text_files
from pretrain.text_files import file_kind, read_file

DOCUMENTS = ["one two", "thrée, fóur", 'a "quoted"\nline', "東京 🙂"]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}


def table_text(delimiter: str, documents: list[str] = DOCUMENTS, column: str = "text") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["id", column, "more"])
    writer.writerows([number, document, "x"] for number, document in enumerate(documents))
    return out.getvalue()


def jsonl_text(documents: list[str] = DOCUMENTS, column: str = "text") -> str:
    return "".join(json.dumps({"id": 1, column: document}) + "\n" for document in documents)


TEXTS = {
    ".txt": "\n".join(document.replace("\n", " ") for document in DOCUMENTS),
    ".jsonl": jsonl_text(),
    ".csv": table_text(","),
    ".tsv": table_text("\t"),
}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("kind", TEXTS)
def test_every_kind_gives_its_documents_also_compressed(tmp_path: Path, kind: str, compression: str):
    path = write(tmp_path, f"a{kind}{compression}", COMPRESS[compression](TEXTS[kind].encode()))
    expected = [text.replace("\n", " ") for text in DOCUMENTS] if kind == ".txt" else DOCUMENTS
    assert list(read_file(path)) == expected


def test_parquet_gives_its_column_over_several_row_groups(tmp_path: Path):
    documents = [f"document {number}" for number in range(1_000)]
    pq.write_table(pa.table({"id": range(1_000), "text": documents}), tmp_path / "a.parquet", row_group_size=130)
    assert list(read_file(tmp_path / "a.parquet")) == documents


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_every_kind_of_arrow_text_is_text(tmp_path: Path, kind: pa.DataType):
    pq.write_table(pa.table({"text": pa.array(["a", "b", "a"], kind)}), tmp_path / "a.parquet")
    assert list(read_file(tmp_path / "a.parquet")) == ["a", "b", "a"]


@pytest.mark.parametrize("compression", [".gz", ".zst"])
def test_compressed_streams_one_after_the_other_are_one(tmp_path: Path, compression: str):
    parts = [COMPRESS[compression](text.encode()) for text in ("a\nb", "c\nd\n")]
    assert list(read_file(write(tmp_path, f"a.txt{compression}", b"".join(parts)))) == ["a", "bc", "d"]


def test_txt_is_one_document_a_line_without_empty_ones(tmp_path: Path):
    path = write(tmp_path, "a.txt", "\ufeff  one two \r\n\n   \nthrée\rfour")
    assert list(read_file(path)) == ["one two", "thrée", "four"]


def test_jsonl_gives_the_field_text(tmp_path: Path):
    lines = [json.dumps({"text": "a\nb", "id": 1}), "", json.dumps({"text": "  "}), json.dumps({"text": " c "})]
    assert list(read_file(write(tmp_path, "a.jsonl", "\n".join(lines)))) == ["a\nb", "c"]


@pytest.mark.parametrize("kind", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_another_column_can_be_named(tmp_path: Path, kind: str):
    if kind == ".parquet":
        pq.write_table(pa.table({"text": ["no"], "body": ["yes"]}), tmp_path / "a.parquet")
    else:
        rows = {".jsonl": '{"text": "no", "body": "yes"}', ".csv": "text,body\nno,yes", ".tsv": "text\tbody\nno\tyes"}
        write(tmp_path, f"a{kind}", rows[kind])
    assert list(read_file(tmp_path / f"a{kind}", "body")) == ["yes"]


def test_a_csv_cell_may_be_long_and_hold_lines_and_delimiters(tmp_path: Path):
    document = "x" * 200_000 + ',\n\n"y"'
    assert list(read_file(write(tmp_path, "a.csv", table_text(",", [document, "b"])))) == [document, "b"]


def test_a_text_longer_than_the_limit_becomes_several_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for module in (columns, text_files):
        monkeypatch.setattr(module, "MAX_DOCUMENT_CHARS", 10)
    expected = ["abcdefghij", "klmnopqrst", "uvw", "xyz"]
    assert list(read_file(write(tmp_path, "a.txt", "abcdefghijklmnopqrstuvw\nxyz\n"))) == expected
    path = write(tmp_path, "a.jsonl", jsonl_text(["abcdefghijklmnopqrstuvw", "xyz"]))
    assert list(read_file(path)) == expected


def test_only_as_much_is_read_as_is_asked_for(tmp_path: Path):
    path = write(tmp_path, "a.txt", b"good\n" * 100_000 + b"\xff\n")
    documents = read_file(path)
    assert [next(documents) for _ in range(1_000)] == ["good"] * 1_000


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", ".txt"),
        ("a.b.jsonl.zst", ".jsonl"),
        ("a.tsv.gz", ".tsv"),
        ("a.parquet", ".parquet"),
        ("a.parquet.gz", None),
        ("a.gz", None),
        ("a", None),
        ("a.txt.bz2", None),
        ("a.TXT", None),
    ],
)
def test_the_name_says_the_kind(name: str, kind: str | None):
    assert file_kind(Path(name)) == kind


# Refusals


def refused(path: Path, message: str, column: str = "text") -> None:
    with pytest.raises(InputError, match=message) as caught:
        list(read_file(path, column))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [*((name, b"") for name in ("a.txt", "a.jsonl", "a.csv", "a.tsv")), ("a.txt", b"\n \n\n"), ("a.jsonl", b"\n \n\n")],
)
@pytest.mark.parametrize("compression", COMPRESS)
def test_refuses_a_file_without_documents(tmp_path: Path, name: str, compression: str, content: bytes):
    path = write(tmp_path, f"{name}{compression}", COMPRESS[compression](content))
    refused(path, r"must hold at least one document, is empty\. Leave it out\.")


def test_refuses_a_table_with_a_head_and_no_row(tmp_path: Path):
    refused(write(tmp_path, "a.csv", "text,id\n"), "must hold at least one document, is empty")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "must hold at least one document, is empty")


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("compression", COMPRESS)
def test_refuses_another_encoding_with_line_and_byte(tmp_path: Path, name: str, compression: str):
    content = '{"text": "a"}\n{"text": "é"}\n'.encode("latin-1")
    path = write(tmp_path, f"{name}{compression}", COMPRESS[compression](content))
    refused(path, r": line 2, byte 11: must be UTF-8 text, is not\. Convert it first\.")


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("content", [b"GIF89a\0\1\2\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"ok\n\0"])
def test_refuses_a_binary_file(tmp_path: Path, name: str, content: bytes):
    message = r"must be (text, is binary\. Give text files|UTF-8 text, is not|a JSON object)|must have the column"
    refused(write(tmp_path, name, content), message)


def test_refuses_utf_16_as_no_utf_8(tmp_path: Path):
    refused(write(tmp_path, "a.txt", "some text\n".encode("utf-16")), "line 1.*must be")


@pytest.mark.parametrize("line", ['{"text": "b"', '{"txt": "b"}', '["text"]', '"text"', "7", "[" * 100_000])
def test_refuses_a_broken_line_with_its_number(tmp_path: Path, line: str):
    path = write(tmp_path, "a.jsonl", f'{{"text": "a"}}\n\n{line}\n')
    refused(path, r"a\.jsonl: line 3 must be a JSON object with the field 'text'[.,]")


@pytest.mark.parametrize("value", ["null", "5", '["a"]', '"\\ud800"'])
def test_refuses_a_field_that_is_not_text(tmp_path: Path, value: str):
    refused(write(tmp_path, "a.jsonl", f'{{"text": {value}}}\n'), "line 1: 'text' must be text, (got|has)")


@pytest.mark.parametrize(("values", "row"), [(["a", None], 2), ([7, 8], 1), ([["a"]], 1)])
def test_refuses_a_cell_that_is_not_text(tmp_path: Path, values: list[object], row: int):
    pq.write_table(pa.table({"text": values}), tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", f": row {row}: 'text' must be text, got ")


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_refuses_a_missing_column_with_the_nearest(tmp_path: Path, kind: str):
    path = tmp_path / f"a{kind}"
    if kind == ".parquet":
        pq.write_table(pa.table({"label": [1], "texts": ["a"]}), path)
    else:
        delimiter = "," if kind == ".csv" else "\t"
        path.write_text(jsonl_text(column="texts") if kind == ".jsonl" else table_text(delimiter, column="texts"))
    refused(path, r"'text'.* Did you mean 'texts'\? Name the one .*: --text_column, or column in a recipe\.$")
    refused(path, r"'zzz'.* Name the one that holds the text: .* in a recipe\.$", "zzz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,text\n1\n", r"line 2: must have a cell for 'text', has 1 cells\. Mend the line"),
        ('text,id\n"a" b,1\n', r"line 2: must be ','-separated cells \("),
        ('text,id\na,1\n"never ends\n', r"line 3: must be ','-separated cells \("),
    ],
)
def test_refuses_a_broken_row_with_its_line(tmp_path: Path, text: str, message: str):
    refused(write(tmp_path, "a.csv", text), message)


@pytest.mark.parametrize("compression", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "tail", "other"])
def test_refuses_a_damaged_compressed_file(tmp_path: Path, compression: str, damage: str):
    content = COMPRESS[compression](b"".join(b"line %d\n" % number for number in range(20_000)))
    broken = {"cut": content[: len(content) // 2], "tail": content[:-3], "other": b"plain text, renamed\n" * 20}
    path = write(tmp_path, f"a.txt{compression}", broken[damage])
    refused(path, rf"must be a whole {re.escape(compression)} file, is not \(.+\)\. Copy it again\.$")


@pytest.mark.parametrize("kept", [0.5, 0.99, None])
def test_refuses_a_damaged_parquet(tmp_path: Path, kept: float | None):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"] * 1_000}), path)
    content = path.read_bytes()
    path.write_bytes(b"text\n" * 100 if kept is None else content[: int(kept * len(content))])
    refused(path, r"must be a whole \.parquet file, is not \(.+\)\. Copy it again\.$")


def test_refuses_a_parquet_with_damaged_pages(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"document {number}" for number in range(5_000)]}), path)
    content = bytearray(path.read_bytes())
    content[20 : len(content) // 2] = b"\x00\xff" * ((len(content) // 2 - 20 + 1) // 2)
    path.write_bytes(content)
    refused(path, "must be a whole .parquet file, is not")


def test_refuses_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_files, "MAX_ROW_CHARS", 20)
    path = write(tmp_path, "a.jsonl", '{"text": "a"}\n{"text": "0123456789"}\n')
    refused(path, r"line 2 must have less than 20 characters\. Break the line")
