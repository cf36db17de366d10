import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from boshnas.columns import Kind
from boshnas.errors import InputError
from boshnas.table import Table
from boshnas.table_repeats import contradiction, pooled_std

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


def table(frame: pd.DataFrame = FRAME, **options: Any) -> Table:
    return Table(frame, **{"objective": "acc", "features": ["op_1", "width"], **options})


def refusal(**options: Any) -> str:
    with pytest.raises(InputError) as caught:
        table(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_ids_are_row_numbers_of_the_file_or_a_column():
    assert table().pool.ids == ["0", "1", "2", "3", "4", "5"]
    assert table(constraints=["params>=2e6"]).candidates == ["1", "2", "4", "5"]
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
    assert [column.name for column in default.columns] == ["op_1", "width", "params"]
    assert default.shown == ["time"]
    assert "arch: left out, 6 different texts are an identifier: --id arch names the rows by it" in default.notes
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
    assert limited.candidates == ["1", "2"]
    assert limited.shown == ["params", "time"]
    assert "2 of 6 rows are within the constraints" in limited.notes


def test_a_whole_table_holds_the_rows_within_the_constraints_alone():
    whole = FRAME.assign(acc=[0.5, 0.75, 0.1, 0.25, 0.7, 0.6])
    limited = Table(whole, objective="acc", features=["op_1", "width"], constraints=["time<=2"])
    assert limited.pool.ids == limited.candidates == limited.measured == ["1", "2"]
    assert [column.num_levels for column in limited.columns] == [2, 2]


def test_measured_rows_beyond_the_constraints_stay_to_teach():
    limited = table(constraints=["time<=2"])
    assert limited.candidates == ["1", "2"]
    assert limited.unmeasured == ["2"]
    assert limited.measured == ["0", "1", "3", "4", "5"]
    assert limited.pool.ids == ["0", "1", "2", "3", "4", "5"]
    assert limited.utilities(["0"]) == {"0": 0.5}


def test_one_row_within_the_constraints_is_enough_to_propose():
    assert table(constraints=["params==3e6"]).unmeasured == ["2"]
    with pytest.raises(InputError, match="constraints must leave at least two rows, got 0"):
        table(constraints=["params>9e9"])


def test_columns_known_only_after_measuring_are_no_features():
    default = Table(FRAME.assign(s0=[1, 2, "", 3, 4, 5], note=["", "", "", "x", "", "y"]), objective="acc")
    assert not {"s0", "note"} & {column.name for column in default.columns}
    for name in ("s0", "note"):
        assert f"{name}: left out, known only where acc is" in default.notes
    named = table(features=["op_1", "s0"], frame=FRAME.assign(s0=[1, 2, "", 3, 4, 5]))
    assert [column.name for column in named.columns] == ["op_1", "s0"]
    assert any(note.startswith("warning: s0: known only where acc is, so it says nothing of") for note in named.notes)


def test_columns_that_are_empty_in_all_that_could_be_proposed_are_no_features():
    frame = FRAME.assign(acc=["0.5", "0.75", "", "", "0.7", "0.6"], extra=[1, 2, "", 3, 4, 5])
    options = {"objective": "acc", "constraints": ["time<4"]}
    assert "extra: left out, empty in every row that could be proposed" in Table(frame, **options).notes
    assert "extra" in {column.name for column in Table(frame, objective="acc").columns}


def test_a_whole_table_leaves_no_column_out_for_what_it_lacks():
    whole = FRAME.assign(acc=range(6))
    assert {"width", "params", "std"} <= {column.name for column in Table(whole, objective="acc").columns}


def test_the_objective_may_be_the_mean_of_repeats():
    frame = FRAME.assign(s0=[0.4, 0.7, 0.1, "", 0.7, 0.6], s1=[0.6, 0.8, "", "", 0.7, 0.6])
    noisy = Table(frame, features=["op_1"], repeats=["s0", "s1"], minimize=True)
    assert noisy.objective_name == "mean of s0, s1"
    assert noisy.values["0"] == pytest.approx(0.5)
    assert noisy.values["2"] == pytest.approx(0.1)
    assert noisy.unmeasured == ["3"]
    assert noisy.utilities(["1"]) == {"1": pytest.approx(-0.75)}
    with pytest.raises(InputError, match=r"objective must name a column, got none\. It has arch, op_1"):
        Table(FRAME)


def test_an_objective_that_contradicts_its_repeats_is_told():
    frame = FRAME.assign(s0=[0.4, 0.7, 0.1, 0.2, 0.9, 0.6], s1=[0.6, 0.8, "", 0.3, 0.7, 0.6])
    noisy = Table(frame, objective="acc", features=["op_1"], repeats=["s0", "s1"], id="arch")
    assert (
        "warning: acc is not the mean of its repeats: 0.7 in row a4, whose repeats have the mean 0.8; the column acc "
        "is used, and the repeats for its noise alone"
    ) in noisy.notes
    assert noisy.values["a4"] == 0.7


@pytest.mark.parametrize(
    ("values", "repeats", "expected"),
    [
        ([0.82], [[0.81, 0.81, 0.82]], None),  # means of three decimals, then all rounded to two
        ([0.8133333333333334], [[0.81, 0.81, 0.82]], None),
        ([0.81], [[0.81, 0.83]], 0),  # one of the repeats
        ([0.15, 0.1], [[0.1, 0.2], [0.1, 0.2]], 1),
        ([3.0, math.nan, 2.0], [[3.0, 3.0], [9.0, 9.0], [math.nan, math.nan]], None),
        ([1e8 / 3], [[1e8 / 3, 1e8 / 3]], None),
        ([90.0, 80.0], [[91.0, 93.0], [80.0, 85.0]], 1),
    ],
)
def test_rounding_is_no_contradiction(values: list[float], repeats: list[list[float]], expected: int | None):
    assert contradiction(np.array(values), np.array(repeats)) == expected


def test_dates_are_days():
    days = pd.to_datetime(["1970-01-02T12:00", "1970-01-01T00:00", "1970-01-11T00:00"])
    frame = pd.DataFrame({"when": days, "day": days.date, "acc": [0.1, 0.2, 0.3]})
    read = Table(frame, objective="acc")
    assert [column.kind for column in read.columns] == [Kind.REAL, Kind.INTEGER]
    assert (read.row("0")["when"], read.row("2")["day"]) == (1.5, 10)
    assert "when: dates, read as days since 1970-01-01" in read.notes


def test_lists_are_called_lists():
    frame = pd.DataFrame({"same": [[1], [1], [2]], "other": [[1], [2], [3]], "x": [1, 2, 4], "acc": [0.1, 0.2, 0.3]})
    notes = Table(frame, objective="acc").notes
    assert any(note.startswith("same: lists, each another category: give each place of them a col") for note in notes)
    assert "other: left out, 3 different lists: give each place of them a column of its own" in notes
    with pytest.raises(InputError, match=r"got 3 different lists in 3 rows\. Give each place of the lists a column"):
        Table(frame, objective="acc", features=["other"])


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
    assert leaks[0].endswith("If so, leave it out with --ignore top5")
    named = Table(frame, objective="acc", features=["x", "top5"]).notes
    assert any(note.endswith("If so, leave it out of --features") for note in named)


def test_a_constant_objective_is_told():
    frame = pd.DataFrame({"x": [1, 2, 3], "acc": [0.5, 0.5, 0.5]})
    assert "warning: acc is the same in every row: nothing to find" in Table(frame, objective="acc").notes


def test_a_column_that_counts_the_rows_is_told():
    frame = pd.DataFrame({"n": range(5), "x": [1, 2, 1, 3, 2], "acc": [0.5, 0.1, 0.5, 0.3, 0.2]})
    (note,) = (note for note in Table(frame, objective="acc").notes if note.startswith("n: counts the rows"))
    assert note.endswith("--id n names the rows by it, and --ignore n leaves it out")


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
    with pytest.raises(InputError, match=r"ignore must not name the objective, got 'glue'"):
        Table.read("nas_bench_bert", ignore=["glue"])
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
        ({"ignore": ["time", "acc"], "features": None}, "ignore must not name the objective, got 'acc'. Leave it out."),
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
