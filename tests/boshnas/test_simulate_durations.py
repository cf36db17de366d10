from statistics import median, stdev

import numpy as np
import pandas as pd
import pytest

from boshnas.errors import InputError
from boshnas.simulate.durations import Durations
from boshnas.table import Table

FRAME = pd.DataFrame(
    {
        "width": np.arange(400) % 7,
        "seconds": np.arange(400) + 10.5,
        "kind": ["a", "b"] * 200,
        "holed": [*np.arange(399) + 1.0, None],
        "zero": [0.0, *np.arange(399) + 1.0],
        "score": np.arange(400) / 400,
    }
)


def table(**options: str) -> Table:
    return Table(FRAME, objective="score", features=["width"], **options)


def test_drawn_durations_have_their_median_and_deviation():
    logs = np.log(list(Durations.parse("lognormal:0.8", 20).seconds(table(), 0).values()))
    assert np.exp(median(logs)) == pytest.approx(20 * 60, rel=0.15)
    assert stdev(logs) == pytest.approx(0.8, rel=0.1)


def test_draws_depend_on_the_seed_alone():
    drawn = Durations.parse("lognormal:1", None)
    assert drawn.seconds(table(), 3) == drawn.seconds(table(), 3)
    assert drawn.seconds(table(), 3) != drawn.seconds(table(), 4)
    wider = Durations.parse("lognormal:2", None).seconds(table(), 3)
    for id_, seconds in drawn.seconds(table(), 3).items():
        assert wider[id_] / 1800 == pytest.approx((seconds / 1800) ** 2)


def test_constant_durations_are_the_median():
    assert set(Durations.parse("constant", None).seconds(table(), 0).values()) == {1800.0}
    assert set(Durations.parse("constant", 1.5).seconds(table(), 0).values()) == {90.0}


def test_a_columns_durations_are_seconds():
    expected = dict(zip(table().candidates, (np.arange(400) + 10.5).tolist(), strict=True))
    assert Durations.parse("column:seconds", None).seconds(table(), 0) == expected
    assert Durations.parse("column", None).seconds(table(cost="seconds"), 0) == expected


@pytest.mark.parametrize(
    ("text", "minutes", "expected"),
    [
        ("lognromal:1", None, "--durations: must be lognormal:SIGMA, constant or column:NAME, got 'lognromal:1'. Did"),
        ("", None, "--durations: must be lognormal:SIGMA"),
        ("lognormal", None, "--durations: lognormal must have the deviation of the logarithm, got 'lognormal'"),
        ("lognormal:wide", None, "--durations: lognormal must have the deviation"),
        ("lognormal:0", None, "--durations: the sigma of lognormal must be above 0, got 0"),
        ("lognormal:-1", None, "--durations: the sigma of lognormal must be above 0, got -1"),
        ("lognormal:inf", None, "--durations: the sigma of lognormal must be above 0, got inf"),
        ("lognormal:nan", None, "--durations: the sigma of lognormal must be above 0, got nan"),
        ("constant:30", None, "--durations: constant must stand alone, got 'constant:30'"),
        ("constant", 0.0, "--median-minutes: must be above 0, got 0"),
        ("lognormal:1", float("nan"), "--median-minutes: must be above 0, got nan"),
        ("column:seconds", 30.0, "--median-minutes: must not be given with the durations of a column"),
    ],
)
def test_wrong_words_are_refused(text: str, minutes: float | None, expected: str):
    with pytest.raises(InputError) as error:
        Durations.parse(text, minutes)
    assert str(error.value).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("column:second", "got 'second'. Did you mean 'seconds'?"),
        ("column:holed", "must hold seconds above 0 in every row, got nothing in row 399"),
        ("column:zero", "must hold seconds above 0 in every row, got 0 in row 0"),
        ("column:kind", "must hold seconds above 0 in every row, got 'a' in row 0"),
        ("column", "column must name one, column:NAME, or go with --cost NAME"),
    ],
)
def test_a_column_that_holds_no_durations_is_refused(text: str, expected: str):
    with pytest.raises(InputError, match="--durations: ") as error:
        Durations.parse(text, None).seconds(table(), 0)
    assert expected in str(error.value)
