import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from boshnas.columns import Column, Kind, Limit, describe, numbers_of, require_known, select_features, typed
from boshnas.errors import InputError


def column(values: list[Any], dtype: Any = None) -> pd.Series:
    return typed(pd.Series(values, name="x", dtype=dtype))[0]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "2", "30"], Kind.INTEGER, [1, 2, 30]),
        (["1", "", "3"], Kind.INTEGER, [1.0, None, 3.0]),
        (["1.5", "-2e3", ".5"], Kind.REAL, [1.5, -2000.0, 0.5]),
        (["0", "-1", "+0.5"], Kind.REAL, [0.0, -1.0, 0.5]),
        (["0121", "1210"], Kind.CATEGORICAL, ["0121", "1210"]),
        (["none", "None", "NA", "N/A"], Kind.CATEGORICAL, ["none", "None", None, None]),
        (["NaN", "nan", "null", "7"], Kind.INTEGER, [None, None, None, 7.0]),
        (["SDP", "5", ""], Kind.CATEGORICAL, ["SDP", "5", None]),
        (["1_000", "0x10"], Kind.CATEGORICAL, ["1_000", "0x10"]),
        ([True, False], Kind.CATEGORICAL, ["True", "False"]),
        ([True, None], Kind.CATEGORICAL, ["True", None]),
        ([1, None, 3], Kind.INTEGER, [1.0, None, 3.0]),
        ([5, "SDP", 5.0], Kind.CATEGORICAL, ["5", "SDP", "5"]),
        ([Decimal("1.5"), Decimal(2)], Kind.REAL, [1.5, 2.0]),
        ([{"l": 2}, [1, "a"]], Kind.CATEGORICAL, ['{"l": 2}', '[1, "a"]']),
        (["", ""], Kind.INTEGER, [None, None]),
    ],
)
def test_kinds_are_inferred_from_what_stands_there(values: list[Any], kind: Kind, expected: list[Any]):
    read = column(values, object)
    assert [None if pd.isna(value) else value for value in read] == expected
    assert describe(read).kind is kind
    assert describe(read).num_empty == sum(value is None for value in expected)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", "category", "boolean", "datetime64[ns]", "uint64"])
def test_types_of_a_data_frame_become_numbers_or_text(dtype: str):
    values = {"boolean": [True, False], "uint64": [1, 2**63]}.get(dtype, [1, 2])
    read = column(values, dtype)
    assert str(read.dtype) in ("int64", "float64", "object")
    assert not read.isna().any()


def test_an_empty_cell_of_a_nullable_type_is_empty():
    assert np.isnan(column([1, None], "Int64")[1])


def test_numbers_among_text_are_told():
    assert typed(pd.Series(["SDP", "5"]))[1]
    assert not typed(pd.Series(["SDP", "WMA"]))[1]
    assert not typed(pd.Series(["0121", "1210"]))[1]


def test_a_description_counts_levels_and_empty_cells():
    assert str(describe(column(["a", "b", "", "a"]))) == "x: categorical, 2 levels, 1 empty"
    assert str(describe(column(["1", "2", "2"]))) == "x: integer, 2 values"


@pytest.mark.parametrize(
    ("values", "constant", "identifier"),
    [
        (["a", "a"], True, False),
        (["a", ""], False, False),
        (["", ""], True, False),
        (["a", "b", "c"], False, True),
        (["a", "b", ""], False, True),
        (["a", "b", "a"], False, False),
        (["True", "False"], False, False),
        (["1", "2", "3"], False, False),
        ([f"a{number % 257}" for number in range(1000)], False, True),
        ([f"a{number % 256}" for number in range(1000)], False, False),
    ],
)
def test_constants_and_identifiers(values: list[str], constant: bool, identifier: bool):
    described = describe(column(values))
    assert (described.is_constant, described.is_identifier) == (constant, identifier)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x<=2", [True, True, False, False]),
        ("x >= 2", [False, True, True, False]),
        ("x<2.0", [True, False, False, False]),
        ("x>2e0", [False, False, True, False]),
        (" x == 2 ", [False, True, False, False]),
    ],
)
def test_limits_compare_and_never_hold_for_empty_cells(text: str, expected: list[bool]):
    limit = Limit.parse(text, "t.csv")
    assert limit.column == "x"
    assert limit.holds(np.array([1.0, 2.0, 3.0, np.nan])).tolist() == expected


