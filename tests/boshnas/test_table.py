import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from boshnas.columns import Kind
from boshnas.errors import InputError
from boshnas.table import Table, pooled_std

FRAME = pd.DataFrame(
    {
        "arch": ["a0", "a1", "a2", "a3", "a4", "a5"],
        "op_1": ["conv", "skip", "conv", "pool", "skip", "conv"],
        "width": ["128", "128", "256", "512", "", "128"],
        "params": [1e6, 2e6, 3e6, None, 5e6, 4e6],
        "time": [3.0, 1.0, 2.0, 5.0, 4.0, 3.0],
        "acc": ["0.5", "0.75", "", "0.25", "0.7", "0.6"],
        "std": ["0.01", "", "0.02", "0", "0.1", "0.1"],
    }
)


def table(**options: Any) -> Table:
    return Table(FRAME, **{"objective": "acc", "features": ["op_1", "width"], **options})


def refusal(**options: Any) -> str:
    with pytest.raises(InputError) as caught:
        table(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_ids_are_row_numbers_of_the_file_or_a_column():
    assert table().pool.ids == ["0", "1", "2", "3", "4", "5"]
    assert table(constraints=["params>=2e6"]).pool.ids == ["1", "2", "4", "5"]
    assert table(id="arch").pool.ids[1] == "a1"


def test_ids_stay_as_they_stand_in_the_file(tmp_path: Path):
    (tmp_path / "t.csv").write_text("arch,x,acc\n007,1,1\n08,2,2\n")
    assert Table.read(tmp_path / "t.csv", "acc", id="arch").pool.ids == ["007", "08"]


def test_the_pool_holds_encoded_rows_with_their_groups():
    pool = table().pool
    assert pool.X.shape == (6, 4)
    assert pool.groups == (0, 0, 0, 1)
    assert np.isfinite(pool.X).all()


def test_values_are_in_the_objectives_own_unit_and_utilities_are_to_be_maximised():
    loss = table(minimize=True)
    assert loss.values["1"] == 0.75
    assert math.isnan(loss.values["2"])
    assert loss.utilities(["1", "2"]) == {"1": -0.75, "2": None}
    assert table().utilities(["1"]) == {"1": 0.75}
    assert loss.measured == ["0", "1", "3", "4", "5"]


def test_a_row_is_told_with_its_types():
    assert table().row("4") == {
        "arch": "a4",
        "op_1": "skip",
        "width": None,
        "params": 5000000,
        "time": 4,
        "acc": 0.7,
        "std": 0.1,
    }
    assert table(id="arch").row("a3")["params"] is None


def test_columns_without_another_use_are_features():
    default = Table(FRAME, objective="acc", noise_std="std", cost="time", constraints=["params>0"])
    assert [column.name for column in default.columns] == ["op_1", "width"]
    assert "arch: left out, 5 different texts are an identifier" in default.notes
    assert [column.name for column in Table(FRAME, objective="acc", ignore=["arch", "std"]).columns] == [
        "op_1",
        "width",
        "params",
        "time",
    ]


def test_kinds_are_described():
    assert [str(column) for column in table().columns] == [
        "op_1: categorical, 3 levels",
        "width: integer, 3 values, 1 empty",
    ]


def test_constraints_are_counted_and_empty_cells_do_not_satisfy_them():
    limited = table(constraints=["params<=4e6", "time < 3"])
    assert limited.pool.ids == ["1", "2"]
    assert "2 of 6 rows are within the constraints" in limited.notes


def test_features_are_those_of_the_candidates():
    limited = Table(FRAME, objective="acc", features=["op_1", "width"], constraints=["time<=2"])
    assert [column.num_levels for column in limited.columns] == [2, 2]


def test_rows_with_equal_features_stay_candidates_and_are_told():
    assert len(table().pool) == 6
    assert any(note.startswith("2 rows have the features of another") for note in table().notes)


def test_unmeasured_rows_are_told():
    assert "1 of 6 rows have no value of acc" in table().notes


@pytest.mark.parametrize("sign", [1, -1])
def test_a_feature_that_orders_rows_as_the_objective_does_is_told(sign: int):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.random(30), "acc": rng.random(30)})
    frame["top5"] = sign * np.exp(3 * frame["acc"])
    leaks = [note for note in Table(frame, objective="acc").notes if "leaks the objective?" in note]
    assert len(leaks) == 1
    assert leaks[0].startswith("warning: top5: ")


