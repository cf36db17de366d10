import numpy as np

from boshnas.sampler.conditions import Conditions

NAN = np.nan


def present(conditions: Conditions, rows: list[list[float]]) -> list[list[bool]]:
    absent: list[list[bool]] = np.isnan(conditions.apply(np.array(rows))).tolist()
    return [[not value for value in row] for row in absent]


def test_without_conditions_nothing_is_absent() -> None:
    rows = np.random.default_rng(0).random((5, 3))
    np.testing.assert_array_equal(Conditions(rows).apply(rows), rows)
    np.testing.assert_array_equal(Conditions(rows[:0]).apply(rows), rows)
    assert Conditions(np.array([[0, NAN], [1, 0.5]])).apply(np.empty((0, 2))).shape == (0, 2)


def test_nested_conditions_are_learnt() -> None:
    # The first choice decides about the second, that about the third.
    seen = [[0, NAN, NAN], [0, NAN, NAN], [0, NAN, NAN], [1, 0, NAN], [1, 0, NAN], [1, 1, 0.3], [1, 1, 0.9]]
    conditions = Conditions(np.array(seen))
    found = present(conditions, [[0, 1, 0.5], [1, 0, 0.5], [1, 1, 0.5]])
    assert found == [[True, False, False], [True, True, False], [True, True, True]]


def test_a_number_decides_how_many_others_there_are() -> None:
    numbers = np.repeat([0.0, 0.5, 1.0], 4)
    rows = np.column_stack(
        [numbers, np.full(12, 0.5), np.where(numbers < 0.4, NAN, 0.2), np.where(numbers < 0.9, NAN, 0.2)]
    )
    found = present(Conditions(rows), [[0, 0.1, 0.1, 0.1], [0.5, 0.1, 0.1, 0.1], [1, 0.1, 0.1, 0.1]])
    assert found == [[True, True, False, False], [True, True, True, False], [True] * 4]


def test_a_parameter_added_later_counts_as_present() -> None:
    rows = np.column_stack([np.random.default_rng(0).random(200), np.where(np.arange(200) < 150, NAN, 0.4)])
    assert present(Conditions(rows), [[0.1, 0.5], [0.9, 0.5]]) == [[True, True]] * 2


def test_alternatives_exclude_each_other() -> None:
    seen = [[0, 0.1, NAN], [1, NAN, 0.2], [0, 0.4, NAN], [1, NAN, 0.7]]
    assert present(Conditions(np.array(seen)), [[0, 0.5, 0.5], [1, 0.5, 0.5]]) == [
        [True, True, False],
        [True, False, True],
    ]
