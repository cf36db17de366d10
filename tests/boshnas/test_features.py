import math
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from boshnas.columns import describe, typed
from boshnas.features import Features, encode

HALF = 1 / math.sqrt(2)


def encoded(**columns: list[Any]) -> Features:
    frame = pd.DataFrame(
        {name: typed(pd.Series(values, name=name, dtype=object))[0] for name, values in columns.items()}
    )
    return encode(frame, [describe(frame[name]) for name in frame])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", "b"], [[1], [0], [1]]),
        (["a", None, "a"], [[1], [0], [1]]),
        (["b", "a", "c"], [[0, HALF, 0], [HALF, 0, 0], [0, 0, HALF]]),
        (["b", "a", None], [[0, 0, HALF], [0, HALF, 0], [HALF, 0, 0]]),
        ([128, 512, 256], [[0], [1], [0.5]]),
        ([128, None, 512], [[0], [-0.5], [1]]),
        ([4, None, 4], [[1], [0], [1]]),
    ],
)
def test_small_columns(values: list[Any], expected: list[list[float]]):
    np.testing.assert_allclose(encoded(x=values).X, expected)


def test_twenty_values_are_positions_and_more_are_sizes():
    squares = [float(number**2) for number in range(21)]
    np.testing.assert_allclose(encoded(x=squares[:20]).X[:, 0], np.arange(20) / 19)
    np.testing.assert_allclose(encoded(x=squares).X[:, 0], np.array(squares) / 400)


def test_sizes_that_span_more_than_a_decade_are_logarithms():
    wide, narrow = np.geomspace(1, 1e6, 31), np.linspace(1, 10, 31)
    np.testing.assert_allclose(encoded(x=wide.tolist()).X[:, 0], np.linspace(0, 1, 31), atol=1e-12)
    np.testing.assert_allclose(encoded(x=narrow.tolist()).X[:, 0], np.linspace(0, 1, 31), atol=1e-12)
    with_empty = encoded(x=[*wide.tolist(), None]).X[:, 0]
    assert with_empty[-1] == -0.5


def test_extreme_numbers_stay_finite():
    values = [-1e308, 1e308, *map(float, range(30))]
    X = encoded(x=values).X
    assert np.isfinite(X).all()
    assert (X.min(), X.max()) == (0, 1)


def test_two_categories_are_one_apart_whatever_their_number():
    X = encoded(x=["a", "b", "c", "a"]).X
    assert np.linalg.norm(X[0] - X[1]) == pytest.approx(1)
    assert np.linalg.norm(X[0] - X[3]) == 0


def test_columns_of_one_choice_share_a_group():
    features = encoded(op=["a", "b", "c"], width=[1, 2, 3])
    assert features.groups == (0, 0, 0, 1)
    assert features.names == ("op=a", "op=b", "op=c", "width")


def test_totals_of_numbers_count_layers_and_their_sizes():
    features = encoded(ff_1=[512, 1024, 1024], ff_2=[512, 1024, None])
    # 1 + position among {512, 1024}, summed: 2, 4, 2
    np.testing.assert_allclose(features.X, [[0, 0, 0], [1, 1, 1], [1, -0.5, 0]])
    assert features.groups == (0, 1, 2)
    assert features.names == ("ff_1", "ff_2", "ff_*")


def test_totals_of_categories_count_each_level():
    features = encoded(op_1=["a", "b", "a", "b"], op_2=["a", "b", None, None])
    totals = features.X[:, [name.startswith("op_*") for name in features.names]]
    # empty, a, b: (0, 2, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), scaled and divided by sqrt(3 / 2)
    np.testing.assert_allclose(totals, np.array([[0, 2, 0], [0, 0, 2], [2, 1, 0], [2, 0, 1]]) / 2 / math.sqrt(1.5))
    assert features.names[-3:] == ("op_*=empty", "op_*=a", "op_*=b")
    assert features.groups[-3:] == (2, 2, 2)


def test_constant_totals_are_dropped():
    features = encoded(op_1=["a", "b"], op_2=["b", "a"])
    assert features.names == ("op_1=b", "op_2=b")
    features = encoded(op_1=["a", "b", "a"], op_2=["b", "a", "c"])
    assert [name for name in features.names if "*" in name] == ["op_*=b", "op_*=c"]


def test_a_family_with_some_text_counts_numbers_as_they_read():
    features = encoded(p_1=["SDP", "5", "5"], p_2=[5, 9, 9])
    assert [name for name in features.names if "*" in name] == ["p_*=9", "p_*=SDP"]
    assert "p_*=5" not in features.names  # once in every row


def test_only_names_that_differ_in_their_last_number_are_a_family():
    features = encoded(op_1=[1, 2, 3], ff_1=[1, 3, 2], width=[1, 1, 2])
    assert features.names == ("op_1", "ff_1", "width")


def test_the_order_of_rows_and_of_levels_does_not_matter():
    rng = np.random.default_rng(0)
    ops, widths = rng.choice(["a", "b", "c", ""], 40).tolist(), rng.choice([1, 2, 3], 40).tolist()
    forward = encoded(op_1=ops, op_2=ops[::-1], width=widths).X
    backward = encoded(op_1=ops[::-1], op_2=ops, width=widths[::-1]).X
    np.testing.assert_array_equal(forward, backward[::-1])


def test_a_large_table_takes_well_under_a_second():
    rng = np.random.default_rng(0)
    columns = {f"op_{place}": rng.choice(["a", "b", "c", "d"], 26_000) for place in range(14)}
    columns |= {f"x_{place}": rng.random(26_000) for place in range(14)}
    frame = pd.DataFrame({name: typed(pd.Series(values, name=name))[0] for name, values in columns.items()})
    described = [describe(frame[name]) for name in frame]
    start = time.perf_counter()
    features = encode(frame, described)
    assert time.perf_counter() - start < 2  # 0.2 s alone; other work may share the machine
    assert np.isfinite(features.X).all()