def test_a_constant_objective_is_told():
    frame = pd.DataFrame({"x": [1, 2, 3], "acc": [0.5, 0.5, 0.5]})
    assert "warning: acc is the same in every row: nothing to find" in Table(frame, objective="acc").notes


def test_a_column_that_counts_the_rows_is_told():
    frame = pd.DataFrame({"n": range(5), "x": [1, 2, 1, 3, 2], "acc": [0.5, 0.1, 0.5, 0.3, 0.2]})
    assert any(note.startswith("n: counts the rows") for note in Table(frame, objective="acc").notes)


def test_numbers_among_text_are_told():
    frame = pd.DataFrame({"p": ["SDP", "5", "SDP"], "acc": [0.5, 0.1, 0.5]})
    assert "p: numbers and text together, read as categories" in Table(frame, objective="acc").notes
    assert Table(frame, objective="acc").columns[0].kind is Kind.CATEGORICAL


def test_known_noise_is_by_id_and_empty_cells_are_unknown():
    assert table(noise_std="std").noise_std == {"0": 0.01, "2": 0.02, "3": 0.0, "4": 0.1, "5": 0.1}
    assert table().noise_std == {}


def test_costs_are_by_id():
    assert table(cost="time").costs == {"0": 3, "1": 1, "2": 2, "3": 5, "4": 4, "5": 3}
    assert table().costs is None


def test_costs_of_rows_that_are_no_candidates_do_not_matter():
    limited = table(cost="params", constraints=["params>0"])
    assert limited.costs is not None
    assert "3" not in limited.costs


def test_noise_of_repeats_is_pulled_towards_the_mean_variance():
    repeats = np.array([[1.0, 3.0, np.nan], [5.0, 5.0, 5.0], [2.0, np.nan, np.nan], [np.nan] * 3])
    overall = (2.0 + 0.0) / 2
    expected = [(2 * 1 + overall * 4) / 5 / 2, (0 * 2 + overall * 4) / 6 / 3, overall]
    std = pooled_std(repeats)
    np.testing.assert_allclose(std[:3] ** 2, expected)
    assert np.isnan(std[3])
    assert np.isnan(pooled_std(np.array([[1.0, np.nan]]))).all()


def test_pooled_noise_has_the_right_size():
    rng = np.random.default_rng(0)
    repeats = rng.normal(0, 0.5, (4000, 3))
    std = pooled_std(repeats)
    assert np.sqrt((std**2).mean()) == pytest.approx(0.5 / math.sqrt(3), rel=0.02)
    own = repeats.std(axis=1, ddof=1) / math.sqrt(3)
    assert np.log(std).std() < 0.5 * np.log(own).std()


def test_repeats_give_the_noise():
    frame = FRAME.assign(s0=[0.4, 0.7, 0.1, 0.2, 0.7, 0.6], s1=[0.6, 0.8, "", 0.3, 0.7, 0.6])
    noisy = Table(frame, objective="acc", ignore=["arch"], repeats=["s0", "s1"])
    assert set(noisy.noise_std) == set(noisy.pool.ids)
    assert noisy.noise_std["0"] > noisy.noise_std["1"] > noisy.noise_std["4"] > 0
    assert not {"s0", "s1"} & {column.name for column in noisy.columns}


def test_the_shipped_table_knows_its_columns():
    shipped = Table.read("nas_bench_bert")
    assert (len(shipped.pool), len(shipped.columns), shipped.objective_name) == (500, 22, "glue")
    assert max(shipped.values.values()) == shipped.values["179"] == 75.13
    assert any(note.startswith("18 rows have the features of another") for note in shipped.notes)