@pytest.mark.parametrize("text", ["x", "x<=", "<=3", "x<=many", "x=3"])
def test_other_limits_are_refused(text: str):
    with pytest.raises(InputError, match=r"t\.csv: constraint must have the form 'params<=5e6', got"):
        Limit.parse(text, "t.csv")


@pytest.mark.parametrize(
    ("values", "got"), [(["1", "high"], "'high' in row 1"), ([1.0, np.inf], "inf in row 1"), (["-inf", "2"], "-inf")]
)
def test_a_column_of_numbers_holds_only_finite_ones(values: list[Any], got: str):
    frame = pd.DataFrame({"acc": column(values, object)})
    with pytest.raises(InputError, match=rf"t\.csv: objective column 'acc' must hold finite numbers, got {got}"):
        numbers_of(frame, "acc", "objective", "t.csv")


def test_an_unknown_column_is_refused_with_the_closest():
    frame = pd.DataFrame({"accuracy": [1], "op": [2]})
    with pytest.raises(
        InputError, match=r"objective must be a column of the table, got 'accuracy_'. Did you mean 'acc"
    ):
        require_known(["accuracy_"], frame, "objective", "t.csv")
    with pytest.raises(InputError, match=r"got 'zzz'. It has accuracy, op\."):
        require_known(["zzz"], frame, "ignore", "t.csv")


FRAME = pd.DataFrame(
    {
        "op": column(["a", "b", "a"]),
        "same": column(["1", "1", "1"]),
        "hash": column(["x1", "x2", "x3"]),
        "bad": column([1.0, np.inf, 2.0]),
    }
)


def test_nothing_is_left_out_in_silence():
    chosen, notes = select_features(FRAME, ["op", "same", "hash"], False, "t.csv")
    assert [feature.name for feature in chosen] == ["op"]
    assert notes == [
        "same: left out, constant",
        "hash: left out, 3 different texts are an identifier: --id hash names the rows by it",
    ]


def test_the_reason_for_leaving_text_out_is_the_true_one():
    frame = pd.DataFrame(
        {
            "code": column([f"c{number // 2}" for number in range(600)]),
            "part": column([*(f"c{number}" for number in range(599)), ""]),
            "op": column(["a", "b"] * 300),
        }
    )
    _, notes = select_features(frame, ["code", "part", "op"], False, "t.csv")
    assert notes == [
        "code: left out, 300 different texts are more than the 256 levels of a category: split it into columns of "
        "fewer",
        "part: left out, 599 different texts are an identifier",
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["op", "hash"],
            r"feature 'hash' must have at most 256 levels and repeat some, got 3 different texts in 3 rows",
        ),
        (["same"], r"features must have a column that is not constant, got none \(same: left out, constant\)"),
        (["bad"], r"feature column 'bad' must hold finite numbers, got inf in row 1"),
    ],
)
def test_named_columns_that_cannot_be_features_are_refused(names: list[str], expected: str):
    with pytest.raises(InputError, match=expected):
        select_features(FRAME, names, True, "t.csv")


def test_ten_thousand_levels_are_refused():
    frame = pd.DataFrame({"code": column([f"c{number // 2}" for number in range(20_000)])})
    with pytest.raises(InputError, match=r"got 10000 different texts in 20000 rows\. Split it into columns"):
        select_features(frame, ["code"], True, "t.csv")


def test_columns_are_plain_values():
    described = describe(column(["1", "2"]))
    assert described == Column(name="x", kind=Kind.INTEGER, num_levels=2, num_empty=0, num_rows=2)
    assert json.dumps(described.kind) == '"integer"'


@pytest.mark.parametrize(("cell", "is_number"), [("\x1c56", False), ("\xa056\u2003", True), (" 56\t", True)])
def test_space_around_a_number_is_what_python_takes_for_it(cell: str, is_number: bool):
    values, _ = typed(pd.Series([cell, "1"]))
    assert (values.dtype != object) == is_number