def test_the_shipped_tables_defaults_may_be_changed():
    other = Table.read("nas_bench_bert", "params", minimize=True, ignore=["hidden_size", "glue"])
    assert other.objective_name == "params"
    assert other.objective.direction == "minimize"
    assert len(other.columns) == 21
    assert [column.name for column in Table.read("nas_bench_bert", features=["op_1"]).columns] == ["op_1"]
    with pytest.raises(InputError, match=r"id column 'hidden_size' must be distinct, got '256' in row 1"):
        Table.read("nas_bench_bert", id="hidden_size")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"objective": "acc_"},
            "Table: objective must be a column of the table, got 'acc_'. Did you mean 'acc'?",
        ),
        ({"features": ["op1"]}, "features must be a column of the table, got 'op1'. Did you mean 'op_1'?"),
        (
            {"features": None, "ignore": ["tme"]},
            "ignore must be a column of the table, got 'tme'. Did you mean 'time'?",
        ),
        ({"noise_std": "stdd"}, "noise_std must be a column of the table, got 'stdd'. Did you mean 'std'?"),
        ({"repeats": ["std", "tim"]}, "repeats must be a column of the table, got 'tim'. Did you mean 'time'?"),
        ({"id": "arc"}, "id must be a column of the table, got 'arc'. Did you mean 'arch'?"),
        ({"cost": "tine"}, "cost must be a column of the table, got 'tine'. Did you mean 'time'?"),
        (
            {"constraints": ["param<=3"]},
            "constraint must be a column of the table, got 'param'. Did you mean 'params'?",
        ),
        ({"constraints": ["params"]}, "constraint must have the form"),
        ({"constraints": ["op_1<=3"]}, "constraint column 'op_1' must hold finite numbers, got 'conv' in row 0"),
        ({"constraints": ["params>=5e6"]}, "constraints must leave at least two rows, got 1. Relax one."),
        ({"objective": "op_1", "features": ["width"]}, "objective column 'op_1' must hold finite numbers, got 'conv'"),
        ({"ignore": ["time"]}, "features and ignore must not both be given"),
        ({"noise_std": "std", "repeats": ["time", "std"]}, "noise_std and repeats must not both be given"),
        ({"repeats": ["time"]}, "repeats must name at least two columns, got ['time']"),
        ({"repeats": ["time", "time"]}, "a column must be named once, got 'time' twice"),
        ({"features": ["op_1", "op_1"]}, "a column must be named once, got 'op_1' twice"),
        ({"features": ["acc"]}, "features must not name the objective column, got 'acc'"),
        ({"features": ["std"], "noise_std": "std"}, "features must not name the noise_std column, got 'std'"),
        ({"repeats": ["acc", "std"]}, "repeats must not be the objective"),
        ({"id": "op_1", "features": ["width"]}, "id column 'op_1' must be distinct, got 'conv' in row 2"),
        ({"id": "width", "features": ["op_1"]}, "id column 'width' must not be empty, got '' in row 4"),
        ({"cost": "params"}, "cost column 'params' must be > 0 and not empty, got nothing in row 3"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], expected: str):
    assert expected in refusal(**options)


@pytest.mark.parametrize(
    ("column", "values", "options", "expected"),
    [
        ("acc", [0.1, np.inf, 0.2, 0.3], {}, "objective column 'acc' must hold finite numbers, got inf in row 1"),
        ("std", [0.1, 0.2, -1.0, 0.3], {"noise_std": "std"}, "noise_std column 'std' must be >= 0, got -1 in row 2"),
        ("time", [1, 2, 3, 0], {"cost": "time"}, "cost column 'time' must be > 0 and not empty, got 0 in row 3"),
    ],
)
def test_bad_cells_are_refused_by_row(column: str, values: list[float], options: dict[str, Any], expected: str):
    frame = pd.DataFrame({"x": [1, 2, 1, 3], "acc": [0.1, 0.2, 0.3, 0.4]}).assign(**{column: values})
    with pytest.raises(InputError) as caught:
        Table(frame, objective="acc", **options)
    assert expected in str(caught.value)


@pytest.mark.parametrize("num_rows", [0, 1])
def test_fewer_than_two_rows_are_refused(num_rows: int):
    with pytest.raises(InputError, match=rf"at least two rows below its header, got {num_rows}"):
        Table(FRAME.head(num_rows), objective="acc")


def test_columns_of_one_name_are_refused():
    with pytest.raises(InputError, match="column names must be distinct, got 'acc' twice"):
        Table(pd.DataFrame([[1, 2], [3, 4]], columns=["acc", "acc"]), objective="acc")


def test_an_index_of_any_kind_does_not_matter():
    shuffled = FRAME.set_index(pd.Index([3, 3, "x", 0, 1, 2]))
    assert Table(shuffled, objective="acc", features=["op_1"]).pool.ids == table().pool.ids


def test_a_missing_objective_is_refused_with_the_columns(tmp_path: Path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(InputError, match=r"objective must name a column, got none. It has a, b\."):
        Table.read(tmp_path / "t.csv")


def test_an_objective_without_any_value_is_a_table_to_suggest_from():
    assert Table(FRAME.assign(acc=""), objective="acc", features=["op_1"]).measured == []
